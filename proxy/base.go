package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// Config says which server is a base, and what is asked of it.
type Config struct {
	Name     string    // in errors and logs: the base's name in the configuration
	Client   *Client   // how it is reached; required
	Dialects []Dialect // tried in this order; one alone where the configuration fixes it
	Want     Want      // a nil vocabulary: no check of it, and no texts
	// Names is how many tokens a position may be asked for by id; 0 asks for none.
	Names int
	// LongRows are so long that names bring nothing that would be worth a request: bases
	// whose rows list as many ids are asked for none. 0 is no such length.
	LongRows int
	// Tokenizer is that of Want.Vocabulary, which the server's is compared with. Nil
	// leaves the comparison to the number of ids.
	Tokenizer Tokenizer
	Log       *slog.Logger // nil says nothing
}

// Tokenizer turns text into the ids that the routes use, and back. It is safe for
// concurrent use.
type Tokenizer interface {
	// Encode adds the tokens that begin and end a text where special says so.
	Encode(text string, special bool) []eft.Token
	// Decode keeps special tokens.
	Decode(ids []eft.Token) string
}

// Base is a model behind a server. It is safe for concurrent use.
type Base struct {
	config Config
	watch  watch
	counts counts
	// promised is what the server could do when it was connected to: routes, cache
	// keys and rows count on it. It never changes afterwards.
	promised *Caps
}

// Connect finds out what the server is, and that its tokens are the vocabulary's. The
// error says what is wrong and how to mend it.
func Connect(ctx context.Context, config Config) (*Base, error) {
	return connect(ctx, config, config.Client)
}

// dialer counts the connections that were ever opened to a server, and says whether
// one of the first n is open.
type dialer interface {
	Dials() uint64
	Alive(n uint64) bool
}

func connect(ctx context.Context, config Config, connections dialer) (*Base, error) {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	b := &Base{config: config}
	b.watch = watch{base: config.Name, connections: connections, recognise: b.recognise, log: config.Log, counts: &b.counts}
	now, err := b.watch.settle(ctx)
	if err != nil {
		return nil, err
	}
	caps := now.model.caps
	b.promised = &caps
	return b, nil
}

// Caps is what the server can do, as of the last time that it was recognised.
func (b *Base) Caps() Caps { return b.watch.last().caps }

// Identity is that of the model that the server had when it was last asked. A text's
// own is [Sequence.Identity].
func (b *Base) Identity() string { return b.watch.last().caps.Identity }

// currentMost bounds what Current waits for a server.
const currentMost = 2 * time.Second

// Current is the identity of the model that the server has now, for one who keeps rows
// and may not ask for any: a server can have been exchanged without a sign. Where a
// connection that was there when the server was last asked is still open, it costs
// nothing, and else one check for all that wait. A server that does not answer leaves it
// at what is known; the fault is [Changed] where the model of now cannot be taken.
func (b *Base) Current(ctx context.Context) (string, error) {
	patience, cancel := context.WithTimeout(ctx, currentMost)
	defer cancel()
	now, err := b.watch.current(patience)
	var e *Error
	switch {
	case err == nil:
		return now.model.caps.Identity, nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.As(err, &e) && e.Fault == Changed:
		return "", err
	}
	return b.Identity(), nil
}

// Names is how many tokens of a position its texts can ask for by id: what was asked
// for and the server can. Dense rows need none.
func (b *Base) Names() int {
	if b.promised.Dense {
		return 0
	}
	if long := b.config.LongRows; long > 0 && b.promised.TopLogprobs >= long {
		return 0
	}
	return max(min(b.config.Names, b.promised.Names), 0)
}

// Open begins a text with prompt; the server is asked nothing. Tenant separates the
// caches of clients that must not see each other's timing.
func (b *Base) Open(tenant string, prompt []eft.Token) *Sequence {
	return &Sequence{base: b, tenant: tenant, prompt: len(prompt), prefix: slices.Clone(prompt), pace: newPace()}
}

// Check asks the server anew whether it has the same model and gives a row.
func (b *Base) Check(ctx context.Context) error {
	b.watch.doubt()
	if _, err := b.watch.settle(ctx); err != nil {
		return err
	}
	vocabulary := b.config.Want.Vocabulary
	if vocabulary == nil {
		return nil
	}
	first := eft.Token(0)
	for len(vocabulary.Piece(first)) == 0 && int(first) < vocabulary.Size() {
		first++
	}
	s := b.Open("", []eft.Token{first})
	defer s.Close()
	if _, err := s.Rows(ctx, nil, nil); err != nil {
		return fmt.Errorf("a row behind token %d: %w", first, err)
	}
	return nil
}
