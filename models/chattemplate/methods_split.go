package chattemplate

import (
	"strings"
	"unicode/utf8"
)

func splitMethod(name string) method[string] {
	return func(r *render, s string, a arguments) (value, error) {
		bound, err := a.bind(name, 0, "sep", "maxsplit")
		if err != nil {
			return nil, err
		}
		limit, err := needInt(bound[1], -1)
		if err != nil {
			return nil, err
		}
		if limit < 0 {
			limit = 1 << 40
		}
		var parts []string
		switch bound[0].(type) {
		case nil, none:
			if err := r.parts(countRuns(s, isSpace)); err != nil {
				return nil, err
			}
			parts = splitBlank(s, int(limit), name == "rsplit")
		default:
			sep, err := needText(name, bound[0])
			if err != nil {
				return nil, err
			}
			if sep == "" {
				return nil, fail(valueError, "empty separator")
			}
			if err := r.parts(strings.Count(s, sep)); err != nil {
				return nil, err
			}
			parts = splitText(s, sep, int(limit), name == "rsplit")
		}
		return textList(parts), nil
	}
}

// parts spends the memory of a text cut in n places, before it is cut.
func (r *render) parts(n int) error { return r.repeat(2*valueSize, n+1) }

func textList(parts []string) value {
	l := &list{make([]value, len(parts))}
	for i, p := range parts {
		l.items[i] = str(p)
	}
	return l
}

func splitText(s, sep string, limit int, fromEnd bool) []string {
	if !fromEnd {
		if limit >= len(s) {
			limit = -2
		}
		return strings.SplitN(s, sep, limit+1)
	}
	var back []string
	for limit > 0 {
		i := strings.LastIndex(s, sep)
		if i < 0 {
			break
		}
		back = append(back, s[i+len(sep):])
		s = s[:i]
		limit--
	}
	back = append(back, s)
	reverseStrings(back)
	return back
}

// splitBlank splits at runs of blank space; blanks at the ends make no parts.
func splitBlank(s string, limit int, fromEnd bool) []string {
	var parts []string
	if fromEnd {
		s = strings.TrimRightFunc(s, isSpace)
		for ; limit > 0 && s != ""; limit-- {
			i := strings.LastIndexFunc(s, isSpace)
			if i < 0 {
				break
			}
			_, n := utf8.DecodeRuneInString(s[i:])
			parts = append(parts, s[i+n:])
			s = strings.TrimRightFunc(s[:i], isSpace)
		}
		if s != "" {
			parts = append(parts, s)
		}
		reverseStrings(parts)
		return parts
	}
	s = strings.TrimLeftFunc(s, isSpace)
	for ; limit > 0 && s != ""; limit-- {
		i := strings.IndexFunc(s, isSpace)
		if i < 0 {
			break
		}
		parts = append(parts, s[:i])
		s = strings.TrimLeftFunc(s[i:], isSpace)
	}
	if s != "" {
		parts = append(parts, s)
	}
	return parts
}

func reverseStrings(s []string) {
	for i, j := 0, len(s)-1; i < j; i, j = i+1, j-1 {
		s[i], s[j] = s[j], s[i]
	}
}

func textSplitLines(r *render, s string, a arguments) (value, error) {
	bound, err := a.bind("splitlines", 0, "keepends")
	if err != nil {
		return nil, err
	}
	keep, err := needInt(bound[0], 0)
	if err != nil {
		return nil, err
	}
	if err := r.parts(countLines(s)); err != nil {
		return nil, err
	}
	return textList(splitLines(s, keep != 0)), nil
}

func partitionMethod(name string) method[string] {
	return func(_ *render, s string, a arguments) (value, error) {
		bound, err := a.bind(name, 1, "sep")
		if err != nil {
			return nil, err
		}
		sep, err := needText(name, bound[0])
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, fail(valueError, "empty separator")
		}
		i := strings.Index(s, sep)
		if name == "rpartition" {
			i = strings.LastIndex(s, sep)
		}
		switch {
		case i >= 0:
			return tuple{str(s[:i]), str(sep), str(s[i+len(sep):])}, nil
		case name == "partition":
			return tuple{str(s), str(""), str("")}, nil
		}
		return tuple{str(""), str(""), str(s)}, nil
	}
}
