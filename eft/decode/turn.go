package decode

import "math"

// turn says whether texts go along paths or along the base's own tokens. They do so
// together. A base that computes in passes gives each stream a row a pass, one behind the
// other without a break, and a path that is sent when its rows have come waits for all of
// the pass that has begun meanwhile; the streams wait for the longer passes in return. So
// one text that tries the other way learns nothing of what all would have of it: from
// time to time all try it, for some rounds each.
//
//	paths … │ own own │ paths …                 │ own own │ own … (better)
//	        |  trial  |-------- pause · 2 ------|  trial  |
type turn struct {
	own   bool // what is taken, but for trials
	round int  // rounds begun
	trial int  // of them, those that are left of the trial that is on
	due   int  // the round of the next trial
	pause int  // rounds of each text until the one behind that

	// Of rounds of Own, older ones fading; expected of paths in the same time.
	tokens, expected float64
}

const (
	// Rounds of each text: before the first trial, in one, and behind it, twice as many each
	// time that nothing changes.
	firstTrial, trialRounds, firstPause, lastPause = 6, 3, 24, 2048
	// hopeless is how many tokens a path promises in the time of a call that is alone
	// where Own is not tried: it has one at most, but calls of texts that always come
	// together tell little of one that is alone.
	hopeless = 2
	// lasting is how much less a round of Own counts for each of a text's that came behind it.
	lasting = 1.0 / 8
	// among is the share of calls with a path up to which streams count as among themselves.
	among = 0.1
)

// turns are those by how many texts are under way together, a doubling each: what holds
// for a few need not for many.
type turns [9]turn

func newTurns() (t turns) {
	for i := range t {
		t[i] = turn{due: firstTrial << i, pause: firstPause}
	}
	return t
}

// of is the one for so many texts, one at least.
func (t *turns) of(texts float64) *turn {
	return &t[min(int(math.Round(math.Log2(texts))), len(t)-1)]
}

// next says whether the next round goes along the base's own tokens. Expected is what a
// path promises in tokens a second, and single the seconds of a call that is alone.
func (t *turn) next(texts int, expected, single float64) bool {
	t.round++
	if expected*single > hopeless {
		t.own, t.trial = false, 0
		return false
	}
	if t.trial == 0 && t.round >= t.due {
		t.trial = trialRounds * texts
		t.due = t.round + t.trial + t.pause*texts
		t.pause = min(2*t.pause, lastPause)
	}
	if t.trial == 0 {
		return t.own
	}
	tried := !t.own
	if t.trial--; t.trial == 0 {
		if better := t.tokens > worth*t.expected; better != t.own {
			t.own, t.pause = better, firstPause
		}
	}
	return tried
}

// learn is told of a round of Own, of what a path had promised, and of what was under way
// with it: a round among paths says nothing.
func (t *turn) learn(r Round, expected float64, under features) {
	if under.paths > among*under.n {
		return
	}
	fade := 1 - lasting/max(under.n, 1)
	t.tokens = t.tokens*fade + float64(r.Tokens)
	t.expected = t.expected*fade + expected*r.Whole.Seconds()
	if t.trial == 0 && t.tokens < t.expected {
		t.own = false
	}
}
