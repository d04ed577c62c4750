//go:build !amd64

package eft

// mixBlocksDense is [mixBlocks] of a dense base's row.
func mixBlocksDense(b, t, u []float32, w float64, pair Weights, maxima []float64, best float32) (float32, int) {
	return mixBlocks(b, t, u, w, pair, maxima, best)
}

// fillBlock is [plainFillBlock].
func fillBlock(x *block, b, t, u *[blockSize]float32, w float64, pair Weights) bool {
	return plainFillBlock(x, b, t, u, w, pair)
}

// exponentials is [block.plainExponentials].
func (x *block) exponentials(best float64) float64 { return x.plainExponentials(best) }
