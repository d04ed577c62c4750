package eft

import "math"

// negligible is how far below the best a score adds nothing to a sum: a million ids
// at e⁻⁵⁰ are 2e-16 of the best one alone.
const negligible = -50

// powers holds 2^(i/16).
var powers = [16]float64{
	1.0, 1.0442737824274138, 1.0905077326652577, 1.1387886347566916,
	1.189207115002721, 1.241857812073484, 1.2968395546510096, 1.3542555469368927,
	1.4142135623730951, 1.4768261459394993, 1.5422108254079407, 1.6104903319492543,
	1.681792830507429, 1.7562521603732995, 1.8340080864093424, 1.9152065613971474,
}

// exponentials replaces x by exp(x − best), which no x is above, 0 where that is
// negligible, and returns their sum. It agrees with [math.Exp] to 1e-15 and takes half
// its time:
//
//	exp(y) = 2^(n/16)·exp(r), n = round(16·y/log 2), |r| ≤ log 2 / 32
//
// with n's whole sixteenths added to the exponent of a table's entry, and Taylor's
// polynomial for exp(r), whose seventh term is below 5e-16.
func (x *block) exponentials(best float64) float64 {
	const (
		high  = 0.04332169877307024 // log 2 / 16, its last 21 bits 0: n times it is exact
		low   = 1.1926343307941173e-11
		round = 3 << 51 // adding it leaves the whole part in the last bits
	)
	sum, other := 0.0, 0.0
	for i := 0; i < blockSize; i += 2 {
		for j := i; j < i+2; j++ {
			y := x[j] - best
			if y < negligible {
				x[j] = 0
				continue
			}
			shifted := float64(y*(1/math.Ln2*16)) + round
			n := shifted - round
			r := (y - float64(n*high)) - float64(n*low)
			square := float64(r * r)
			p := (1 + r) + float64(square*((0.5+float64(r*(1.0/6)))+float64(square*((1.0/24+float64(r*(1.0/120)))+float64(square*(1.0/720))))))
			bits := int64(math.Float64bits(shifted)<<13) >> 13
			scale := math.Float64frombits(uint64(int64(math.Float64bits(powers[bits&15])) + bits>>4<<52))
			x[j] = float64(scale * p)
		}
		sum, other = sum+x[i], other+x[i+1]
	}
	return sum + other
}
