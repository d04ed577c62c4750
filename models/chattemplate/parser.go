package chattemplate

import (
	"fmt"
	"slices"
)

// parser builds the tree from tokens.
//
// Invariant: tokens ends with tokenEOF and at never passes it.
type parser struct {
	tokens []token
	pos    int
	// nesting counts blocks and brackets around the current token.
	nesting int
	// loops counts the loops that break and continue can reach here.
	loops int
	// outer counts the loops and macros around, where extends must not stand.
	outer int
	// blocks are the names of the blocks so far.
	blocks map[string]bool
	// waiting are the tags that end the blocks around, innermost last.
	waiting [][]string
}

func parse(source string) ([]stmt, error) {
	tokens, err := lex(source)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	return p.statements()
}

func (p *parser) cur() token { return p.tokens[p.pos] }

func (p *parser) look() token { return p.tokens[min(p.pos+1, len(p.tokens)-1)] }

func (p *parser) take() token {
	t := p.tokens[p.pos]
	if p.pos < len(p.tokens)-1 {
		p.pos++
	}
	return t
}

// skipOp takes the operator if it is there.
func (p *parser) skipOp(text string) bool { return p.skip(tokenOperator, text) }

// skipName takes the word if it is there.
func (p *parser) skipName(text string) bool { return p.skip(tokenName, text) }

func (p *parser) skip(kind tokenKind, text string) bool {
	if !p.cur().is(kind, text) {
		return false
	}
	p.take()
	return true
}

func (p *parser) errorf(line int, format string, a ...any) error {
	return &SyntaxError{Line: line, Message: fmt.Sprintf(format, a...)}
}

func (p *parser) expected(what string) error {
	t := p.cur()
	if t.kind == tokenEOF {
		return p.errorf(t.line, "unexpected end of template, expected %s", quoted(what))
	}
	return p.errorf(t.line, "expected token %s, got %s", quoted(what), quoted(t.String()))
}

func (p *parser) expectOp(text string) error {
	if !p.skipOp(text) {
		return p.expected(text)
	}
	return nil
}

func (p *parser) expectKind(kind tokenKind) (token, error) {
	if p.cur().kind != kind {
		what := token{kind: kind}.String()
		if kind == tokenName {
			what = "name"
		}
		return token{}, p.expected(what)
	}
	return p.take(), nil
}

// enter goes one level of nesting down; the caller undoes it.
func (p *parser) enter() error {
	p.nesting++
	if p.nesting > maxNesting {
		return p.errorf(p.cur().line, "more than %d nested blocks, brackets and operators", maxNesting)
	}
	return nil
}

// statements reads until a tag that begins with one of the words in ends, which
// becomes the current token, or with none of them until the end of the template.
func (p *parser) statements(ends ...string) ([]stmt, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.nesting-- }()
	p.waiting = append(p.waiting, ends)
	defer func() { p.waiting = p.waiting[:len(p.waiting)-1] }()
	var body []stmt
	for {
		t := p.take()
		switch t.kind {
		case tokenEOF:
			if len(ends) > 0 {
				return nil, p.errorf(t.line, "unexpected end of template, expected the tag %s", oneOf(ends))
			}
			return body, nil
		case tokenData:
			if t.text != "" {
				body = append(body, &dataStmt{pos: pos(t.line), text: t.text})
			}
		case tokenPrintBegin:
			of, err := p.tuple(tupleRules{cond: true})
			if err != nil {
				return nil, err
			}
			if _, err := p.expectKind(tokenPrintEnd); err != nil {
				return nil, err
			}
			body = append(body, &printStmt{pos: pos(t.line), of: of})
		case tokenBlockBegin:
			if c := p.cur(); c.kind == tokenName && slices.Contains(ends, c.text) {
				return body, nil
			}
			s, err := p.statement()
			if err != nil {
				return nil, err
			}
			if _, err := p.expectKind(tokenBlockEnd); err != nil {
				return nil, err
			}
			body = append(body, s)
		}
	}
}

func oneOf(words []string) string {
	s := ""
	for i, w := range words {
		if i > 0 {
			s += " or "
		}
		s += quoted(w)
	}
	return s
}

// body is statements after the end of the current tag; the end tag's word is
// taken.
func (p *parser) body(ends ...string) ([]stmt, string, error) {
	p.skipOp(":") // Python's colon is allowed
	if _, err := p.expectKind(tokenBlockEnd); err != nil {
		return nil, "", err
	}
	stmts, err := p.statements(ends...)
	if err != nil {
		return nil, "", err
	}
	return stmts, p.take().text, nil
}

// outside is body for a macro or the like: break and continue do not reach the
// loops around it.
func (p *parser) outside(end string) ([]stmt, error) {
	loops := p.loops
	p.loops = 0
	stmts, err := p.scoped(end)
	p.loops = loops
	return stmts, err
}

// scoped is body for what has a scope of its own.
func (p *parser) scoped(end string) ([]stmt, error) {
	p.outer++
	stmts, _, err := p.body(end)
	p.outer--
	return stmts, err
}

// statement reads one tag, from its first word to before its end.
func (p *parser) statement() (stmt, error) {
	t, err := p.expectKind(tokenName)
	if err != nil {
		return nil, p.errorf(p.cur().line, "tag name expected, got %s", quoted(p.cur().String()))
	}
	switch line := pos(t.line); t.text {
	case "for":
		return p.forLoop(line)
	case "if":
		return p.ifElse(line)
	case "set":
		return p.set(line)
	case "with":
		return p.with(line)
	case "macro":
		return p.macro(line)
	case "call":
		return p.callBlock(line)
	case "filter":
		return p.filterBlock(line)
	case "generation":
		m := &macroDef{name: "caller"}
		m.body.stmts, err = p.outside("endgeneration")
		m.findSpecial()
		return &generationStmt{pos: line, macro: m}, err
	case "break", "continue":
		if p.loops == 0 {
			return nil, p.errorf(t.line, "%s outside of a loop", t.text)
		}
		if t.text == "break" {
			return &breakStmt{line}, nil
		}
		return &continueStmt{line}, nil
	case "block":
		return p.block(line)
	case "autoescape":
		return p.autoescape(line)
	case "print":
		return p.print(line)
	case "extends", "include", "import", "from":
		return p.load(line, t.text)
	}
	return nil, p.unknownTag(t)
}

func (p *parser) unknownTag(t token) error {
	if n := len(p.waiting); n > 0 && len(p.waiting[n-1]) > 0 {
		return p.errorf(t.line, "Encountered unknown tag %s; the innermost open block waits for %s", quoted(t.text), oneOf(p.waiting[n-1]))
	}
	return p.errorf(t.line, "Encountered unknown tag %s", quoted(t.text))
}
