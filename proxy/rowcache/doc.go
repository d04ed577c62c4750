// Package rowcache keeps a base model's rows by prefix, so that what was asked once is
// not asked again: not by another strength, another seed, another replica, nor by two
// texts at the same time.
//
//	generated  …  t₄ t₅ │ path g₁   g₂   g₃
//	keys             k₀ │      k₁   k₂   k₃     a hash of scope, prompt and all tokens before
//	tier            hit │      hit  miss hit
//	source              │           └─────────  asked for g₂'s row and all behind it
//
// A row is a function of its prefix and of what [Scope] says, and all of that is in the
// key. So a value can be old and never out of date, and with or without the cache the
// rows are the same to the last bit.
//
// The [Source] is opened when something must be asked and not before: a text whose rows
// are all known costs the base nothing.
//
// A stored row holds the k best or all scores, and what was asked for by name at that
// prefix. Rows hands out the former alone; names are handed out by Named, to whoever
// asks for them.
package rowcache
