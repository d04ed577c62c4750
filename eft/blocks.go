package eft

import "math"

// blockSize is how many ids share a bound of their scores and of their noise. Most
// blocks are ruled out by the two and never looked into. It is part of what the noise
// is: another size gives other tokens.
const blockSize = 64

// block holds the scores of the ids k·blockSize … (k+1)·blockSize, −∞ for those that
// have no chance or do not exist.
type block [blockSize]float64

// blocks counts the blocks of n ids.
func blocks(n int) int { return (n + blockSize - 1) / blockSize }

// plainMixBlocks writes the greatest score w·b + (tuned·t − untuned·u) of each block to
// maxima, which has one place for every blockSize entries of b. Blocks with a NaN or
// with an infinity in u, which [Mixer.fill] must look at, get NaN. It returns the
// greatest b above best and its block, best and −1 if there is none.
//
// Products are converted so that no processor fuses them with the sum: an id's score
// has the same bits here, in Mixer.fill and on every machine.
func plainMixBlocks(b, t, u []float32, w float64, pair Weights, maxima []float64, best float32) (float32, int) {
	at := -1
	for k := range maxima {
		bs := (*[blockSize]float32)(b[k*blockSize:])
		ts := (*[blockSize]float32)(t[k*blockSize:])
		us := (*[blockSize]float32)(u[k*blockSize:])
		// The least of the negated scores, since min is cheaper than max; two of
		// them, so that one need not wait for the other.
		least, other := math.Inf(1), math.Inf(1)
		doubt := 0.0
		for i := 0; i < blockSize; i += 2 {
			if bs[i] > best {
				best, at = bs[i], k
			}
			if bs[i+1] > best {
				best, at = bs[i+1], k
			}
			u0, u1 := float64(us[i]), float64(us[i+1])
			doubt += u0 + u1
			s0 := (float64(pair.Untuned*u0) - float64(pair.Tuned*float64(ts[i]))) - float64(w*float64(bs[i]))
			s1 := (float64(pair.Untuned*u1) - float64(pair.Tuned*float64(ts[i+1]))) - float64(w*float64(bs[i+1]))
			least, other = min(least, s0), min(other, s1)
		}
		maxima[k] = -min(least, other)
		if doubt-doubt != 0 {
			maxima[k] = math.NaN()
		}
	}
	return best, at
}

// plainFillBlock writes the scores w·b + (tuned·t − untuned·u) of a block to x. It
// returns false where plainMixBlocks would find doubt: x is to be made otherwise then.
func plainFillBlock(x *block, b, t, u *[blockSize]float32, w float64, pair Weights) bool {
	doubt, sound := 0.0, true
	for i := range x {
		v := float64(u[i])
		doubt += v
		x[i] = float64(w*float64(b[i])) + (float64(pair.Tuned*float64(t[i])) - float64(pair.Untuned*v))
		sound = sound && x[i] == x[i]
	}
	return sound && doubt-doubt == 0
}

// greatest returns the place of the largest value, the lowest among equals, and the
// value: 0 and −∞ if all are. NaN never wins.
func greatest(x []float64) (int, float64) {
	at, best := 0, math.Inf(-1)
	for i, v := range x {
		if v > best {
			at, best = i, v
		}
	}
	return at, best
}

func (b *block) greatest() (int, float64) { return greatest(b[:]) }
