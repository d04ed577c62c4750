// Package openai asks any server with an OpenAI-like /completions for rows, whatever
// it gives. Nothing is believed of it that was not tried at recognition:
//
//	prompts     ids, proven by usage.prompt_tokens; or text, if the server tells how it
//	            cuts text and that gives the very ids; nothing else
//	log-probs   {tokens, token_logprobs, top_logprobs: [{…}]} or {content: [{…}]}
//	tokens      ids ("token_id:N", token_id, id), bytes ("bytes:\xe2\x80", [226, 128]), text
//	k           the most that it gives of what was asked for
//	raw         temperature 0, or 1 where temperature 0 makes a row of one token
//	batches     several prompts in one request, if their rows come out the same
//	end tokens  that a server does not tell: by a bias on another token, if rows stay raw by
//	            it, or by ignore_eos, if it shows the end token as the best
//
// A chat endpoint cannot be used: it puts its own template round every prompt. echo is
// never asked for: it reads the whole prompt again, and some servers ignore it.
//
// # What is not mapped
//
// Text names a token only if it is that token's bytes and no other's, and could not be
// what is left of one that ends within a character. The entries of a row that cannot be
// mapped are no guess: the row ends above the first of them, by log-prob, and is the
// exact list of the best down to there, with the rest in its tail. So a token in the
// tail is never taken for better than a listed one. If the best of all cannot be
// mapped, or one as good, there is no such row, and the error names the text. Where
// tokens that share a name were merged into one entry, which shows by the number of
// entries, only the server's own choice is sure, and the row is that alone.
package openai
