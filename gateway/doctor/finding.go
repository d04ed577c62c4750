package doctor

// Level says how bad something is, and the worst of a part's findings is its verdict.
type Level string

// From best to worst. OK is a verdict and never a finding's level, Remark the
// reverse.
const (
	OK      Level = "ok"
	Remark  Level = "remark"
	Warning Level = "warning"
	Broken  Level = "broken"
)

func (l Level) badness() int {
	switch l {
	case Warning:
		return 1
	case Broken:
		return 2
	}
	return 0
}

// Finding is one thing that was found.
type Finding struct {
	Level   Level  `json:"level"`
	Part    string `json:"part"`    // of the thing it is found in, such as tokenizer
	Problem string `json:"problem"` // of broken things, the error that serving gives
	Fix     string `json:"fix,omitempty"`
}

// verdict is the worst of findings.
func verdict(findings []Finding) Level {
	worst := OK
	for _, f := range findings {
		if f.Level.badness() > worst.badness() {
			worst = f.Level
		}
	}
	return worst
}

// worse is the worse one of two verdicts.
func worse(a, b Level) Level {
	if b.badness() > a.badness() {
		return b
	}
	return a
}

// Cause is the kind of a fault, on which the way to mend it depends.
type Cause string

// The causes. Everything that is none of the others is Refused: it was read, and is
// not what can be used.
const (
	Missing    Cause = "missing"    // a file or folder is not there
	Pointer    Cause = "pointer"    // a Git LFS pointer lies in the file's place
	Unreadable Cause = "unreadable" // it may not be read
	Damaged    Cause = "damaged"    // it is cut short, or no such file at all
	Refused    Cause = "refused"
	Unfit      Cause = "unfit"     // the provider asked for does not load
	TooLarge   Cause = "too large" // for the memory that is free
	Denied     Cause = "denied"    // a server wants another key
	Differs    Cause = "differs"   // it does not fit another part
	Unloaded   Cause = "unloaded"  // another part that it needs is broken
)

// Fault is something that serving would fail with.
type Fault struct {
	Part    string
	Cause   Cause
	File    string // that it is about, if it is about one
	Problem string // the error
}
