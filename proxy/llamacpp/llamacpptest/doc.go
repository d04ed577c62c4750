// Package llamacpptest is a llama-server over a model that is a Go function, for
// tests: it answers what llama-server answers, computed and not canned. What it does
// with slots, biases, grammars, streams and characters that a token leaves open was
// seen of a real one.
package llamacpptest
