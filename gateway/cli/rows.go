package cli

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/graft-gateway/graft/gateway/store"
	"github.com/graft-gateway/graft/proxy/rowcache"
)

// rowCache keeps the rows of base servers; it owns the tiers.
type rowCache struct {
	tiers *store.Cache
	cache *rowcache.Cache
	waits prometheus.Histogram
}

// newRowCache opens the cache, nil where it is turned off or no base needs it.
func newRowCache(c Config, log *slog.Logger) (*rowCache, error) {
	if !c.remoteBase() || c.Cache.off() {
		return nil, nil
	}
	options := c.Cache.options()
	waits := redisWaits("rows")
	options.Log, options.Waited = log, func(d time.Duration) { waits.Observe(d.Seconds()) }
	options.Memory -= c.Cache.promptMemory(true)
	tiers, err := store.Open(options)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return &rowCache{tiers, rowcache.New(tiers, options.Secret), waits}, nil
}

// check asks Redis whether it takes rows.
func (r *rowCache) check(ctx context.Context, log *slog.Logger) {
	if r != nil {
		checkRedis(ctx, r.tiers, "rows", log)
	}
}

// checkRedis asks Redis whether it takes what is kept there, and warns if not: texts
// would be made without it, and nobody knew why.
func checkRedis(ctx context.Context, tiers interface{ Check(context.Context) error }, what string, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	if err := tiers.Check(ctx); err != nil && ctx.Err() != context.Canceled {
		log.Warn("redis does not work: "+what+" are kept in memory alone until it does", "error", err)
	}
}

// close ends the cache; what waits for Redis is written within a bounded time.
func (r *rowCache) close() error {
	if r == nil {
		return nil
	}
	return r.tiers.Close()
}
