// Package chain names prefixes of texts: a key for every prefix of tokens, such that
// equal prefixes in one scope have equal keys, on any machine, and all others differ.
//
// A hash chain runs over blocks of [Block] tokens:
//
//	h₀ = HMAC-SHA256(secret, version ‖ block size ‖ scope)
//	hᵢ = SHA-256(hᵢ₋₁ ‖ the tokens of block i)
//
// and the key of a prefix that ends inside a block is SHA-256(hᵢ ‖ its tokens behind
// block i), so that a key costs one hash of at most [Block] tokens however long the
// prefix is:
//
//	tokens   t₁ … t₆₄ │ t₆₅ … t₁₂₈ │ t₁₂₉ t₁₃₀
//	state    h₁       │ h₂         │
//	keys     k₁ … h₁  │ k₆₅ … h₂   │ k₁₂₉ k₁₃₀
//
// A whole block's key is the state itself, and no two inputs of SHA-256 can be equal
// unless prefix and scope are: h₀ is 32 bytes that nobody can make without the
// secret, and behind it the length tells the number of tokens.
//
// The scope is a list of fields: what is kept under the keys, whose it is, and all
// that it depends on but tokens. Its encoding is unambiguous: ("ab", "c") is another
// scope than ("a", "bc").
package chain

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"github.com/graft-gateway/graft/eft"
)

const (
	// Block is the number of tokens in a block.
	Block = 64

	version   = "graft chain 1"
	tokenSize = 4
)

// Key names a prefix within a scope.
type Key [sha256.Size]byte

// Chain is a prefix that grows. A copy is a prefix of its own that grows from here.
// The zero value is no chain: [Start] makes one.
type Chain struct {
	// block holds h of the whole blocks, and behind it the tokens since.
	block  [sha256.Size + Block*tokenSize]byte
	length int
}

// Start returns the empty prefix of a scope. The secret keeps others from computing
// keys; it panics without one, since keys that anybody can compute let clients find
// out by timing what others asked.
func Start(secret []byte, scope ...string) Chain {
	if len(secret) == 0 {
		panic("chain: empty secret")
	}
	mac := hmac.New(sha256.New, secret)
	var number [8]byte
	write := func(n int) {
		binary.BigEndian.PutUint64(number[:], uint64(n))
		mac.Write(number[:])
	}
	mac.Write([]byte(version))
	write(Block)
	write(len(scope))
	for _, field := range scope {
		write(len(field))
		mac.Write([]byte(field))
	}
	var c Chain
	mac.Sum(c.block[:0])
	return c
}

// Append makes the prefix longer.
func (c *Chain) Append(tokens ...eft.Token) {
	for _, token := range tokens {
		binary.LittleEndian.PutUint32(c.block[c.used():], uint32(token))
		if c.length++; c.length%Block == 0 {
			h := sha256.Sum256(c.block[:])
			copy(c.block[:], h[:])
		}
	}
}

// Key returns the key of the prefix. It allocates nothing.
func (c *Chain) Key() Key {
	if c.length%Block == 0 {
		return Key(c.block[:sha256.Size])
	}
	return sha256.Sum256(c.block[:c.used()])
}

// Len returns the number of tokens in the prefix.
func (c *Chain) Len() int { return c.length }

// used counts the bytes of block that belong to the prefix.
func (c *Chain) used() int { return sha256.Size + c.length%Block*tokenSize }
