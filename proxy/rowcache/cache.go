package rowcache

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/chain"
)

const (
	// longestTTL is how long a row without generated tokens before it is kept; deeper
	// ones are kept shorter, down to shortestTTL, since they are of no use without
	// those before them: a tier that is short of room drops what has least time left.
	longestTTL  = 24 * time.Hour
	shortestTTL = time.Hour
	// halfTTL is how many generated tokens halve the time.
	halfTTL = 256
)

// Tier keeps bytes by key. It may forget, at any time.
type Tier interface {
	// Get appends the value of key to dst; false is a miss.
	Get(ctx context.Context, key [32]byte, dst []byte) ([]byte, bool)
	// Set keeps a copy of value. It does not wait.
	Set(key [32]byte, value []byte, ttl time.Duration)
}

// Source gives the base's rows along one text. One goroutine uses it at a time.
type Source interface {
	// Rows returns len(path)+1 canonical rows, valid until the next call.
	Rows(ctx context.Context, generated, path []eft.Token) ([]eft.Row, error)
	// Names is how many log-probs can be asked for by id at a position.
	Names() int
	// Named returns log-probs for names[i] behind generated and the first i tokens of
	// path, in the order of names[i].
	Named(ctx context.Context, generated, path []eft.Token, names [][]eft.Token) ([][]eft.Scored, error)
	Close()
}

// Scope is what a row depends on beside its tokens, and who may know of it.
type Scope struct {
	// Tenant keeps clients apart that must not see each other's timing.
	Tenant string
	// Base is the server's name, and Identity what it says its model is: equal ones
	// give equal rows.
	Base, Identity string
	// Vocabulary is the fingerprint of the pairs' vocabulary, in whose ids rows are told.
	Vocabulary string
	// K is the size of truncated rows; Dense says that rows are whole.
	K     int
	Dense bool
	// Names is what the source's Names returns. No row depends on it.
	Names int
}

// Cache is a cache of rows. It is safe for concurrent use.
type Cache struct {
	tier   Tier
	secret []byte

	flights  flights
	encoders sync.Pool // *encoder

	hits, asked, shared, calls, names, nameCalls, broken atomic.Uint64
}

// Stats are a cache's counts since it was made.
type Stats struct {
	Hits      uint64 // rows from the tier
	Asked     uint64 // rows from a base
	Shared    uint64 // rows that another text was asking for
	Calls     uint64 // of Source.Rows
	Names     uint64 // log-probs by name that were known
	NameCalls uint64 // of Source.Named
	Broken    uint64 // values that the tier vouched for and that are no rows
}

// New makes a cache over a tier. The secret keeps others from computing keys; replicas
// that share a tier must share it. It panics without one.
func New(tier Tier, secret []byte) *Cache {
	chain.Start(secret)
	c := &Cache{tier: tier, secret: secret, flights: newFlights()}
	c.encoders.New = func() any { return new(encoder) }
	return c
}

// Open begins a text with prompt. It asks nothing, and open is called when something
// must be asked, from another goroutine.
func (c *Cache) Open(scope Scope, prompt []eft.Token, open func() (Source, error)) *Sequence {
	kind := "truncated"
	if scope.Dense {
		kind = "dense"
	}
	start := chain.Start(c.secret, "rows", strconv.Itoa(codecVersion),
		scope.Tenant, scope.Base, scope.Identity, scope.Vocabulary, strconv.Itoa(scope.K), kind)
	start.Append(prompt...)
	return &Sequence{cache: c, scope: scope, start: start, head: start, source: newLease(open)}
}

// Stats returns the counts.
func (c *Cache) Stats() Stats {
	return Stats{
		Hits: c.hits.Load(), Asked: c.asked.Load(), Shared: c.shared.Load(), Calls: c.calls.Load(),
		Names: c.names.Load(), NameCalls: c.nameCalls.Load(), Broken: c.broken.Load(),
	}
}

// encoder is what encoding needs beside the entry.
type encoder struct {
	buffer []byte
	seen   set
}

// store keeps an entry that comes back as it is, behind so many generated tokens.
func (c *Cache) store(key chain.Key, e entry, depth int) {
	w := c.encoders.Get().(*encoder)
	defer c.encoders.Put(w)
	if !storable(e, &w.seen) {
		return
	}
	w.buffer = encode(w.buffer[:0], e)
	c.tier.Set(key, w.buffer, ttl(depth))
}

func ttl(depth int) time.Duration {
	return max(time.Duration(float64(longestTTL)/(1+float64(depth)/halfTTL)), shortestTTL)
}
