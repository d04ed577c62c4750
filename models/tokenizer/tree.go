package tokenizer

// tree is a parsed pattern. A nil tree is one that [program] cannot do.
type tree struct {
	op       treeOp
	class    *charClass
	set      runeSet // of class
	list     []*tree // opSequence, opEither; else one
	min, max int     // opRepeat; max −1: no bound
	lazy     bool
	negated  bool // opAhead, opBehind
	place    place
}

type treeOp int

const (
	opClass treeOp = iota
	opSequence
	opEither
	opRepeat
	opAtomic
	opAhead
	opBehind
	opPlace
)

// place is what an anchor matches.
type place int

const (
	textStart place = iota
	textEnd
	lineStart
	lineEnd
)

func classTree(set runeSet) *tree {
	return &tree{op: opClass, class: newCharClass(set), set: set}
}

// greed says how a repetition tries.
type greed bool

const (
	greedily greed = false
	lazily   greed = true
)

// longestUnrolled bounds repetitions of groups, which are written out.
const longestUnrolled = 16

func repeated(inner *tree, least, most int, how greed) *tree {
	if inner == nil {
		return nil
	}
	if inner.op != opClass && (least > longestUnrolled || most > longestUnrolled || inner.canBeEmpty()) {
		return nil
	}
	return &tree{op: opRepeat, list: []*tree{inner}, min: least, max: most, lazy: bool(how)}
}

// canBeEmpty says whether t can match no characters.
func (t *tree) canBeEmpty() bool {
	switch t.op {
	case opClass:
		return false
	case opSequence:
		for _, part := range t.list {
			if !part.canBeEmpty() {
				return false
			}
		}
		return true
	case opEither:
		for _, part := range t.list {
			if part.canBeEmpty() {
				return true
			}
		}
		return false
	case opRepeat:
		return t.min == 0 || t.list[0].canBeEmpty()
	case opAtomic:
		return t.list[0].canBeEmpty()
	}
	return true
}

func oneAfterOther(list []*tree) *tree { return combined(opSequence, list) }

// eitherOf joins alternatives; single characters become one class.
func eitherOf(list []*tree) *tree {
	var set runeSet
	for _, t := range list {
		if t == nil || t.op != opClass {
			return combined(opEither, list)
		}
		set = append(set, t.set...)
	}
	if len(list) == 1 {
		return list[0]
	}
	return classTree(set)
}

func combined(op treeOp, list []*tree) *tree {
	for _, t := range list {
		if t == nil {
			return nil
		}
	}
	if len(list) == 1 {
		return list[0]
	}
	return &tree{op: op, list: list}
}

func atomically(inner *tree) *tree {
	if inner == nil {
		return nil
	}
	return &tree{op: opAtomic, list: []*tree{inner}}
}

func ahead(negated bool) func(*tree) *tree {
	return func(inner *tree) *tree {
		if inner == nil {
			return nil
		}
		return &tree{op: opAhead, list: []*tree{inner}, negated: negated}
	}
}

// behind can do one character only.
func behind(negated bool) func(*tree) *tree {
	return func(inner *tree) *tree {
		if inner == nil || inner.op != opClass {
			return nil
		}
		return &tree{op: opBehind, list: []*tree{inner}, negated: negated}
	}
}

// first is the set of characters that t can begin with; ok is false if it may
// match none.
func (t *tree) first() (set runeSet, ok bool) {
	switch t.op {
	case opClass:
		return t.set, true
	case opSequence:
		for _, part := range t.list {
			s, whole := part.first()
			set = append(set, s...)
			if whole {
				return set, true
			}
		}
	case opEither:
		ok = true
		for _, part := range t.list {
			s, whole := part.first()
			set, ok = append(set, s...), ok && whole
		}
		return set, ok
	case opRepeat:
		set, ok = t.list[0].first()
		return set, ok && t.min > 0
	case opAtomic:
		return t.list[0].first()
	}
	return set, false
}

// isRigid says whether t matches in one way at most wherever it stands.
func (t *tree) isRigid() bool {
	switch t.op {
	case opClass:
		return true
	case opSequence:
		for _, part := range t.list {
			if !part.isRigid() {
				return false
			}
		}
		return true
	case opRepeat:
		return t.min == t.max && t.list[0].op == opClass
	}
	return false
}

// starts is the set of characters that the parts of list can begin with, and
// then follow if all of them can be empty.
func starts(list []*tree, follow runeSet) runeSet {
	set, whole := (&tree{op: opSequence, list: list}).first()
	if !whole {
		set = append(set, follow...)
	}
	return set
}

// forks says whether the next character can leave open how t goes on; follow is
// what can come behind t. Repeating such a tree without a bound could take
// exponential time.
func (t *tree) forks(follow runeSet) bool {
	switch t.op {
	case opSequence:
		for i, part := range t.list {
			if part.forks(starts(t.list[i+1:], follow)) {
				return true
			}
		}
	case opEither:
		var seen runeSet
		for _, part := range t.list {
			set := starts([]*tree{part}, follow)
			if len(seen.both(set)) > 0 || part.forks(follow) {
				return true
			}
			seen = append(seen, set...)
		}
	case opRepeat:
		set, _ := t.list[0].first()
		if t.min != t.max && len(set.both(follow)) > 0 {
			return true
		}
		return t.list[0].forks(append(set, follow...))
	}
	return false // what looks around or gives nothing back has one way only
}
