package proxy

import (
	"context"
	"errors"

	"github.com/graft-gateway/graft/eft"
)

// ErrOtherDialect is what Recognise returns of a server that speaks another dialect.
var ErrOtherDialect = errors.New("the server speaks another dialect")

// Dialect is one kind of base server.
type Dialect interface {
	// Name is what a configuration calls it.
	Name() string
	// Recognise finds out by a few cheap requests whether the server is of this
	// kind (if not: an error that wraps [ErrOtherDialect]), and what it can do. Any
	// other error says what is wrong, and names the server's flag that mends it.
	Recognise(ctx context.Context, client *Client, want Want) (Server, error)
}

// Want is what a configuration asks of a base server.
type Want struct {
	// Model is the name to ask for; empty is the only one that the server has, and
	// an error where it has several.
	Model string
	// TopLogprobs is k, the size of truncated rows: 0 is the most that the server
	// gives up to DefaultTopLogprobs, −1 the whole vocabulary. More than the server
	// gives is an error.
	TopLogprobs int
	// Vocabulary is that of the pairs: ids beyond it are padding. A dialect that gets
	// bytes or text back maps them by it.
	Vocabulary *eft.Vocabulary
}

// DefaultTopLogprobs is k where the configuration says none.
const DefaultTopLogprobs = 100

// Server is one model of a recognised server. It is safe for concurrent use.
type Server interface {
	Caps() Caps
	// Identify returns the identity of the model that the server has now, by one
	// cheap request: [Caps].Identity as long as it is the same model.
	Identify(ctx context.Context) (string, error)
	// Begin starts a text; it asks the server nothing. Tenant separates the caches of
	// clients that must not see each other's timing, where the server can.
	Begin(tenant string) Text
	// Tokenize and Detokenize ask the server's own tokenizer, without special tokens
	// added. A server that has no such endpoint gives errors.ErrUnsupported.
	Tokenize(ctx context.Context, text string) ([]eft.Token, error)
	Detokenize(ctx context.Context, ids []eft.Token) (string, error)
}

// Text asks for rows along one text. One goroutine uses it at a time.
type Text interface {
	// Rows returns len(path)+1 canonical rows: the one behind prefix, and the one
	// behind each token of path. They are dense where Caps.Dense says so.
	Rows(ctx context.Context, prefix, path []eft.Token) ([]eft.Row, error)
	// Continue begins the base's own greedy continuation of at most limit tokens, a
	// row for each. It is called only where Caps.Stream says so.
	Continue(ctx context.Context, prefix []eft.Token, limit int) (Continuation, error)
	// Named returns log-probs for names[i] behind prefix and the first i tokens of
	// path, in the order of names[i]; an empty names[i] costs nothing. It is called
	// only where Caps.Names is above 0, with at most so many names a position.
	Named(ctx context.Context, prefix, path []eft.Token, names [][]eft.Token) ([][]eft.Scored, error)
	// Close frees what the text holds, such as a slot of the server. It is called once.
	Close()
}

// Continuation is a stream of the base's own tokens. One goroutine uses it at a time.
type Continuation interface {
	// Next returns the next row, and the token that the base chose from it. The error
	// is io.EOF behind the last token, an end token included where the server tells
	// its row.
	Next() (eft.Row, eft.Token, error)
	// Close stops the request that is under way at the server.
	Close()
}
