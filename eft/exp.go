package eft

import "math"

// negligible is how far below the best a score adds nothing to a sum: a million ids
// at e⁻⁵⁰ are 2e-16 of the best one alone.
const negligible = -50

// plainExponentials replaces x by exp(x − best), which no x is above, 0 where that is
// negligible, and returns their sum. It agrees with [math.Exp] to 1e-15:
//
//	exp(y) = 2^(n/4)·exp(r), n = round(4·y/log 2), |r| ≤ log 2 / 8
//
// with n's whole quarters added to the exponent of a table's entry, and Taylor's
// polynomial for exp(r), whose ninth term is below 8e-16.
func (x *block) plainExponentials(best float64) float64 {
	const (
		high  = 0.17328679509228095 // log 2 / 4, its last 21 bits 0: n times it is exact
		low   = 4.770537323176469e-11
		round = 3 << 51 // adding it leaves the whole part in the last bits
	)
	powers := [4]float64{1.0, 1.189207115002721, 1.4142135623730951, 1.681792830507429}
	var sums [4]float64
	for i := range x {
		y := x[i] - best
		if !(y >= negligible) {
			x[i] = 0
			continue
		}
		shifted := float64(y*(4/math.Ln2)) + round
		n := shifted - round
		r := (y - float64(n*high)) - float64(n*low)
		square := float64(r * r)
		p := (1.0/720 + float64(r*(1.0/5040))) + float64(square*(1.0/40320))
		p = (1.0/24 + float64(r*(1.0/120))) + float64(square*p)
		p = (0.5 + float64(r*(1.0/6))) + float64(square*p)
		p = (1 + r) + float64(square*p)
		bits := math.Float64bits(shifted)
		e := float64(math.Float64frombits(math.Float64bits(powers[bits%4])+bits>>2<<52) * p)
		x[i] = e
		sums[i%4] += e
	}
	return (sums[0] + sums[2]) + (sums[1] + sums[3])
}
