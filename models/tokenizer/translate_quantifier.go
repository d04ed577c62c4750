package tokenizer

import (
	"fmt"
	"strconv"
)

// quantified parses the quantifier behind n, if there is one.
func (t *translator) quantified(n node) (node, error) {
	text, least, most, ok, err := t.quantifier()
	if err != nil || !ok {
		return n, err
	}
	endless := most < 0
	if n.fixed {
		return n, fmt.Errorf("a quantifier behind what matches a place is not supported")
	}
	if endless && n.endless {
		return n, fmt.Errorf("an endless repetition within another may take exponential time and is not supported")
	}
	if endless && n.forks() {
		return n, fmt.Errorf("an endless repetition of what can match in several ways may take exponential time and is not supported")
	}
	whole := node{endless: n.endless || endless, empty: n.empty || least == 0}
	counted := text[0] == '{'
	how := greedily
	switch {
	case counted && t.more() && t.src[t.at] == '+':
		return t.countedMore(n, text, least, most)
	case counted && least == most && t.more() && t.src[t.at] == '?':
		return n, fmt.Errorf("%s? is not supported", text)
	case t.accept("?"):
		text += "?"
		how = lazily
	case t.accept("+"): // possessive: it gives nothing back
		whole.text = "(?>" + n.text + text + ")"
		whole.tree = atomically(repeated(n.tree, least, most, greedily))
		return whole, t.noSecond()
	}
	whole.tree = repeated(n.tree, least, most, how)
	whole.text = n.text + text
	return whole, t.noSecond()
}

// forks is [tree.forks] for n behind itself; what is not known may.
func (n node) forks() bool {
	if n.tree == nil || n.tree.canBeEmpty() {
		return true
	}
	set, _ := n.tree.first()
	return n.tree.forks(set)
}

// countedMore is {n,m}+, where the + is no sign of a possessive repetition but
// repeats it: without a least number of single characters it is as many as
// there are.
func (t *translator) countedMore(n node, text string, least, most int) (node, error) {
	single := n.tree != nil && n.tree.op == opClass
	if !single || least > 1 || most == 0 {
		return n, fmt.Errorf("%s+ is not supported", text)
	}
	t.at++
	sign := [...]string{"*", "+"}[least]
	n = node{text: n.text + sign, tree: repeated(n.tree, least, -1, greedily), endless: true, empty: least == 0}
	return n, t.noSecond()
}

// noSecond refuses a quantifier of a quantifier.
func (t *translator) noSecond() error {
	at := t.at
	_, _, _, ok, err := t.quantifier()
	t.at = at
	if err == nil && ok {
		err = fmt.Errorf("two quantifiers in a row are not supported")
	}
	return err
}

// quantifier parses *, +, ? or {n,m}; most is −1 without a bound.
func (t *translator) quantifier() (text string, least, most int, ok bool, err error) {
	switch {
	case t.accept("*"):
		return "*", 0, -1, true, nil
	case t.accept("+"):
		return "+", 1, -1, true, nil
	case t.accept("?"):
		return "?", 0, 1, true, nil
	case !t.accept("{"):
		return "", 0, 0, false, nil
	}
	least, hasLeast := t.number()
	most, hasMost := least, hasLeast
	comma := t.accept(",")
	if comma {
		most, hasMost = t.number()
	}
	if !t.accept("}") || !hasLeast && !hasMost {
		return "", 0, 0, false, fmt.Errorf("a { that is no quantifier; write \\{ for the character")
	}
	if least > highestCount || most > highestCount || hasMost && most < least {
		return "", 0, 0, false, fmt.Errorf("a repetition of %d to %d times; 0 to %d in this order are supported", least, most, highestCount)
	}
	switch {
	case !comma:
		return fmt.Sprintf("{%d}", least), least, least, true, nil
	case !hasMost:
		return fmt.Sprintf("{%d,}", least), least, -1, true, nil
	}
	return fmt.Sprintf("{%d,%d}", least, most), least, most, true, nil
}

// number parses decimal digits; too many of them are a number beyond any bound.
func (t *translator) number() (int, bool) {
	start := t.at
	for t.more() && t.src[t.at] >= '0' && t.src[t.at] <= '9' {
		t.at++
	}
	if start == t.at {
		return 0, false
	}
	n, err := strconv.Atoi(string(t.src[start:t.at]))
	if err != nil {
		n = highestCount + 1
	}
	return n, true
}
