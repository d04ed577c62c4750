package chattemplate

// scope holds the names of one block. Reading looks outwards, writing stays.
//
// Invariants: parents are never written through their children; a name is in
// few or in many, and many is nil until few is full.
type scope struct {
	parent *scope
	few    []binding
	many   map[string]value
}

type binding struct {
	name  string
	value value
}

// maxFew is up to how many names a scope looks through them one by one.
const maxFew = 8

func (s *scope) get(name string) (value, bool) {
	for i := range s.few {
		if s.few[i].name == name {
			return s.few[i].value, true
		}
	}
	if s.many == nil {
		return nil, false
	}
	v, ok := s.many[name]
	return v, ok
}

func (s *scope) inner(hidden []string) *scope {
	in := &scope{parent: s}
	for _, name := range hidden {
		in.set(name, missingName(name))
	}
	return in
}

func (s *scope) set(name string, v value) {
	for i := range s.few {
		if s.few[i].name == name {
			s.few[i].value = v
			return
		}
	}
	if s.few == nil {
		s.few = make([]binding, 0, maxFew/2)
	}
	if len(s.few) < maxFew {
		s.few = append(s.few, binding{name, v})
		return
	}
	if s.many == nil {
		s.many = make(map[string]value)
	}
	s.many[name] = v
}

func missingName(name string) *undefined {
	return &undefined{kind: undefinedError, key: str(name)}
}
