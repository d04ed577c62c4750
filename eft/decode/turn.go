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

	along, paths yield
}

// yield is what rounds brought and took, older ones fading.
type yield struct{ tokens, seconds float64 }

func (y yield) rate() float64 {
	if y.seconds == 0 {
		return 0
	}
	return y.tokens / y.seconds
}

const (
	// Rounds of each text: before the first trial, in one, and behind it, twice as many each
	// time that paths stay the better way.
	firstTrial, trialRounds, firstPause, lastPause = 8, 3, 24, 2048
	// worthTurning is how much better Own must be than paths that may not have found their
	// best length yet: to come back from it takes longer than to stay.
	worthTurning = 1.08
	// runs is how many rounds along paths fit into one along the base's own tokens.
	runs = 4
	// apart is among how many texts twice as much is taken for what a call takes that is
	// alone: of calls that always come together little is known of that.
	apart = 32
	// lasting is how much less a round counts for each of a text's that came behind it.
	lasting = 1.0 / 8
	// among is the share of calls of the other kind up to which a round says something.
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

// next says whether the next round goes along the base's own tokens. Single is the
// seconds of a call that is alone: in that time Own has a token at most.
func (t *turn) next(texts int, single float64) bool {
	t.round++
	if t.paths.rate()*single > 1+float64(texts)/apart {
		t.own, t.trial = false, 0
		return false
	}
	if t.trial == 0 && t.round >= t.due {
		t.trial = trialRounds * texts
		if t.own {
			t.trial *= runs // until the last has come to the end of its run
			t.pause = firstPause
		}
		t.due = t.round + t.trial + t.pause*texts
		t.pause = min(2*t.pause, lastPause)
		*t.other() = yield{} // what it was before is why it is not taken
	}
	if t.trial == 0 {
		return t.own
	}
	tried := !t.own
	if t.trial--; t.trial == 0 {
		t.decide()
	}
	return tried
}

// other is what the way brought that is not taken.
func (t *turn) other() *yield {
	if t.own {
		return &t.paths
	}
	return &t.along
}

// decide compares the two behind a trial.
func (t *turn) decide() {
	if t.other().seconds == 0 {
		return // there were others all the time
	}
	least := worthTurning
	if t.own {
		least = 1
	}
	if better := t.along.rate() > least*t.paths.rate(); better != t.own {
		t.own, t.pause = better, firstPause
	}
}

// learn is told of a round, and of what was under way with it.
func (t *turn) learn(r Round, under features) {
	y, others := &t.paths, under.own
	if r.By == Own {
		y, others = &t.along, under.n-under.own
	}
	if others > among*under.n {
		return
	}
	fade := 1 - lasting/max(under.n, 1)
	y.tokens = y.tokens*fade + float64(r.Tokens)
	y.seconds = y.seconds*fade + r.Whole.Seconds()
	if t.own && t.trial == 0 && t.along.rate() < t.paths.rate() {
		t.own = false
	}
}
