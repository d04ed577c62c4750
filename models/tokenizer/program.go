package tokenizer

// program is a pattern made ready for matching by trying: most patterns of
// files take a character class at a time, where this is several times faster
// than the general engine.
type program struct {
	start *step
	first *charClass // what a match begins with; nil if it may match nothing
}

// step is one thing to match, with what comes after.
type step struct {
	op       stepOp
	class    *charClass
	min, max int
	inner    *step   // stepAhead, stepAtomic: ends in stepDone
	either   []*step // stepEither
	negated  bool
	place    place
	next     *step
}

type stepOp int

const (
	stepDone stepOp = iota
	stepClass
	stepRun     // greedy repetition of a class
	stepLazyRun // lazy repetition of a class
	stepLoop    // greedy repetition of what matches in one way; inner ends in stepDone
	stepEither
	stepAtomic
	stepAhead
	stepBehind
	stepPlace
)

func newProgram(t *tree) *program {
	p := &program{start: t.steps(&step{op: stepDone})}
	if set, ok := t.first(); ok {
		p.first = newCharClass(set)
	}
	return p
}

// steps puts t before next.
func (t *tree) steps(next *step) *step {
	switch t.op {
	case opClass:
		return &step{op: stepClass, class: t.class, next: next}
	case opSequence:
		for i := len(t.list) - 1; i >= 0; i-- {
			next = t.list[i].steps(next)
		}
		return next
	case opEither:
		s := &step{op: stepEither}
		for _, part := range t.list {
			s.either = append(s.either, part.steps(next))
		}
		return s
	case opRepeat:
		return t.repetition(next)
	case opAtomic:
		return &step{op: stepAtomic, inner: t.list[0].steps(&step{op: stepDone}), next: next}
	case opAhead:
		return &step{op: stepAhead, negated: t.negated, inner: t.list[0].steps(&step{op: stepDone}), next: next}
	case opBehind:
		return &step{op: stepBehind, negated: t.negated, class: t.list[0].class, next: next}
	}
	return &step{op: stepPlace, place: t.place, next: next}
}

// repetition writes out repetitions of groups: so many copies, then optional
// ones or a loop.
func (t *tree) repetition(next *step) *step {
	inner := t.list[0]
	if inner.op == opClass {
		s := &step{op: stepRun, class: inner.class, min: t.min, max: t.max, next: next}
		if t.lazy {
			s.op = stepLazyRun
		}
		return s
	}
	or := func(more, stop *step) *step {
		if t.lazy {
			return &step{op: stepEither, either: []*step{stop, more}}
		}
		return &step{op: stepEither, either: []*step{more, stop}}
	}
	rest := next
	if t.max < 0 && !t.lazy && inner.isRigid() {
		rest = &step{op: stepLoop, inner: inner.steps(&step{op: stepDone}), next: next}
	} else if t.max < 0 {
		loop := &step{}
		*loop = *or(inner.steps(loop), next)
		rest = loop
	}
	for range t.max - t.min {
		rest = or(inner.steps(rest), next)
	}
	for range t.min {
		rest = inner.steps(rest)
	}
	return rest
}
