// Package vllm speaks to vLLM's OpenAI server, and to another Graft, whose
// completions have the same extensions.
//
// All rows come from POST /v1/completions, with prompts and answers in token ids
// (return_tokens_as_token_ids), so that no text is ever cut or joined:
//
//	rows of a path         a list of prefixes, max_tokens 1: the server's cache has
//	                       the common prefix, and one batch computes the rest.
//	                       prompt_logprobs would look simpler and bypasses that cache
//	base's continuation    one stream; an event may carry several tokens
//	tokens by name         logprob_token_ids, which replaces the k best in its
//	                       request: names are a request of their own, and used where
//	                       they leave other requests' rows alone, by a proof
//	tenants                cache_salt, a hash
//
// What a server can do is found by asking it. vLLM refuses more log-probs than
// --max-logprobs with a text that names the cap and, where the whole vocabulary was
// asked for, the vocabulary's size. A bias that changes log-probs unmasks
// --logprobs-mode processed_…, and rows whose probabilities do not add up unmask
// logits: rows of either kind would not be the base's distribution. A stream with names
// asked for beside it unmasks the model runner that gives names' log-probs to everybody:
// there other clients' names spoil rows, too, and rows that come short are asked for again.
package vllm
