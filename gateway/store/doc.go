// Package store keeps bytes by key for the caches above it: in this process, in a
// Redis that all replicas share, or in both. It knows nothing of what the bytes mean.
//
//	            Get                              Set
//	             │                                │ a copy
//	memory ── hit ──▶ value                       ├──▶ memory
//	  │ miss                                      └──▶ queue ··· writers ··▶ Redis
//	Redis ── hit, seal checked ──▶ value, and to memory
//	  │ miss, late, broken, forged
//	  ▼
//	 miss
//
// A cache may be slow, full, wrong, poisoned or away, and no caller can tell but by
// the time it takes:
//
//	| Redis is     | a Get costs                                                      |
//	|--------------|------------------------------------------------------------------|
//	| well         | one round trip                                                   |
//	| slow or hung | the deadline (4 ms), twice; then nothing, the breaker being open |
//	| away         | a refused connection, twice; then nothing                        |
//	| full         | a round trip; one write in each wait finds out if there is room  |
//	| poisoned     | a round trip; the seal fails, which is a miss and is counted     |
//
// What is late with some values alone is slow, too: time that was lost is paid back by
// values that came, and by little else. No request looks whether Redis is well again: the
// writers do, off every request's path, and what they repeat are reads that were lost.
//
// In a cluster each node has a breaker of its own, so that a lost master takes its
// share of the keys and no more.
//
// Values are sealed with a keyed MAC over key and value. Whoever can write to Redis
// can therefore make the cache forget, and never make it say what nobody stored.
package store
