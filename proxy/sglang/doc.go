// Package sglang asks SGLang servers for rows, over their own /generate.
//
// One request scores a whole path behind a prefix that the server has in its cache:
// with logprob_start_len = P−1, where P tokens are the prefix and n more the path,
//
//	tokens                 x₀ … x_{P−1} │ y₀  …  y_{n−1}
//	input_top_logprobs[0]  null           (it stands for x_{P−1}, whose row was not computed)
//	input_top_logprobs[1]  the row behind x₀ … x_{P−1}, which y₀ was scored by
//	input_top_logprobs[i]  the row behind the first P+i−1 tokens, i = 1 … n
//	output_top_logprobs[0] the row behind all P+n tokens
//
// and input_token_logprobs names x_{P−1}, y₀ … y_{n−1} beside them, so that every
// answer shows that it is counted as meant. The server computes from position P−1
// on, which is also how much of its cache it may use.
//
// Log-probs of sampled tokens are taken after temperature, penalties and bias, those
// of greedy ones are not divided; temperature 1 with top_k 1 is greedy in every batch
// and divides by nothing, so rows are raw. Bias and penalties are switched off by
// name, since a server may have been started with other defaults.
package sglang
