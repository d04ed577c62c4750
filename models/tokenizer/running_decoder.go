package tokenizer

import "strings"

// stripEnds is the decoder Strip: up to start characters at the beginning of a
// token and stop characters at its end are dropped if they are content.
type stripEnds struct {
	content     string
	start, stop int
}

func (s stripEnds) decode(token string, next sink) { next.token(s.middle(token)) }
func (s stripEnds) finish(sink)                    {}

func (s stripEnds) middle(token string) string {
	for i := 0; i < s.start && strings.HasPrefix(token, s.content); i++ {
		token = token[len(s.content):]
	}
	for i := 0; i < s.stop && strings.HasSuffix(token, s.content); i++ {
		token = token[:len(token)-len(s.content)]
	}
	return token
}

// stripRunning is Strip behind Fuse: the one token is the text.
type stripRunning struct{ stripEnds }

func (s stripRunning) open(next sink) sink {
	return &strippingRunning{content: s.content, start: s.start, stop: s.stop, next: next}
}

func (s stripRunning) middle(token string) string { return token }

// strippingRunning holds back what may be the end: up to stop times content.
type strippingRunning struct {
	content     string
	start, stop int // start counts down
	held        int // times content
	next        sink
}

func (s *strippingRunning) token(text string) {
	s.write(text)
	s.cut()
}

func (s *strippingRunning) write(text string) {
	for s.start > 0 && text != "" {
		rest, ok := strings.CutPrefix(text, s.content)
		if !ok {
			s.start = 0
			break
		}
		s.start--
		text = rest
	}
	if text == "" {
		return
	}
	n := 0
	for kept := text; n < s.stop && strings.HasSuffix(kept, s.content); n++ {
		kept = kept[:len(kept)-len(s.content)]
	}
	body := text[:len(text)-n*len(s.content)]
	if body == "" { // only more of content
		n += s.held
		s.held = min(n, s.stop)
		n -= s.held
	} else {
		n, s.held = s.held, n
	}
	if all := strings.Repeat(s.content, n) + body; all != "" {
		s.next.write(all)
	}
}

func (s *strippingRunning) cut() { s.next.cut() }
func (s *strippingRunning) end() { s.next.end() }

func (c component) stripDecoder(fused bool) (decoderStage, error) {
	var f struct {
		Type        string
		Content     singleRune
		Start, Stop *int
	}
	if err := c.read(&f); err != nil {
		return nil, err
	}
	if f.Start == nil || f.Stop == nil || *f.Start < 0 || *f.Stop < 0 {
		return nil, c.refuse("start or stop are missing or negative")
	}
	s := stripEnds{f.Content.string(), *f.Start, *f.Stop}
	if fused {
		return stripRunning{s}, f.Content.check(c, "content")
	}
	return eachToken(func() tokenDecoding { return s }), f.Content.check(c, "content")
}

// replaceRunning is Replace behind Fuse.
type replaceRunning struct {
	replace
	old string
}

func (r replaceRunning) open(next sink) sink { return &replacingRunning{replaceRunning: r, next: next} }

func (r replaceRunning) middle(token string) string {
	return strings.ReplaceAll(token, r.old, r.content)
}

// replacingRunning holds back what old may begin with.
type replacingRunning struct {
	replaceRunning
	held string
	next sink
}

func (r *replacingRunning) token(text string) {
	r.write(text)
	r.cut()
}

func (r *replacingRunning) write(text string) {
	text = r.held + text
	var out strings.Builder
	for {
		before, after, ok := strings.Cut(text, r.old)
		if !ok {
			break
		}
		out.WriteString(before)
		out.WriteString(r.content)
		text = after
	}
	keep := min(len(r.old)-1, len(text))
	for !strings.HasPrefix(r.old, text[len(text)-keep:]) {
		keep--
	}
	out.WriteString(text[:len(text)-keep])
	r.held = text[len(text)-keep:]
	if out.Len() > 0 {
		r.next.write(out.String())
	}
}

func (r *replacingRunning) cut() {
	r.next.write(r.held)
	r.held = ""
	r.next.cut()
}

func (r *replacingRunning) end() { r.next.end() }
