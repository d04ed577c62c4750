package decode

import (
	"math"
	"slices"
)

// Auto drafts by what it measures: how often the guesses are right, what a call of the
// base takes with so many others under way and so long paths, and what a step of the
// pairs takes. It expects of every path γ the tokens a second if all texts chose alike,
//
//	tokens(γ)  =  (1 − a^(γ+1)) / (1 − a)        a: share of right guesses
//	time(γ)    =  steps before the base is asked, and the base's call
//
// and takes the best, no path among them. Now and then it tries another, so that it
// hears of a change. It is shared by all texts of the same models and is safe for
// concurrent use.
type Auto struct {
	only  Guesser // the one that may guess; Nobody: whoever is best
	meter *Meter

	// Guarded by meter.mu:
	step      average // seconds of a step of the pairs
	reading   average // seconds of a token of a prompt, for the pairs
	agreement agreement
	rounds    int
	turns     turns // of texts with pairs
	bare      turns // and of those without
}

// NewAuto returns a drafter that has measured nothing yet but what meter has. With only
// nobody else guesses, and it chooses no more than how far; Nobody is no such limit.
func NewAuto(only Guesser, meter *Meter) *Auto {
	return &Auto{only: only, meter: meter, turns: newTurns(), bare: newTurns()}
}

const (
	// firstPath is a path while nothing is known.
	firstPath = 6
	// few measured calls say nothing yet.
	few = 4
	// worth is how much better than no path at all a choice must look: what is
	// expected of it has an error.
	worth = 1.04
	// often and seldom are every how many rounds a neighbouring path is tried, and
	// none.
	often, seldom = 8, 48
	// useful is the probability from which on guessing behind the path pays.
	useful = 0.2
	// unread is a prompt that the base should not wait for while nothing is known.
	unread = 256
	// ownRun is how far the base runs ahead of the walk.
	ownRun = 16
)

// lengths are the paths that are weighed. Beyond the last, even nearly perfect guesses
// bring little.
var lengths = [...]int{0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32}

// Begin implements [Drafter].
func (a *Auto) Begin(t Text) Drafting {
	a.meter.mu.Lock()
	defer a.meter.mu.Unlock()
	a.meter.load.texts++
	return &steered{auto: a, text: t, first: true}
}

// steered is one text's drafting. Its own agreement counts more, the longer it gets.
type steered struct {
	auto      *Auto
	text      Text
	agreement agreement
	first     bool
	own       bool  // the round goes along the base's own tokens
	call      *call // of the base, nil when none is under way
}

// Next implements [Drafting].
func (s *steered) Next(limit int) Draft {
	a := s.auto
	a.meter.mu.Lock()
	defer a.meter.mu.Unlock()
	a.rounds++
	s.own = false
	if limit < 1 {
		return Draft{}
	}
	if s.own = a.only == Own; s.own {
		return Draft{By: Own, Length: ownRun}
	}
	right := s.agreement.share(a.agreement)
	best := 0
	if s.text.Pairs {
		best = a.best(right, limit)
	}
	if s.own = a.only == Nobody && s.alongOwn(); s.own {
		return Draft{By: Own, Length: ownRun}
	}
	if s.first && !a.worthReading(s.text, lengths[best], right) {
		return Draft{}
	}
	if !s.text.Pairs {
		return Draft{}
	}
	at := a.explore(best)
	if best == 0 && at > 0 {
		// So few guesses are made that those of long ago would outweigh them for ever.
		s.agreement.fade()
		a.agreement.fade()
	}
	length := min(lengths[at], limit)
	if a.only == Tuned {
		length = max(length, 1)
	}
	draft := Draft{By: Tuned, Length: length}
	if math.Pow(right, float64(length+1)) >= useful {
		draft.Ahead = length + 1
	}
	return draft
}

// alongOwn says whether the next round goes along the base's own tokens.
func (s *steered) alongOwn() bool {
	m := s.auto.meter
	if m.cost.seen < few {
		return false
	}
	return s.turn().next(int(math.Round(m.load.usual())), m.cost.predict(features{n: 1}))
}

// turn is whose the text is.
func (s *steered) turn() *turn {
	all := &s.auto.turns
	if !s.text.Pairs {
		all = &s.auto.bare // all of the base's own tokens are right
	}
	return all.of(s.auto.meter.load.usual())
}

// best is the index of the path that promises the most tokens a second.
func (a *Auto) best(right float64, limit int) int {
	if a.meter.cost.seen < few {
		return slices.Index(lengths[:], firstPath)
	}
	longest := max(2*a.meter.reached, firstPath)
	best, most := 0, a.rate(0, right)*worth
	for i := 1; i < len(lengths) && lengths[i] <= min(limit, longest); i++ {
		if rate := a.rate(lengths[i], right); rate > most {
			best, most = i, rate
		}
	}
	return best
}

// rate is how many tokens a second a path of γ promises, if all texts that are under way
// chose it.
func (a *Auto) rate(length int, right float64) float64 {
	n := a.meter.load.usual()
	under := features{n: n}
	tokens, waited := 1.0, 0.0
	if length > 0 {
		under.paths, under.tokens = n, n*float64(length)
		whole := math.Pow(right, float64(length+1))
		tokens = (1 - whole) / (1 - right)
		if whole < useful {
			whole = 0
		}
		waited = float64(length) * a.step.value * (1 - whole)
	}
	return tokens / (waited + max(a.meter.cost.predict(under), a.step.value, 1e-6))
}

// worthReading says whether a text's first path is worth that the base waits for the
// pairs, which have to read the prompt first.
func (a *Auto) worthReading(t Text, length int, right float64) bool {
	if !t.Pairs {
		return true
	}
	if a.reading.seen == 0 {
		return t.Prompt < unread
	}
	whole := math.Pow(right, float64(length+1))
	saved := (1-whole)/(1-right) - 1
	return float64(t.Prompt)*a.reading.value < saved/max(a.rate(length, right), 1e-9)
}

// explore is the index of the path to take where best looks best: now and then
// another. Texts that go in step wait for each other's tries, and what one of many does
// hardly shows in what a call takes, so a round of all of them tries the same.
func (a *Auto) explore(best int) int {
	n := int(a.meter.load.usual())
	lap := (a.rounds + n) / n
	switch {
	case a.meter.cost.seen < few:
	case best == 0 && a.rounds%(seldom*n) == 0: // one alone: it may cost many times what none does
		return slices.Index(lengths[:], firstPath) / 2
	case best == 0:
	case lap%seldom == 0:
		return 0
	case lap%often == 0:
		if lap/often%2 == 0 {
			return best - 1
		}
		return min(best+1, len(lengths)-1)
	}
	return best
}

// Sent implements [Drafting].
func (s *steered) Sent(path int) {
	s.auto.meter.mu.Lock()
	defer s.auto.meter.mu.Unlock()
	c := s.auto.meter.load.enter(path, s.own, s.auto.meter.now())
	s.call = &c
}

// Learn implements [Drafting].
func (s *steered) Learn(r Round) {
	a := s.auto
	a.meter.mu.Lock()
	defer a.meter.mu.Unlock()
	under := s.leave()
	if r.Failed {
		return
	}
	if !s.first { // the first has the prompt to read
		s.turn().learn(r, under)
	}
	if r.By != Own {
		s.agreement.add(r.Agreed, r.Walked)
		a.agreement.add(r.Agreed, r.Walked)
	}
	switch {
	case s.first && r.By != Own && s.text.Prompt > 0:
		a.reading.add(r.Stepping.Seconds() / float64(s.text.Prompt))
	case !s.first && r.Steps > 0:
		a.step.add(r.Stepping.Seconds() / float64(r.Steps))
	}
	if !s.first && r.By != Own {
		a.meter.cost.learn(under, r.Base.Seconds())
		a.meter.reached = max(a.meter.reached, r.Path)
	}
	s.first = false
}

// leave counts the call as over, and returns what was under way with it.
func (s *steered) leave() (under features) {
	if s.call != nil {
		under = s.auto.meter.load.leave(*s.call, s.auto.meter.now())
	}
	s.call = nil
	return under
}

// End implements [Drafting].
func (s *steered) End() {
	s.auto.meter.mu.Lock()
	defer s.auto.meter.mu.Unlock()
	s.leave() // of a round that ended in a panic
	s.auto.meter.load.texts--
}
