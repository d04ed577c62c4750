package eft

import (
	"math"
	"math/bits"
)

// noise is the Gumbel noise of one position: a function of seed, position and id, and
// of nothing else, so that positions that are drafted and models that guess share it.
//
// The noise of an id is −log x with x exponentially distributed, and ids are drawn a
// block at a time: the least x of n such numbers is exponential with rate n, any of the
// n has it with equal chance, and the others are above it by exponential numbers of
// their own, since the exponential distribution has no memory. That gives the same
// independent Gumbel noise as drawing each id's, but the greatest noise of a block is
// known before any other:
//
//	x(leader) = least = −log(u)/64            u, leader: hashed from the block
//	x(id)     = least − log(v)                v: hashed from the id
type noise struct{ blocks, ids uint64 }

func newNoise(seed uint64, position int) noise {
	state := mix64(mix64(seed) + uint64(position)*0xd1342543de82ef95)
	return noise{state, mix64(state ^ 0x94d049bb133111eb)}
}

// hash returns what decides the greatest noise of block k and which id has it.
func (n noise) hash(k int) uint64 { return mix64(n.blocks + uint64(k+1)*goldenGamma) }

// greatest opens a block's hash: the least x of its ids, and the id's place that has it.
// Its last bits, which the place is taken from, are not in the number.
func (n noise) greatest(hash uint64) (least float64, leader int) {
	return -math.Log(uniform(hash)) / blockSize, int(hash % blockSize)
}

// bound returns a number that no noise in the hash's block is above: −log x for the
// least x, with 1 − u ≤ −log u taken in powers of two.
func (n noise) bound(hash uint64) float64 {
	// 1 − u = (rest + ½)/2⁵² ≥ 2^(length of rest − 53)
	rest := ^hash >> 12
	return float64(bits.Len64(rest))*-math.Ln2 + (53*math.Ln2 + logBlockSize + slack)
}

// slack makes bounds safe from the last bit of the logarithms that they leave out.
const slack = 1e-9

const logBlockSize = 6 * math.Ln2

// other returns the noise of an id that does not lead its block.
func (n noise) other(id Token, least float64) float64 {
	return -math.Log(least - math.Log(uniform(mix64(n.ids+uint64(id+1)*goldenGamma))))
}

// of returns the noise of id.
func (n noise) of(id Token) float64 {
	least, leader := n.greatest(n.hash(int(id) / blockSize))
	if int(id)%blockSize == leader {
		return -math.Log(least)
	}
	return n.other(id, least)
}

// uniform returns a number in (0, 1) from the first 52 bits of a hash. With a bit more
// the largest would round to 1, and its noise to +∞.
func uniform(hash uint64) float64 { return (float64(hash>>12) + 0.5) * (1.0 / (1 << 52)) }

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
