// Package simulated is a large base for measuring against: the rows are a small model's,
// and the time is a large one's. It is an HTTP server that speaks as vLLM does and as
// SGLang does, at one address, over one engine.
//
// The engine computes in passes. A pass begins as soon as anything waits, takes
// everything that does, and ends
//
//	pass + token · (tokens − 1)
//
// later, where tokens counts what it computes: one for each answer that goes on, and of
// each new prompt what is not cached. What comes during a pass waits for the next:
//
//	requests   a b       c              d
//	           ↓ ↓       ↓              ↓
//	passes     |--- a ---|--- a b ---|-- a b c --|--- c d ---|
//
// Prefixes are cached in blocks of 16 tokens. The rules are those of vLLM's V1 engine:
//
//   - of n tokens, whole blocks of the first n−1 are reused: the last token must be
//     computed for its row, so a prompt of whole blocks that is cached entirely costs its
//     last block again;
//   - a block counts as cached from the moment that a pass is to fill it, so a later
//     prompt of the same pass can have it: of a list of prefixes, all but the first pay
//     for their tokens behind the last whole block, and no more;
//   - a pass computes so many tokens at most; longer prompts go on in the next, and
//     answers that go on are served first;
//   - salts part the cache.
//
// SGLang's own cache has no blocks by default. It is given the same here, so that both
// ways of checking a path are compared over the same cache: a list of prefixes pays for
// the tail of each, one pass over the path for each token once. The reuse of a request
// that wants rows from position p on ends before p, as in SGLang.
//
// What the engine owes in rows is computed within the pass: real sequences follow the
// texts, and rows are kept by prefix for some time, since the simulated engine computes
// many again that a cache of rows has. If that takes longer than the pass, the pass is
// longer, and [Stats] counts it as an overrun: figures with overruns are of the machine
// as well, and not of the simulated one alone.
//
// A row is a function of its prefix, as far as the model's rows are. A base has its own
// noise: seeds are mixed with a constant, so that a gateway which draws with the same
// hash gains nothing from it over this server that it would not over a real one.
package simulated
