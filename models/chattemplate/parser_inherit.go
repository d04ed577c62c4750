package chattemplate

import "strings"

// The tags that come from template inheritance and HTML: no chat template needs
// them, and each has a meaning.

func (p *parser) block(line pos) (stmt, error) {
	name, err := p.expectKind(tokenName)
	if err != nil {
		return nil, err
	}
	s := &blockStmt{pos: line, name: name.text}
	s.scoped = p.skipName("scoped")
	s.required = p.skipName("required")
	if p.cur().op("-") {
		return nil, p.errorf(name.line, "Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an underscore instead.")
	}
	if p.blocks[s.name] {
		return nil, p.errorf(name.line, "block %s defined twice", quoted(s.name))
	}
	if p.blocks == nil {
		p.blocks = make(map[string]bool)
	}
	p.blocks[s.name] = true
	if s.body.stmts, err = p.outside("endblock"); err != nil {
		return nil, err
	}
	if s.required && !onlyBlanks(s.body.stmts) {
		return nil, p.errorf(name.line, "Required blocks can only contain comments or whitespace")
	}
	p.skipName(s.name)
	return s, nil
}

func onlyBlanks(stmts []stmt) bool {
	for _, st := range stmts {
		if d, ok := st.(*dataStmt); !ok || strings.TrimFunc(d.text, isSpace) != "" {
			return false
		}
	}
	return true
}

func (p *parser) autoescape(line pos) (stmt, error) {
	on, err := p.expression(true)
	if err != nil {
		return nil, err
	}
	s := &autoescapeStmt{pos: line, on: on}
	s.body.stmts, err = p.scoped("endautoescape")
	return s, err
}

func (p *parser) print(line pos) (stmt, error) {
	s := &outputStmt{pos: line}
	for p.cur().kind != tokenBlockEnd {
		if len(s.items) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		item, err := p.expression(true)
		if err != nil {
			return nil, err
		}
		s.items = append(s.items, item)
	}
	return s, nil
}

// load reads the rest of include, import, from or extends.
func (p *parser) load(line pos, tag string) (stmt, error) {
	of, err := p.expression(true)
	if err != nil {
		return nil, err
	}
	s := &loadStmt{pos: line, tag: tag, of: of}
	switch tag {
	case "extends":
		if p.outer > 0 {
			return nil, p.errorf(int(line), "cannot use extend from a non top-level scope")
		}
		return s, nil
	case "include":
		if p.cur().name("ignore") && p.look().name("missing") {
			p.take()
			p.take()
		}
	case "import":
		if !p.skipName("as") {
			return nil, p.expected("as")
		}
		name, err := p.targetName()
		if err != nil {
			return nil, err
		}
		s.targets = []string{name}
	case "from":
		if !p.skipName("import") {
			return nil, p.expected("import")
		}
		if s.targets, err = p.importedNames(); err != nil {
			return nil, err
		}
	}
	p.loadContext()
	return s, nil
}

func (p *parser) loadContext() bool {
	if c := p.cur(); (c.name("with") || c.name("without")) && p.look().name("context") {
		p.take()
		p.take()
		return true
	}
	return false
}

// importedNames reads a as b, c.
func (p *parser) importedNames() ([]string, error) {
	var names []string
	for {
		if len(names) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		if p.cur().kind != tokenName {
			_, err := p.expectKind(tokenName)
			return names, err
		}
		if p.loadContext() {
			return names, nil
		}
		line := p.cur().line
		name, err := p.targetName()
		if err != nil {
			return nil, err
		}
		if hiddenName(name) {
			return nil, p.errorf(line, "names starting with an underline can not be imported")
		}
		if p.skipName("as") {
			if name, err = p.targetName(); err != nil {
				return nil, err
			}
		}
		names = append(names, name)
		if p.loadContext() || !p.cur().op(",") {
			return names, nil
		}
	}
}
