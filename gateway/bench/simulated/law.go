package simulated

import "time"

// Law says how long a pass takes. The zero value takes no time.
type Law struct {
	Pass  time.Duration // of a pass with one token
	Token time.Duration // for each further one
}

// Takes is how long a pass takes that computes so many tokens, one at least.
func (l Law) Takes(tokens int) time.Duration {
	return l.Pass + time.Duration(tokens-1)*l.Token
}
