// The simulated cache of prefixes: whole blocks, no keys and values. Invariants:
//
//   - a block's key is its parent's number and its own tokens, so that two texts have a
//     block in common only if all before it is the same;
//   - numbers are never used again: the children of a block that was dropped cannot be
//     reached, and grow old;
//   - order has every block once, the one used last in front, parents before children.

package simulated

import (
	"container/list"

	"github.com/graft-gateway/graft/eft"
)

// BlockTokens is how many tokens a block has.
const BlockTokens = 16

// blocks is the cache. One goroutine uses it.
type blocks struct {
	most  int // blocks kept
	last  uint64
	known map[blockKey]*list.Element // of *block
	order *list.List
}

// blockKey names a block. A text's first has the salt and no parent.
type blockKey struct {
	parent uint64
	salt   string
	tokens [BlockTokens]eft.Token
}

type block struct {
	key    blockKey
	number uint64
}

func newBlocks(most int) *blocks {
	return &blocks{most: most, known: map[blockKey]*list.Element{}, order: list.New()}
}

// cached is how many leading tokens of a text are in whole cached blocks, within the
// first most tokens.
func (b *blocks) cached(salt string, tokens []eft.Token, most int) int {
	return BlockTokens * len(b.chain(salt, tokens[:most]))
}

// chain returns the leading blocks of a text that are cached.
func (b *blocks) chain(salt string, tokens []eft.Token) []*list.Element {
	var chain []*list.Element
	key := blockKey{salt: salt}
	for len(tokens) >= BlockTokens {
		key.tokens = [BlockTokens]eft.Token(tokens)
		at, ok := b.known[key]
		if !ok {
			break
		}
		chain = append(chain, at)
		key = blockKey{parent: at.Value.(*block).number}
		tokens = tokens[BlockTokens:]
	}
	return chain
}

// fill makes the whole blocks of a text cached, and those used last.
func (b *blocks) fill(salt string, tokens []eft.Token) {
	chain := b.chain(salt, tokens)
	key := blockKey{salt: salt}
	if n := len(chain); n > 0 {
		key = blockKey{parent: chain[n-1].Value.(*block).number}
	}
	for rest := tokens[BlockTokens*len(chain):]; len(rest) >= BlockTokens; rest = rest[BlockTokens:] {
		key.tokens = [BlockTokens]eft.Token(rest)
		b.last++
		at := b.order.PushFront(&block{key, b.last})
		b.known[key] = at
		chain = append(chain, at)
		key = blockKey{parent: b.last}
	}
	for i := len(chain) - 1; i >= 0; i-- { // the deepest goes first when room is wanted
		b.order.MoveToFront(chain[i])
	}
	for b.order.Len() > b.most {
		oldest := b.order.Back()
		delete(b.known, oldest.Value.(*block).key)
		b.order.Remove(oldest)
	}
}
