package decode

import "math"

// cost is what a call of the base takes, as a sum of non-negative parts for what is under
// way with it: least squares over the calls seen, of which older ones fade.
//
//	seconds  =  c₀  +  c₁·n  +  c₂·paths  +  c₃·tokens  +  c₄·(n + tokens)
//
// The last part says no more than c₁ and c₃ together. It is what both become as long as
// they cannot be told apart, as where all texts always had equal paths: n + tokens rows
// are asked for, and until it shows otherwise one costs what another does.
//
// Invariant: c is the best for products and targets unless stale.
type cost struct {
	products square  // Σ xᵢxⱼ
	targets  vector  // Σ xᵢ·seconds
	squares  float64 // Σ seconds²
	c        vector
	stale    bool
	seen     int
	strays   int // calls in a row that took more than outlier allows
}

type (
	vector [parts]float64
	square [parts]vector
)

const (
	parts = 5
	// fading is how much less each older call counts.
	fading = 1 - 1.0/512
	// doubt draws what cannot be told apart towards the constant part and then the rows, which
	// have but little of it.
	doubt, little = 1e-3, 1e-6
	// outlier is how many times the expected time a call may count for.
	outlier = 4
	// believed calls of each that is under way that are all outliers are none: the base has
	// become slower, and what was seen before counts for no more than left calls.
	believed, left = 8, 8
)

func (f features) parts() vector { return vector{1, f.n, f.paths, f.tokens, f.n + f.tokens} }

// learn adds a call that took so many seconds.
func (m *cost) learn(f features, seconds float64) {
	if m.seen >= few {
		seconds = m.doubted(f, seconds)
	}
	m.seen++
	x := f.parts()
	m.keep(fading)
	for i := range parts {
		for j := range parts {
			m.products[i][j] += x[i] * x[j]
		}
		m.targets[i] += x[i] * seconds
	}
	m.squares += seconds * seconds
	m.stale = true
}

// doubted returns what a call of so many seconds counts for.
func (m *cost) doubted(f features, seconds float64) float64 {
	most := outlier * m.predict(f)
	if !(seconds > most) {
		m.strays = 0
		return seconds
	}
	if m.strays++; float64(m.strays) <= believed*max(f.n, 1) {
		return most
	}
	m.strays = 0
	m.keep(left / max(m.products[0][0], left))
	return seconds
}

// keep leaves a share of what was seen.
func (m *cost) keep(share float64) {
	for i := range parts {
		for j := range parts {
			m.products[i][j] *= share
		}
		m.targets[i] *= share
	}
	m.squares *= share
}

// predict is how many seconds a call takes with so much under way.
func (m *cost) predict(f features) float64 {
	if m.stale {
		m.solve()
		m.stale = false
	}
	seconds := 0.0
	for i, x := range f.parts() {
		seconds += m.c[i] * x
	}
	return seconds
}

// solve finds the best non-negative parts. Those that are not 0 in it solve the normal
// equations among themselves, so the best of all such sets is it.
func (m *cost) solve() {
	least := math.Inf(1)
	for set := range 1 << parts {
		c, ok := m.among(set)
		left := m.squares
		for i := range parts {
			left -= c[i] * m.targets[i] // where the normal equations hold
		}
		if ok && left < least {
			least, m.c = left, c
		}
	}
}

// among solves the normal equations of a set of parts by Gaussian elimination; the
// matrix is positive definite by its doubt. It fails if a part comes out negative.
func (m *cost) among(set int) (c vector, ok bool) {
	a, b := m.products, m.targets
	in := func(i int) bool { return set>>i&1 == 1 }
	doubts := vector{0, doubt, doubt, doubt, little}
	for i := range parts {
		a[i][i] *= 1 + doubts[i]
	}
	for k := range parts {
		for i := k + 1; i < parts && in(k) && a[k][k] > 0; i++ {
			if !in(i) {
				continue
			}
			factor := a[i][k] / a[k][k]
			for j := k; j < parts; j++ {
				a[i][j] -= factor * a[k][j]
			}
			b[i] -= factor * b[k]
		}
	}
	for k := parts - 1; k >= 0; k-- {
		if !in(k) {
			continue
		}
		rest := b[k]
		for j := k + 1; j < parts; j++ {
			rest -= a[k][j] * c[j]
		}
		if c[k] = rest / a[k][k]; !(c[k] >= 0) || math.IsInf(c[k], 0) {
			return c, false
		}
	}
	return c, true
}
