// Package openaitest is a server of OpenAI's legacy completions over a model that is a
// Go function, for tests: it answers as one of the many kinds of such servers does, by
// its options, computed and not canned.
package openaitest
