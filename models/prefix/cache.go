package prefix

import (
	"context"
	"log/slog"
	"time"

	"github.com/graft-gateway/graft/eft/chain"
)

// Memory is a tier in this process.
type Memory interface {
	// Get returns the value of key. Nobody changes it, and it stays for as long as the
	// caller holds it, whatever the tier drops meanwhile.
	Get(key [32]byte) ([]byte, bool)
	// Set takes value over: nobody may change it any more.
	Set(key [32]byte, value []byte)
}

// Shared is a tier outside of this process, which other replicas have too. Its errors
// say that it failed or was too slow for a request to wait for, and not that it lacks
// something.
type Shared interface {
	// Has says how many of the first keys are there.
	Has(ctx context.Context, keys [][32]byte) (n int, err error)
	// Load returns the values of the first keys, of so many bytes each, up to one that it
	// does not have; with an error, what came before. It takes no longer than patience,
	// and worth more for each value that has come.
	Load(ctx context.Context, keys [][32]byte, sizes []int, patience, worth time.Duration) (values [][]byte, err error)
	// Set takes value over, and does not wait.
	Set(key [32]byte, value []byte, ttl time.Duration)
}

// Options say what a cache is made of. Without tiers it keeps nothing.
type Options struct {
	Memory Memory // nil is none
	Shared Shared // nil is none
	// Secret keeps others from computing keys; replicas that share a tier must share
	// it. It must not be empty.
	Secret []byte
	// Log gets what an operator should know; nil keeps silent.
	Log *slog.Logger
	// Waited is told how long a text waited for the shared tier, each time that it was
	// asked; nil is not told.
	Waited func(time.Duration)
}

// Cache keeps prompts' keys and values for several models. It is safe for concurrent
// use.
type Cache struct {
	options Options
	turn    chan struct{} // holds one token while nothing is measured
}

// New makes a cache. It panics without a secret.
func New(o Options) *Cache {
	chain.Start(o.Secret)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Waited == nil {
		o.Waited = func(time.Duration) {}
	}
	c := &Cache{options: o, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// Alone calls measure while no other of the cache's models is measured.
func (c *Cache) Alone(ctx context.Context, measure func() error) error {
	select {
	case <-c.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { c.turn <- struct{}{} }()
	return measure()
}

// Identity is what a block depends on beside its tokens: two models with one identity
// compute the same bytes.
type Identity struct {
	// Name is for people, and in no key.
	Name string
	// Weights is a fingerprint of the model's files, Vocabulary of its tokenizer, and
	// Layout of what the bytes mean and what computes them.
	Weights, Vocabulary, Layout string
	// Context is how many tokens a text may have: some models turn positions otherwise
	// in longer ones.
	Context int
	// TokenBytes is the size of one token's keys and values.
	TokenBytes int
}

const (
	// patience bounds what a text loses to a shared tier that does not do what it should.
	patience = 9 * time.Millisecond

	// largestBody bounds a block's bytes: a deadline of milliseconds is for a round
	// trip that brings at least one.
	largestBody = 512 << 10

	// longestTTL is how long a prompt's first block is kept by a shared tier; deeper
	// ones are kept shorter, down to shortestTTL, since they are of no use without
	// those before them: a tier that is short of room drops what has least time left.
	longestTTL  = 24 * time.Hour
	shortestTTL = time.Hour
	// halfTTL is how many tokens halve the time.
	halfTTL = 2048
)

// blockTokens is how many tokens a block has: a power of two, 64 at most.
func blockTokens(tokenBytes int) int {
	n := chain.Block
	for n > 1 && n*tokenBytes > largestBody {
		n /= 2
	}
	return n
}

func ttl(depth int) time.Duration {
	return max(time.Duration(float64(longestTTL)/(1+float64(depth)/halfTTL)), shortestTTL)
}
