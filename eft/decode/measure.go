package decode

import (
	"sync"
	"time"
)

// Meter measures one base for all drafters of texts over it: what is under way there, and
// what a call takes.
//
// Invariant: load counts the rounds between Sent and Learn of all texts.
type Meter struct {
	now func() time.Time

	mu   sync.Mutex // guards all below, and what the drafters measure
	load load
	cost cost
	// reached is the longest path of a call that was seen. What much longer ones take is not
	// known, and not tried at once.
	reached int
}

// NewMeter returns a meter that has seen nothing.
func NewMeter() *Meter { return &Meter{now: time.Now} }

// average weighs each new value by at least recent.
type average struct {
	value float64
	seen  int
}

const recent = 1.0 / 64

func (m *average) add(x float64) {
	m.seen++
	m.value += (x - m.value) * max(1/float64(m.seen), recent)
}

// agreement is how often guesses were right.
type agreement struct{ right, all float64 }

const (
	// remembered guesses count; older ones fade.
	remembered = 400
	// trusted guesses of others count for a text as much as its own.
	trusted = 16
	// supposed is the share of right guesses while none was seen, and surest the most
	// that is ever supposed.
	supposed, surest = 0.75, 0.995
	// untried is what is left of the guesses seen by each try of a path where none looks best.
	untried = 7.0 / 8
)

func (g *agreement) fade() { g.right, g.all = g.right*untried, g.all*untried }

func (g *agreement) add(right, all int) {
	if over := g.all + float64(all) - remembered; over > 0 {
		fade := 1 - over/(g.all+float64(all))
		g.right, g.all = g.right*fade, g.all*fade
	}
	g.right += float64(right)
	g.all += float64(all)
}

// share is the text's share of right guesses, or rather the others' as long as it has
// few.
func (g agreement) share(others agreement) float64 {
	prior := (others.right + supposed*2) / (others.all + 2)
	return min((g.right+prior*trusted)/(g.all+trusted), surest)
}

// features are what a call of the base may take time for.
type features struct {
	n      float64 // calls under way
	paths  float64 // of them, those with a path
	tokens float64 // of all paths together
	own    float64 // calls along the base's own tokens
}

func (f features) plus(g features, times float64) features {
	return features{f.n + g.n*times, f.paths + g.paths*times, f.tokens + g.tokens*times, f.own + g.own*times}
}

// load is what is under way. Calls come and go while others last, so a call's share of
// the load is the mean over its time: area is the sum over all time until at.
type load struct {
	now   features
	area  features
	at    time.Time
	texts int     // that have begun and not ended
	busy  average // share of them that were under way, for each call that has ended
}

// usual is how many calls are under way together, one at least. It follows the number of
// texts at once: to those that come in a crowd, the path that a lone text had paid for
// would cost many times as much.
func (l *load) usual() float64 {
	share := 1.0
	if l.busy.seen > 0 {
		share = l.busy.value
	}
	return max(share*float64(l.texts), 1)
}

// call is one call under way.
type call struct {
	path  int
	own   bool
	began time.Time
	area  features // when it began
}

func (l *load) pass(now time.Time) {
	if !l.at.IsZero() {
		l.area = l.area.plus(l.now, now.Sub(l.at).Seconds())
	}
	l.at = now
}

func (p call) features() features {
	f := features{n: 1}
	if p.path > 0 {
		f.paths, f.tokens = 1, float64(p.path)
	}
	if p.own {
		f.own = 1
	}
	return f
}

// enter begins a call.
func (l *load) enter(path int, own bool, now time.Time) call {
	l.pass(now)
	c := call{path, own, now, l.area}
	l.now = l.now.plus(c.features(), 1)
	return c
}

// leave ends a call and returns the mean of what was under way with it.
func (l *load) leave(c call, now time.Time) features {
	l.pass(now)
	l.now = l.now.plus(c.features(), -1)
	mean := c.features()
	if lasted := now.Sub(c.began).Seconds(); lasted > 0 {
		mean = features{}.plus(l.area.plus(c.area, -1), 1/lasted)
	}
	l.busy.add(min(mean.n/float64(max(l.texts, 1)), 1))
	return mean
}
