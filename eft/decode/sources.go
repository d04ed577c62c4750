package decode

import (
	"context"

	"github.com/graft-gateway/graft/eft"
)

// Base is the large model.
type Base interface {
	// Open begins a text with prompt. It is cheap: the work is done by Rows. Tenant
	// separates the caches of clients that must not see each other's timing.
	Open(ctx context.Context, tenant string, prompt []eft.Token) (Sequence, error)
}

// Sequence gives one model's rows along one text. One goroutine uses it at a time.
type Sequence interface {
	// Rows returns len(path)+1 rows: the one that follows prompt and generated, and
	// the one behind each token of path. They are a function of prompt, generated
	// and path only, whatever was asked before, and stay valid until the next call of it.
	// After an error, as after a cancelled ctx, it can be called again.
	Rows(ctx context.Context, generated, path []eft.Token) ([]eft.Row, error)
	// Close frees what the sequence holds. Calling it again does nothing.
	Close()
}

// Namer is a [Sequence] of truncated rows that can be asked for single tokens, too.
type Namer interface {
	Sequence
	// Names is how many tokens of a position can be asked for by id; 0 is none.
	Names() int
	// Named returns the log-probs of names[i] behind prompt, generated and the first i
	// tokens of path, in that order. Names[i] may be empty.
	Named(ctx context.Context, generated, path []eft.Token, names [][]eft.Token) ([][]eft.Scored, error)
}

// Leader is a [Sequence] that can be told that the text goes along the base's own
// tokens, so that it may read them ahead.
type Leader interface {
	Sequence
	// Lead is called before each run of rows along the base's own tokens. More rows than
	// so many are of no use to the text.
	Lead(rows int)
}

// Small is a pair of small models, or a tuned one alone.
type Small interface {
	// Open begins a text of both models, each with its own prompt.
	Open(ctx context.Context, tenant string, prompts PairPrompts) (PairSequence, error)
}

// PairPrompts are a pair's token prefixes; only generated tokens are shared.
type PairPrompts struct {
	Tuned, Untuned []eft.Token
}

// PairSequence is a [Sequence] of both models of a pair.
type PairSequence interface {
	Rows(ctx context.Context, generated, path []eft.Token) ([]eft.PairRows, error)
	Close()
}
