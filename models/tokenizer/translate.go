package tokenizer

import (
	"fmt"
	"strings"
)

// Patterns are written for Oniguruma (Ruby's syntax) and run by regexp2 (.NET's).
// The two agree on much and differ in silence on the rest: what ^ and $ match,
// which Unicode version classes see, what folds to what, nested classes. So a
// pattern is parsed, and written anew from those constructs whose meaning is
// known on both sides. Everything else is refused.

const (
	longestPattern = 1 << 14
	deepestPattern = 32
	highestCount   = 1000
)

// translator parses src from at.
type translator struct {
	src   []rune
	at    int
	depth int
	fold  bool // within (?i:…)
}

// translate returns pattern in the syntax of regexp2, and what is known of it.
func translate(pattern string) (node, error) {
	if len(pattern) > longestPattern {
		return node{}, fmt.Errorf("the pattern has %d bytes, more than %d", len(pattern), longestPattern)
	}
	t := &translator{src: []rune(pattern)}
	out, err := t.alternatives()
	if err == nil && t.at < len(t.src) {
		err = fmt.Errorf("an unmatched )")
	}
	if err != nil {
		return node{}, fmt.Errorf("the pattern is not understood at character %d: %w", t.at, err)
	}
	return out, nil
}

// node is a translated part of a pattern.
type node struct {
	text string
	// tree is the part for the matcher of our own, nil if it cannot do it.
	tree *tree
	// endless says that it repeats something without a bound: repeating that
	// again could take exponential time.
	endless bool
	// fixed says that it matches a place and not characters.
	fixed bool
	// empty says that it can match no characters.
	empty bool
	// letter is the ASCII letter that it is under (?i:…), 0 otherwise.
	letter rune
}

func (t *translator) more() bool { return t.at < len(t.src) }

// accept steps over s if it comes next.
func (t *translator) accept(s string) bool {
	r := []rune(s)
	if len(t.src)-t.at < len(r) || string(t.src[t.at:t.at+len(r)]) != s {
		return false
	}
	t.at += len(r)
	return true
}

// alternatives parses a|b|c up to a closing parenthesis or the end.
func (t *translator) alternatives() (node, error) {
	if t.depth++; t.depth > deepestPattern {
		return node{}, fmt.Errorf("groups nested deeper than %d", deepestPattern)
	}
	defer func() { t.depth-- }()
	var out node
	var b strings.Builder
	list := []*tree{}
	for {
		n, err := t.sequence()
		if err != nil {
			return node{}, err
		}
		list = append(list, n.tree)
		b.WriteString(n.text)
		out.endless = out.endless || n.endless
		out.empty = out.empty || n.empty
		if !t.accept("|") {
			out.text, out.tree = b.String(), eitherOf(list)
			return out, nil
		}
		b.WriteByte('|')
	}
}

// sequence parses atoms, each with its quantifier.
func (t *translator) sequence() (node, error) {
	out := node{empty: true}
	var b strings.Builder
	list := []*tree{}
	previous := rune(0)
	for t.more() && t.src[t.at] != '|' && t.src[t.at] != ')' {
		n, err := t.atom()
		if err != nil {
			return node{}, err
		}
		// (?i:ss) matches ß and (?i:fi) the ligature: one character for two.
		if foldsToOne(previous, n.letter) {
			return node{}, fmt.Errorf("%c%c under (?i:…) also matches a single character, which is not supported", previous, n.letter)
		}
		previous = n.letter
		if n, err = t.quantified(n); err != nil {
			return node{}, err
		}
		b.WriteString(n.text)
		list = append(list, n.tree)
		out.endless = out.endless || n.endless
		out.empty = out.empty && n.empty
	}
	out.text, out.tree = b.String(), oneAfterOther(list)
	return out, nil
}

func foldsToOne(a, b rune) bool {
	switch string([]rune{a | 0x20, b | 0x20}) {
	case "ss", "st", "ff", "fi", "fl":
		return true
	}
	return false
}

// atom parses what a quantifier can follow, and anchors.
func (t *translator) atom() (node, error) {
	r := t.src[t.at]
	t.at++
	switch r {
	case '(':
		return t.group()
	case '[':
		return t.class()
	case '.':
		return node{text: `[^\n]`, tree: classTree(runeSet{{'\n', '\n'}}.complement())}, nil
	case '^':
		// The start of a line; no line starts behind a final line break.
		return node{text: `(?:\A|(?<=\n)(?!\z))`, tree: &tree{op: opPlace, place: lineStart}, fixed: true, empty: true}, nil
	case '$':
		return node{text: `(?=\n|\z)`, tree: &tree{op: opPlace, place: lineEnd}, fixed: true, empty: true}, nil
	case '*', '+', '?', '{':
		return node{}, fmt.Errorf("a quantifier %c with nothing before it", r)
	case '\\':
		return t.escape()
	}
	return t.literal(r)
}

// literal is a character that stands for itself.
func (t *translator) literal(r rune) (node, error) {
	if !t.fold {
		return node{text: quote(r), tree: classTree(runeSet{{r, r}})}, nil
	}
	var c charSet
	if err := c.add(t, r, r); err != nil {
		return node{}, err
	}
	n := c.node()
	if isASCIILetter(r) {
		n.letter = r
	}
	return n, nil
}

// escape parses what follows a backslash outside a class.
func (t *translator) escape() (node, error) {
	if !t.more() {
		return node{}, fmt.Errorf("a backslash at the end")
	}
	switch t.src[t.at] {
	case 'A':
		t.at++
		return node{text: `\A`, tree: &tree{op: opPlace, place: textStart}, fixed: true, empty: true}, nil
	case 'z':
		t.at++
		return node{text: `\z`, tree: &tree{op: opPlace, place: textEnd}, fixed: true, empty: true}, nil
	case 'Z':
		t.at++
		return node{text: `(?=\n?\z)`, fixed: true, empty: true}, nil
	case 'b', 'B':
		if t.fold {
			return node{}, fmt.Errorf(`\%c under (?i:…) is not supported`, t.src[t.at])
		}
		text := `(?:(?<=%[1]s)(?!%[1]s)|(?<!%[1]s)(?=%[1]s))`
		if t.src[t.at] == 'B' {
			text = `(?:(?<=%[1]s)(?=%[1]s)|(?<!%[1]s)(?!%[1]s))`
		}
		t.at++
		return node{text: fmt.Sprintf(text, "["+wordMembers(true)+"]"), fixed: true, empty: true}, nil
	}
	c := charSet{alone: true}
	r, isSet, err := t.classEscape(&c)
	if err != nil {
		return node{}, err
	}
	if isSet {
		return c.node(), nil
	}
	return t.literal(r)
}

// folded parses what follows (?i), which holds to the end of the group around it
// and takes in its further alternatives: a(?i)b|c is a(?i:b|c).
func (t *translator) folded() (node, error) {
	outer := t.fold
	t.fold = true
	n, err := t.alternatives()
	t.fold = outer
	n.text = "(?:" + n.text + ")"
	return n, err
}

// group parses what follows an opening parenthesis.
func (t *translator) group() (node, error) {
	open, fixed, fold := "(?:", false, t.fold
	wrap := func(inner *tree) *tree { return inner }
	switch {
	case t.accept("?:"):
	case t.accept("?i:"):
		fold = true
	case t.accept("?i)"):
		return t.folded()
	case t.accept("?>"):
		open, wrap = "(?>", atomically
	case t.accept("?="):
		open, fixed, wrap = "(?=", true, ahead(false)
	case t.accept("?!"):
		open, fixed, wrap = "(?!", true, ahead(true)
	case t.accept("?<="):
		open, fixed, wrap = "(?<=", true, behind(false)
	case t.accept("?<!"):
		open, fixed, wrap = "(?<!", true, behind(true)
	case t.accept("?"):
		return node{}, fmt.Errorf("a group of another kind than (…), (?:…), (?i:…), (?i), (?>…), (?=…), (?!…), (?<=…) and (?<!…)")
	}
	outer := t.fold
	t.fold = fold
	n, err := t.alternatives()
	t.fold = outer
	if err != nil {
		return node{}, err
	}
	if !t.accept(")") {
		return node{}, fmt.Errorf("a group without its )")
	}
	return node{text: open + n.text + ")", tree: wrap(n.tree), endless: n.endless, fixed: fixed, empty: fixed || n.empty}, nil
}
