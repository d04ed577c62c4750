//go:build !amd64

package eft

// mixBlocks is [plainMixBlocks].
func mixBlocks(b, t, u []float32, w float64, pair Weights, maxima []float64, best float32) (float32, int) {
	return plainMixBlocks(b, t, u, w, pair, maxima, best)
}

// fillBlock is [plainFillBlock].
func fillBlock(x *block, b, t, u *[blockSize]float32, w float64, pair Weights) bool {
	return plainFillBlock(x, b, t, u, w, pair)
}

// exponentials is [block.plainExponentials].
func (x *block) exponentials(best float64) float64 { return x.plainExponentials(best) }
