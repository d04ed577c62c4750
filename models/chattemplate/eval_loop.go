package chattemplate

// loop is the variable of that name inside a for loop.
//
// Invariant: index0 is the place of current, and peeked holds the item after it
// if hasPeeked.
type loop struct {
	next      func() (value, bool, error)
	size      int // known number of items, or -1
	index0    int
	depth0    int
	current   value
	before    value
	peeked    value
	hasPeeked bool
	atEnd     bool
	changed   *tuple
	recurse   func(iter value) (value, error) // nil unless the loop is recursive
}

// advance makes the next item current.
func (l *loop) advance() (bool, error) {
	item, ok, err := l.peek()
	if err != nil || !ok {
		return false, err
	}
	l.hasPeeked, l.peeked = false, nil
	l.before, l.current = l.current, item
	l.index0++
	return true, nil
}

// peek reads one item ahead; this runs a lazy source early, as in the reference.
func (l *loop) peek() (value, bool, error) {
	if l.hasPeeked {
		return l.peeked, true, nil
	}
	if l.atEnd {
		return nil, false, nil
	}
	item, ok, err := l.next()
	if err != nil {
		return nil, false, err
	}
	if !ok {
		l.atEnd = true
		return nil, false, nil
	}
	l.peeked, l.hasPeeked = item, true
	return item, true, nil
}

// length counts the items; a lazy source is read to its end for it.
func (l *loop) length() (int, error) {
	if l.size >= 0 {
		return l.size, nil
	}
	var rest []value
	for {
		item, ok, err := l.peek()
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		rest = append(rest, item)
		l.hasPeeked = false
	}
	l.size = l.index0 + 1 + len(rest)
	l.atEnd = false
	l.next = sliceIterator(rest)
	return l.size, nil
}

// member is loop.name.
func (l *loop) member(name string) (value, bool, error) {
	switch name {
	case "index0":
		return integer(l.index0), true, nil
	case "index":
		return integer(l.index0 + 1), true, nil
	case "first":
		return boolean(l.index0 == 0), true, nil
	case "depth0":
		return integer(l.depth0), true, nil
	case "depth":
		return integer(l.depth0 + 1), true, nil
	case "last":
		_, ok, err := l.peek()
		return boolean(!ok), true, err
	case "length", "revindex", "revindex0":
		n, err := l.length()
		switch name {
		case "revindex":
			n -= l.index0
		case "revindex0":
			n -= l.index0 + 1
		}
		return integer(n), true, err
	case "previtem":
		if l.index0 == 0 {
			return &undefined{message: "there is no previous item", kind: undefinedError}, true, nil
		}
		return l.before, true, nil
	case "nextitem":
		item, ok, err := l.peek()
		if err == nil && !ok {
			item = &undefined{message: "there is no next item", kind: undefinedError}
		}
		return item, true, err
	case "cycle":
		return &function{name, l.cycle}, true, nil
	case "changed":
		return &function{name, l.hasChanged}, true, nil
	}
	return nil, false, nil
}

func (l *loop) cycle(_ *render, a arguments) (value, error) {
	if len(a.named) > 0 {
		return nil, a.unexpected("cycle")
	}
	if len(a.positional) == 0 {
		return nil, fail(typeError, "no items for cycling given")
	}
	return a.positional[l.index0%len(a.positional)], nil
}

func (l *loop) hasChanged(r *render, a arguments) (value, error) {
	if len(a.named) > 0 {
		return nil, a.unexpected("changed")
	}
	now := tuple(a.positional)
	if l.changed != nil {
		same, err := r.equal(*l.changed, now)
		if err != nil || same {
			return boolean(false), err
		}
	}
	l.changed = &now
	return boolean(true), nil
}

// forLoop runs n over iter. The target's names, loop and what the body sets are
// new in each round.
func (r *render) forLoop(n *forStmt, iter value, s *scope, depth0 int, out *builder) (signal, error) {
	next, err := r.iterate(iter)
	if err != nil {
		return proceed, err
	}
	l := &loop{next: next, size: sizeOf(iter), index0: -1, depth0: depth0}
	if n.test != nil {
		l.size = -1
		l.next = r.filtered(n, next, s)
	}
	if n.recursive {
		l.recurse = func(inner value) (value, error) {
			if err := r.enter(); err != nil {
				return nil, err
			}
			defer r.leave()
			text := r.meter.output()
			_, err := r.forLoop(n, inner, s, depth0+1, text)
			return r.marked(text.String()), err
		}
	}
	finished := false // a round that ran to the end of the body
	for {
		more, err := l.advance()
		if err != nil {
			return proceed, err
		}
		if !more {
			break
		}
		if err := r.step(1); err != nil {
			return proceed, err
		}
		in := s.inner(n.body.hidden)
		in.set("loop", l)
		if err := r.assign(n.target, l.current, in); err != nil {
			return proceed, err
		}
		sig, err := r.run(n.body.stmts, in, out)
		if err != nil {
			return proceed, err
		}
		if sig == breaking {
			break
		}
		finished = finished || sig == proceed
	}
	if finished {
		return proceed, nil
	}
	// The reference runs else also where every round was left early.
	return r.run(n.otherwise.stmts, s.inner(n.otherwise.hidden), out)
}

// assigned is the value of a target: the reference rebuilds the items that pass
// a loop's condition from the names that they were given to.
func (r *render) assigned(t target, item value, s *scope) value {
	if t.tuple == nil {
		return item
	}
	items := make(tuple, len(t.tuple))
	for i, part := range t.tuple {
		v, _ := s.get(part.name)
		items[i] = r.assigned(part, v, s)
	}
	return items
}

// filtered passes the items for which the loop's condition is true.
func (r *render) filtered(n *forStmt, next func() (value, bool, error), s *scope) func() (value, bool, error) {
	return func() (value, bool, error) {
		for {
			item, ok, err := next()
			if err != nil || !ok {
				return nil, false, err
			}
			in := s.inner(n.testScope.hidden)
			if err := r.assign(n.target, item, in); err != nil {
				return nil, false, err
			}
			keep, err := r.eval(n.test, in)
			if err != nil {
				return nil, false, err
			}
			if truth(keep) {
				return r.assigned(n.target, item, in), true, nil
			}
		}
	}
}
