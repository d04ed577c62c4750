package cli

import (
	"sync/atomic"

	"github.com/graft-gateway/graft/eft"
)

// ownAgreement is how often the embedded small-chat guesses the proxied token: .88 to .93
// of positions, by temperature.
const ownAgreement = .9

// lower gives a drafter of the embedded family an agreement that is lower than its own,
// nil for 0: guesses are spoilt at random, each by itself. What came of it is measured.
func lower(agreement float64) garble {
	if agreement == 0 {
		return nil
	}
	var drawn atomic.Uint64
	spoilt := 1 - agreement/ownAgreement
	return func(_ int, guess eft.Token) eft.Token {
		if uniform(drawn.Add(1)) >= spoilt {
			return guess
		}
		if guess > 0 {
			return guess - 1
		}
		return 1
	}
}

// uniform is a number of [0, 1) that looks random to each n (Steele, Lea and Flood,
// "Fast splittable pseudorandom number generators", 2014).
func uniform(n uint64) float64 {
	n *= 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	n ^= n >> 31
	return float64(n>>11) / (1 << 53)
}
