package chattemplate

// The reference decides at compile time in which scope a name lives. Looking
// names up at run time, scope by scope, gives the same answer but in one case:
// a scope whose first mention of a name is that it is always set. There the name
// is undefined until then, even for the blocks inside that run before, and even
// if the data has it. resolveScopes finds these names and hides them.

// symbols is one scope during the analysis.
//
// Invariant: a name in refs is mentioned in this scope; hidden are those of refs
// that hide what is outside.
type symbols struct {
	parent *symbols
	refs   map[string]bool
	stores map[string]bool
	hidden map[string]bool
	// unknown is the first name that the reference fails to resolve.
	unknown *error
}

func newSymbols(parent *symbols) *symbols {
	s := &symbols{parent: parent, refs: map[string]bool{}, stores: map[string]bool{}, hidden: map[string]bool{}}
	if parent != nil {
		s.unknown = parent.unknown
	}
	return s
}

func (s *symbols) known(name string) bool {
	for ; s != nil; s = s.parent {
		if s.refs[name] {
			return true
		}
	}
	return false
}

func (s *symbols) load(name string) {
	if !s.known(name) {
		s.refs[name] = true
	}
}

func (s *symbols) store(name string) {
	s.stores[name] = true
	if s.refs[name] {
		return
	}
	s.hidden[name] = !s.parent.known(name)
	s.refs[name] = true
}

// param is a name that is set before the scope's first statement.
func (s *symbols) param(name string) {
	s.refs[name], s.stores[name] = true, true
	s.hidden[name] = false
}

func (s *symbols) clone() *symbols {
	c := newSymbols(s.parent)
	for to, from := range map[*map[string]bool]map[string]bool{&c.refs: s.refs, &c.stores: s.stores, &c.hidden: s.hidden} {
		for k, v := range from {
			(*to)[k] = v
		}
	}
	return c
}

// merge takes over what the branches of an if mention. A name that only some of
// them set is not hidden.
func (s *symbols) merge(branches ...*symbols) {
	before := s.clone()
	for _, b := range branches {
		for name := range b.refs {
			s.refs[name] = true
		}
		for name, hidden := range b.hidden {
			s.hidden[name] = hidden
		}
		for name := range b.stores {
			s.stores[name] = true
		}
	}
	for _, b := range branches {
		for name := range b.stores {
			if !before.stores[name] {
				s.hidden[name] = false
			}
		}
	}
}
