package onnx

import "math"

// widen converts half-precision numbers (IEEE 754 binary16) to dst, exactly.
func widen(dst []float32, src []uint16) {
	// Shifted into the place of a float32's exponent and fraction, a half is too
	// small by 2^112; one product mends that, subnormal numbers included.
	const scale = 1 << 112
	for i, h := range src {
		bits := uint32(h&0x7fff) << 13
		f := math.Float32frombits(bits) * scale
		if h&0x7c00 == 0x7c00 { // infinite or not a number
			f = math.Float32frombits(bits | 0x7f800000)
		}
		dst[i] = math.Float32frombits(math.Float32bits(f) | uint32(h&0x8000)<<16)
	}
}
