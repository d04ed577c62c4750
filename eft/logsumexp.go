package eft

import "math"

// LogSumExp returns log Σ exp(x), −∞ for no x or for none above −∞. A NaN or a
// +∞ among x gives NaN or +∞.
func LogSumExp[F float32 | float64](x []F) float64 {
	best := math.Inf(-1)
	for _, v := range x {
		if f := float64(v); f > best {
			best = f
		}
	}
	if math.IsInf(best, 0) {
		// All −∞ (or all NaN, which the sum must not hide), or a +∞.
		for _, v := range x {
			if v != v {
				return math.NaN()
			}
		}
		return best
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - best)
	}
	return best + math.Log(sum)
}
