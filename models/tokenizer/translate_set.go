package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

const spaceClass = `\t-\r \x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000`

// categories are the general categories that can be had exactly. Mn and Mc are
// not among them: a character moved between the two.
const categories = " L Lu Ll Lt Lm Lo M Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp Cc Co "

// set writes one of \s \d \w \p{…} or their negations into c.
func (t *translator) set(c *charSet, kind rune) error {
	var body string
	var set runeSet
	switch kind {
	case 's', 'S':
		body, set = spaceClass, tableSet(unicode.White_Space)
	case 'd', 'D':
		body, set = `\p{Nd}`+additionsOf("Nd"), categorySet("Nd")
	case 'w', 'W':
		body, set = wordMembers(c.alone), wordSet(c.alone)
	default:
		name, negated, err := t.property()
		if err != nil {
			return err
		}
		if body, set, err = propertyClass(name); err != nil {
			return err
		}
		if negated {
			kind ^= 'p' ^ 'P'
		}
	}
	switch {
	case !strings.ContainsRune("SDWP", kind):
		c.write(body, set)
	case c.body.Len() == 0 && !c.listed && t.endsClass(c):
		c.negated = !c.negated // [^\S] is \s
		c.write(body, set)
	default:
		c.list(append(c.set, set.complement()...))
	}
	return nil
}

// endsClass says whether nothing more comes into the class.
func (t *translator) endsClass(c *charSet) bool {
	return c.alone || t.more() && t.src[t.at] == ']'
}

// circled is the circled and squared Latin letters.
const circled = "Ⓐ-ⓩ🄰-🅉🅐-🅩🅰-🆉"

// wordSet is wordMembers as a set.
func wordSet(alone bool) runeSet {
	set := literalSet(circled)
	for _, category := range []string{"L", "M", "Nd", "Nl", "Pc"} {
		set = append(set, categorySet(category)...)
	}
	set = append(set, additionSet("N")...)
	if alone {
		set = append(set, literalSet("²³¹¼-¾")...)
	}
	return set
}

// wordMembers is \w: letters, marks, decimal digits, letter numbers, connectors
// and the circled and squared Latin letters; outside classes, and only there,
// also the superscripts and fractions of Latin-1.
func wordMembers(alone bool) string {
	body := `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}` + circled + additionsOf("L") + additionsOf("M") + additionsOf("N")
	if alone {
		body += `\xB2\xB3\xB9\xBC-\xBE`
	}
	return body
}

// property parses {Name} or {^Name} behind \p.
func (t *translator) property() (name string, negated bool, err error) {
	if !t.accept("{") {
		return "", false, fmt.Errorf(`\p without a {`)
	}
	n := slices.Index(t.src[t.at:], '}')
	if n < 0 {
		return "", false, fmt.Errorf(`\p{ without its }`)
	}
	name = string(t.src[t.at : t.at+n])
	t.at += n + 1
	name, negated = strings.CutPrefix(name, "^")
	return name, negated, nil
}

// propertyClass gives the members of a general category or a script.
func propertyClass(name string) (string, runeSet, error) {
	if name != "" && !strings.Contains(name, " ") && strings.Contains(categories, " "+name+" ") {
		return `\p{` + name + `}` + additionsOf(name), categorySet(name), nil
	}
	newer := ""
	switch name {
	case "Han":
		newer = "\U0002EBF0-\U0002EE5D"
	case "Latin":
		newer = "\uA7CB-\uA7CD\uA7DA-\uA7DC"
	case "Cyrillic":
		newer = "\u1C89\u1C8A"
	case "Arabic":
		newer = "\u0897\U00010EC2-\U00010EC4\U00010EFC"
	case "Hiragana", "Katakana", "Hangul", "Thai", "Greek", "Hebrew", "Devanagari":
	default:
		return "", nil, fmt.Errorf(`\p{%s} is not supported`, name)
	}
	return `\p{` + name + `}` + newer, append(tableSet(unicode.Scripts[name]), literalSet(newer)...), nil
}

// additionsOf gives the ranges that [additions] puts into a category.
func additionsOf(category string) string {
	var b strings.Builder
	for _, a := range additions {
		if strings.HasPrefix(a.category, category) {
			b.WriteString(string(a.first) + "-" + string(a.last))
		}
	}
	return b.String()
}
