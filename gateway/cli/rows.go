package cli

import (
	"crypto/rand"
	"fmt"
	"log/slog"

	"github.com/graft-gateway/graft/gateway/store"
	"github.com/graft-gateway/graft/proxy/rowcache"
)

// rowCache keeps the rows of base servers; it owns the tiers.
type rowCache struct {
	tiers *store.Cache
	cache *rowcache.Cache
}

// newRowCache opens the cache, nil where it is turned off or no base needs it.
func newRowCache(c Config, log *slog.Logger) (*rowCache, error) {
	remote := false
	for _, large := range c.Bases.values {
		remote = remote || large.remote()
	}
	if !remote || c.Cache.memory() == 0 && c.Cache.Redis == "" {
		return nil, nil
	}
	options := c.Cache.options()
	options.Log = log
	if len(options.Secret) == 0 { // nobody else reads what is kept here
		options.Secret = []byte(rand.Text())
	}
	tiers, err := store.Open(options)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return &rowCache{tiers, rowcache.New(tiers, options.Secret)}, nil
}

// close ends the cache; what waits for Redis is written within a bounded time.
func (r *rowCache) close() error {
	if r == nil {
		return nil
	}
	return r.tiers.Close()
}
