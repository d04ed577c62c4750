package chattemplate

import (
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// filterURLEncode is urlencode: text is quoted, pairs become a query.
func filterURLEncode(r *render, of value, a arguments) (value, error) {
	if _, err := a.bind("urlencode", 0); err != nil {
		return nil, err
	}
	if _, ok := textOf(of); ok || !iterable(of) {
		s, err := r.quotedURL(of, false)
		return str(s), err
	}
	pairs := of
	if d, ok := of.(*dict); ok {
		pairs = &view{d, "dict_items"}
	}
	next, err := r.iterate(pairs)
	if err != nil {
		return nil, err
	}
	out := r.meter.text()
	for first := true; ; first = false {
		pair, ok, err := next()
		if err != nil || !ok {
			return str(out.String()), err
		}
		kv, err := r.unpack(pair, 2)
		if err != nil {
			return nil, err
		}
		key, err := r.quotedURL(kv[0], true)
		if err != nil {
			return nil, err
		}
		v, err := r.quotedURL(kv[1], true)
		if err != nil {
			return nil, err
		}
		text := key + "=" + v
		if !first {
			text = "&" + text
		}
		if err := out.write(text); err != nil {
			return nil, err
		}
	}
}

// quotedURL escapes the bytes of v's text for a path, or for a query.
func (r *render) quotedURL(v value, query bool) (string, error) {
	s, err := r.text(v)
	if err != nil {
		return "", err
	}
	if err := r.repeat(3, len(s)); err != nil {
		return "", err
	}
	// QueryEscape keeps what the reference keeps, but for the tilde and slashes.
	s = url.QueryEscape(s)
	if !query {
		s = strings.NewReplacer("%2F", "/", "+", "%20").Replace(s)
	}
	return s, nil
}

// filterXMLAttr is xmlattr(autospace): a dict as attributes of a tag.
func filterXMLAttr(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("xmlattr", 0, "autospace")
	if err != nil {
		return nil, err
	}
	d, ok := of.(*dict)
	if !ok {
		return nil, misfit(of, fail(attributeError, "'%s' object has no attribute 'items'", typeName(of)))
	}
	out := r.meter.text()
	for _, e := range d.entries {
		switch e.value.(type) {
		case none, *undefined:
			continue
		}
		key, ok := textOf(e.key)
		if !ok {
			return nil, fail(typeError, "expected string or bytes-like object, got '%s'", typeName(e.key))
		}
		if strings.ContainsAny(key, " \t\n\r\f\v/>=") {
			return nil, fail(valueError, "Invalid character in attribute name: %s", quoted(key))
		}
		if key, err = r.safeText(e.key); err != nil {
			return nil, err
		}
		v, err := r.safeText(e.value)
		if err != nil {
			return nil, err
		}
		space := " "
		if out.String() == "" && bound[0] != nil && !truth(bound[0]) {
			space = ""
		}
		if err := out.write(space + key + `="` + v + `"`); err != nil {
			return nil, err
		}
	}
	return r.marked(out.String()), nil
}

// safeText is the text of v, escaped unless it is marked as safe.
func (r *render) safeText(v value) (string, error) {
	s, err := r.text(v)
	if _, ok := v.(markup); ok || err != nil {
		return s, err
	}
	return r.escaped(s)
}

// filterStripTags is striptags: text without tags and comments, with single
// blanks, and with entities turned into characters.
func filterStripTags(r *render, of value, a arguments) (value, error) {
	if _, err := a.bind("striptags", 0); err != nil {
		return nil, err
	}
	s, err := r.text(of)
	if err != nil {
		return nil, err
	}
	return str(stripTags(s)), r.alloc(2 * len(s))
}

func stripTags(s string) string {
	var sb strings.Builder
	for {
		start := strings.IndexByte(s, '<')
		if start < 0 {
			break
		}
		mark, from := ">", start
		if strings.HasPrefix(s[start:], "<!--") {
			mark, from = "-->", start+4
		}
		end := strings.Index(s[from:], mark)
		if end < 0 {
			break
		}
		sb.WriteString(s[:start])
		s = s[from+end+len(mark):]
	}
	sb.WriteString(s)
	return html.UnescapeString(strings.Join(strings.FieldsFunc(sb.String(), isSpace), " "))
}

// htmlMethod are the methods that only escaped text has.
func htmlMethod(name string) method[string] {
	return func(r *render, s string, a arguments) (value, error) {
		if _, err := a.bind(name, 0); err != nil {
			return nil, err
		}
		if err := r.alloc(2 * len(s)); err != nil {
			return nil, err
		}
		if name == "striptags" {
			return str(stripTags(s)), nil
		}
		return str(html.UnescapeString(s)), nil
	}
}

// linker turns the addresses in a text into links.
type linker struct {
	url, mail *regexp.Regexp
	limit     int64 // of what a link shows; −1 for none
	attrs     string
	schemes   []string
}

// linkerSteps are what making a linker costs, and linkSteps what looking at a
// character of a word does.
const (
	linkerSteps = 50_000
	linkSteps   = 50
)

func newLinker() *linker {
	const w = `[\pL\pN_%-]`
	host := `(?:(?:https?://|www\.)(?:(?:` + w + `+\.)+)?(?:[a-z]{2,63}|xn--[\pL\pN_%]{2,59})` +
		`|(?:` + w + `{2,63}\.)+(?:com|net|int|edu|gov|org|info|mil)` +
		`|https?://(?:\p{Nd}{1,3}(?:\.\p{Nd}{1,3}){3}|\[(?:[\p{Nd}a-f]{0,4}:){2}(?:[\p{Nd}a-f]{0,4}:?){1,6}\]))`
	return &linker{
		url:   regexp.MustCompile(`(?i)^` + host + `(?::\p{Nd}{1,5})?(?:[/?#].*)?$`),
		mail:  regexp.MustCompile(`^.+@[\pL\pN_][\pL\pN_.-]*\.[\pL\pN_]+$`),
		limit: -1,
	}
}

// filterURLize is urlize(trim_url_limit, nofollow, target, rel, extra_schemes).
func filterURLize(r *render, of value, a arguments) (value, error) {
	bound, err := a.bind("urlize", 0, "trim_url_limit", "nofollow", "target", "rel", "extra_schemes")
	if err != nil {
		return nil, err
	}
	for i, v := range bound {
		if _, ok := v.(none); ok {
			bound[i] = nil
		}
	}
	if err := r.step(linkerSteps); err != nil {
		return nil, err
	}
	l := newLinker()
	if l.limit, err = needInt(bound[0], -1); err != nil {
		return nil, err
	}
	if l.attrs, err = r.linkAttributes(bound); err != nil {
		return nil, err
	}
	if bound[4] != nil {
		if l.schemes, err = r.schemes(bound[4]); err != nil {
			return nil, err
		}
	}
	s, err := r.safeText(of)
	if err != nil {
		return nil, err
	}
	out := r.meter.text()
	for s != "" {
		end := strings.IndexFunc(s, isSpace)
		if end < 0 {
			end = len(s)
		}
		if err := r.step(linkSteps * (end + 1)); err != nil {
			return nil, err
		}
		blanks := len(s[end:]) - len(strings.TrimLeftFunc(s[end:], isSpace))
		if err := out.write(l.word(s[:end]) + s[end:end+blanks]); err != nil {
			return nil, err
		}
		s = s[end+blanks:]
	}
	return r.marked(out.String()), nil
}

// linkAttributes are rel and target as a link has them; noopener always is one.
func (r *render) linkAttributes(bound []value) (string, error) {
	rel := []string{"noopener"}
	if bound[3] != nil && truth(bound[3]) {
		s, err := needText("rel", bound[3])
		if err != nil {
			return "", err
		}
		rel = append(rel, strings.FieldsFunc(s, isSpace)...)
	}
	if bound[1] != nil && truth(bound[1]) {
		rel = append(rel, "nofollow")
	}
	slices.Sort(rel)
	text, err := r.escaped(strings.Join(slices.Compact(rel), " "))
	if err != nil {
		return "", err
	}
	attrs := ` rel="` + text + `"`
	if bound[2] != nil && truth(bound[2]) {
		target, err := r.safeText(bound[2])
		if err != nil {
			return "", err
		}
		attrs += ` target="` + target + `"`
	}
	return attrs, nil
}

func (r *render) schemes(v value) ([]string, error) {
	items, err := r.collect(v)
	if err != nil {
		return nil, err
	}
	valid := regexp.MustCompile(`^[\pL\pN_.+-]{2,}:/{0,2}$`)
	var schemes []string
	for _, item := range items {
		s, ok := textOf(item)
		if !ok {
			return nil, fail(typeError, "expected string or bytes-like object, got '%s'", typeName(item))
		}
		if !valid.MatchString(s) {
			return nil, fail(filterArgument, "%s is not a valid URI scheme prefix.", quoted(s))
		}
		schemes = append(schemes, s)
	}
	return schemes, nil
}

// word links the address in a word, if there is one, without the punctuation
// around it.
func (l *linker) word(word string) string {
	middle := word
	for cut := true; cut; {
		rest := strings.TrimLeft(middle, "(<")
		rest = strings.TrimPrefix(rest, "&lt;")
		cut, middle = len(rest) < len(middle), rest
	}
	head := word[:len(word)-len(middle)]
	whole := middle
	for cut := true; cut; {
		rest := strings.TrimRight(middle, ")>.,\n")
		rest = strings.TrimSuffix(rest, "&gt;")
		cut, middle = len(rest) < len(middle), rest
	}
	tail := whole[len(middle):]
	// Brackets that the address opens itself belong to it.
	for _, pair := range [...][2]string{{"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}} {
		opened := strings.Count(middle, pair[0])
		if opened <= strings.Count(middle, pair[1]) {
			continue
		}
		end := 0
		for range min(opened, strings.Count(tail, pair[1])) {
			end += strings.Index(tail[end:], pair[1]) + len(pair[1])
		}
		middle, tail = middle+tail[:end], tail[end:]
	}
	return head + l.link(middle) + tail
}

func (l *linker) link(s string) string {
	shown := s
	if l.limit >= 0 && int64(runeCount(s)) > l.limit {
		shown = s[:runeOffset(s, int(l.limit))] + "..."
	}
	anchor := func(to, attrs, shown string) string { return `<a href="` + to + `"` + attrs + `>` + shown + `</a>` }
	mail, isMail := strings.CutPrefix(s, "mailto:")
	switch {
	case l.url.MatchString(s):
		if strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") {
			return anchor(s, l.attrs, shown)
		}
		return anchor("https://"+s, l.attrs, shown)
	case isMail && l.mail.MatchString(mail):
		return anchor(s, "", mail)
	case strings.Contains(s, "@") && !strings.HasPrefix(s, "www.") && !strings.HasPrefix(s, "@") && !strings.Contains(s, ":") && l.mail.MatchString(s):
		return anchor("mailto:"+s, "", s)
	}
	for _, scheme := range l.schemes {
		if s != scheme && strings.HasPrefix(s, scheme) {
			s = anchor(s, l.attrs, s)
		}
	}
	return s
}
