// Package eft is the method: it turns the scores of a large base model and of
// pairs of small models into the next token.
//
// At every position of a text each model has a [Row] of scores over one shared
// [Vocabulary]. A [Mix] adds them up,
//
//	log p(x) = w·log base(x) + Σᵢ ( tᵢ·log tunedᵢ(x) − uᵢ·log untunedᵢ(x) ) + const
//
// and a [Sampler] takes the token. With tᵢ = uᵢ = α this is proxy-tuning at
// strength α (Liu et al. 2024, arXiv 2401.08565); with w = tᵢ = β and uᵢ = 1
// … β it is the amplification of emulated fine-tuning (Mitchell et al. 2023,
// arXiv 2310.12962).
//
// The package is pure: no I/O, no clock, no goroutine. The next token is a
// function of the rows, the tokens generated so far, the parameters, the seed
// and the position, and of nothing else:
//
//	score(x) = log p(x) / temperature + gumbel(seed, position, x)
//	next     = argmax score, the lowest id among equals
//
// so a row fetched earlier, later, alone or in a batch gives the same token.
//
//	| word       | here                                                         |
//	|------------|--------------------------------------------------------------|
//	| row        | one position's scores over the vocabulary                    |
//	| dense      | a row with a score for every id                              |
//	| truncated  | a row with the best ids only, and the mass of its tail       |
//	| tail       | the ids a truncated row does not list                        |
//	| pair       | a tuned and an untuned small model (expert and anti-expert)  |
//	| strength   | α, the weight of a pair's shift                              |
package eft
