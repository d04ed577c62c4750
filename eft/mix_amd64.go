package eft

import "golang.org/x/sys/cpu"

// mixBlocks is [plainMixBlocks], four or eight ids an instruction where the processor
// can. It does the same operations on every id in the same order, and so gives the same
// bits.
func mixBlocks(b, t, u []float32, w float64, pair Weights, maxima []float64, best float32) (float32, int) {
	if !cpu.X86.HasAVX2 || len(maxima) == 0 {
		return plainMixBlocks(b, t, u, w, pair, maxima, best)
	}
	last := len(maxima)*blockSize - 1
	_, _, _ = b[last], t[last], u[last]
	return mixBlocksAVX2(&b[0], &t[0], &u[0], w, pair.Tuned, pair.Untuned, &maxima[0], len(maxima), best)
}

// mixBlocksAVX2 reads n blocks. Where [plainMixBlocks] would find doubt it writes NaN.
//
//go:noescape
func mixBlocksAVX2(b, t, u *float32, w, tuned, untuned float64, maxima *float64, n int, best float32) (top float32, at int)

// fillBlock writes the scores w·b + (tuned·t − untuned·u) of a block to x. It returns
// false, and x is to be made otherwise, where [plainMixBlocks] would find doubt.
func fillBlock(x *block, b, t, u *[blockSize]float32, w float64, pair Weights) bool {
	if !cpu.X86.HasAVX2 {
		return plainFillBlock(x, b, t, u, w, pair)
	}
	return fillBlockAVX2(x, &b[0], &t[0], &u[0], w, pair.Tuned, pair.Untuned)
}

//go:noescape
func fillBlockAVX2(x *block, b, t, u *float32, w, tuned, untuned float64) (sound bool)

// exponentials is [block.plainExponentials], four ids an instruction.
func (x *block) exponentials(best float64) float64 {
	if !cpu.X86.HasAVX2 {
		return x.plainExponentials(best)
	}
	return exponentialsAVX2(x, best)
}

//go:noescape
func exponentialsAVX2(x *block, best float64) float64
