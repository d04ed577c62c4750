package eft

import "math"

// gumbelMax is above every value that [noise.gumbel] can take: its uniform numbers
// end at 1 − 2⁻⁵³, and −log(−log(1 − 2⁻⁵³)) = 36.74.
const gumbelMax = 37

// noise is the Gumbel noise of one position: a function of seed, position and id.
type noise struct{ state uint64 }

func newNoise(seed uint64, position int) noise {
	return noise{mix64(mix64(seed) + uint64(position)*0xd1342543de82ef95)}
}

// gumbel returns −log(−log u) with u uniform in (0, 1) drawn for id. The argmax of
// log p(x) + gumbel(x) is distributed as p (Maddison et al. 2014, arXiv 1411.0030).
func (n noise) gumbel(id Token) float64 {
	bits := mix64(n.state + uint64(id+1)*goldenGamma)
	// 52 bits and a half: with a bit more the largest u would round to 1, and its
	// noise to +∞.
	u := (float64(bits>>12) + 0.5) * (1.0 / (1 << 52))
	return -math.Log(-math.Log(u))
}

// goldenGamma is the increment of SplitMix64, whose output function mix64 is
// (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
const goldenGamma = 0x9e3779b97f4a7c15

func mix64(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// ChoiceSeed is the seed of answer i where a request has several. Answer 0 has the
// request's own seed, so that asking for more answers does not change the first.
func ChoiceSeed(seed uint64, i int) uint64 {
	if i == 0 {
		return seed
	}
	return mix64(seed + uint64(i)*goldenGamma)
}
