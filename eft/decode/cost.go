package decode

import "math"

// cost is what a call of the base takes, as a sum of non-negative parts for what is under
// way with it: least squares over the calls seen, of which older ones fade.
//
//	seconds  =  c₀  +  c₁·n  +  c₂·paths  +  c₃·tokens
//
// Invariant: c is the best for products and targets unless stale.
type cost struct {
	products square  // Σ xᵢxⱼ
	targets  vector  // Σ xᵢ·seconds
	squares  float64 // Σ seconds²
	c        vector
	stale    bool
	seen     int
}

type (
	vector [parts]float64
	square [parts]vector
)

const (
	parts = 4
	// fading is how much less each older call counts.
	fading = 1 - 1.0/512
	// doubt draws what cannot be told apart towards the constant part.
	doubt = 1e-6
	// outlier is how many times the expected time a call may count for.
	outlier = 4
)

func (f features) parts() vector { return vector{1, f.n, f.paths, f.tokens} }

// learn adds a call that took so many seconds.
func (m *cost) learn(f features, seconds float64) {
	if m.seen >= few {
		seconds = min(seconds, outlier*m.predict(f))
	}
	m.seen++
	x := f.parts()
	for i := range parts {
		for j := range parts {
			m.products[i][j] = m.products[i][j]*fading + x[i]*x[j]
		}
		m.targets[i] = m.targets[i]*fading + x[i]*seconds
	}
	m.squares = m.squares*fading + seconds*seconds
	m.stale = true
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
// equations among themselves, so the best of all such sets, sixteen, is it.
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
	for i := 1; i < parts; i++ {
		a[i][i] *= 1 + doubt
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
