// Package decode is the loop that turns prompts into tokens: propose a path, fetch
// every model's rows for it side by side, walk it, commit.
//
// A path is a guess of the tokens to come. Rows for all of it are fetched at once,
// and the walk takes the pure function's token ([eft.Sampler]) at each position:
//
//	generated  …  t₄ t₅ │ path g₁   g₂   g₃
//	rows                │ r₀   r₁   r₂   r₃
//	walk                │ x₀=g₁ x₁=g₂ x₂≠g₃       commits x₀ x₁ x₂
//
// x₂ is right although the guess was wrong, since r₂ follows g₂ = x₁. So a path
// makes decoding faster and cannot change a token; the empty path is ordinary
// decoding.
//
// The package declares what it needs ([Base], [Small], [Drafter]); it knows no
// model, server or HTTP.
package decode
