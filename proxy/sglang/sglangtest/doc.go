// Package sglangtest is an SGLang server over a model that is a Go function, for
// tests: it answers what SGLang 0.5 answers, computed and not canned. What it does
// with positions, temperature, bias, prefixes and streams follows that version's
// scheduler, sampler and tokenizer manager.
package sglangtest
