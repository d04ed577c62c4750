package cli

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/graft-gateway/graft/gateway/store"
	"github.com/graft-gateway/graft/models"
	"github.com/graft-gateway/graft/models/prefix"
)

// promptCache keeps the keys and values of prompts, of all models in process; it owns
// the tiers.
type promptCache struct {
	tiers *store.Blocks
	cache *prefix.Cache
	waits prometheus.Histogram
	ready []<-chan struct{} // one a model, closed when its prompts are kept
}

// newPromptCache opens the cache, nil where it is turned off.
func newPromptCache(c Config, log *slog.Logger) (*promptCache, error) {
	if c.Cache.off() {
		return nil, nil
	}
	options := c.Cache.options()
	options.Log = log
	options.Memory = c.Cache.promptMemory(c.remoteBase())
	tiers, err := store.OpenBlocks(options)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	waits := redisWaits("prompts")
	o := prefix.Options{Secret: options.Secret, Log: log, Waited: func(d time.Duration) { waits.Observe(d.Seconds()) }}
	if memory := tiers.Memory(); memory != nil {
		o.Memory = memory
	}
	if redis := tiers.Redis(); redis != nil {
		o.Shared = redis
	}
	return &promptCache{tiers: tiers, cache: prefix.New(o), waits: waits}, nil
}

// keep has a model's prompts kept.
func (p *promptCache) keep(m *models.Model, log *slog.Logger) {
	if p != nil {
		p.ready = append(p.ready, m.KeepPrompts(p.cache, log))
	}
}

// check asks Redis whether it takes prompts.
func (p *promptCache) check(ctx context.Context, log *slog.Logger) {
	if p != nil {
		checkRedis(ctx, p.tiers, "prompts", log)
	}
}

// close ends the cache, once the models are closed; what waits for Redis is written
// within a bounded time.
func (p *promptCache) close() error {
	if p == nil {
		return nil
	}
	return p.tiers.Close()
}

// collectPrompts tells of the prompts that are kept and of their tiers.
func (w *wiring) collectPrompts(tell tell) {
	if w.prompts == nil {
		return
	}
	told := map[string]bool{} // a folder may be loaded in two ways, and a sample must not be told twice
	for _, m := range w.order {
		if s, ok := m.PromptsKept(); ok && !told[m.Name()] {
			told[m.Name()] = true
			tellPrompts(tell, m.Name(), s)
		}
	}
	const count, gauge = prometheus.CounterValue, prometheus.GaugeValue
	tiers := w.prompts.tiers.Stats()
	if m := tiers.Memory; m != nil {
		tell(gauge, "graft_prefix_cache_bytes", "What the memory tier of the prompts' cache holds.", float64(m.Bytes))
		tell(gauge, "graft_prefix_cache_entries", "How many blocks the memory tier of the prompts' cache holds.", float64(m.Entries))
		tell(count, "graft_prefix_cache_evictions_total", "Blocks that the memory tier of the prompts' cache dropped for others.", float64(m.Evictions))
	}
	if r := tiers.Redis; r != nil {
		for outcome, n := range map[string]uint64{"hit": r.Hits, "miss": r.Misses, "failed": r.Failures, "skipped": r.Skipped, "forged": r.Forged} {
			tell(count, "graft_prefix_redis_reads_total", "Blocks of prompts that were read from Redis, by outcome.", float64(n), "outcome", outcome)
		}
		for outcome, n := range map[string]uint64{"written": r.Writes, "failed": r.WriteFailures, "dropped": r.Dropped} {
			tell(count, "graft_prefix_redis_writes_total", "Blocks of prompts for Redis, by outcome.", float64(n), "outcome", outcome)
		}
		tell(gauge, "graft_prefix_redis_servers_away", "Redis servers that prompts are not asked of, since they do not answer in time.", float64(len(r.Away)))
		tell(gauge, "graft_prefix_redis_servers_full", "Redis servers that refuse prompts for lack of room.", float64(len(r.Full)))
		tell(gauge, "graft_prefix_redis_queue_bytes", "Blocks of prompts that wait to be written to Redis.", float64(r.QueuedBytes))
	}
}

// tellPrompts tells of one model's.
func tellPrompts(tell tell, name string, s prefix.Stats) {
	const count, gauge = prometheus.CounterValue, prometheus.GaugeValue
	for _, tier := range []struct {
		name                string
		hits, tokens, bytes uint64
	}{{"memory", s.MemoryHits, s.MemoryTokens, s.MemoryBytes}, {"redis", s.SharedHits, s.SharedTokens, s.SharedBytes}} {
		tell(count, "graft_prefix_hits_total", "Blocks of prompts that were known, by the tier that had them.", float64(tier.hits), "model", name, "tier", tier.name)
		tell(count, "graft_prefix_reused_tokens_total", "Tokens of prompts that were not computed, by the tier that knew them.", float64(tier.tokens), "model", name, "tier", tier.name)
		tell(count, "graft_prefix_reused_bytes_total", "Keys and values that were imported, by the tier that had them.", float64(tier.bytes), "model", name, "tier", tier.name)
	}
	tell(count, "graft_prefix_misses_total", "Prompts of which a block was in no tier.", float64(s.Misses), "model", name)
	tell(count, "graft_prefix_computed_tokens_total", "Tokens of prompts that were computed.", float64(s.Computed), "model", name)
	for outcome, n := range map[string]uint64{"stored": s.Stored, "dropped": s.Dropped, "broken": s.Broken} {
		tell(count, "graft_prefix_blocks_total", "Blocks of prompts that were kept, that were not since there was too much to do, and that were not what they should be.", float64(n), "model", name, "outcome", outcome)
	}
	for what, n := range map[string]uint64{"bypassed": s.Bypassed, "late": s.Late, "waited": s.Waited} {
		tell(count, "graft_prefix_prompts_total", "Prompts that did not ask Redis since it would not pay, for which it was too slow, and that waited for another that begins alike.", float64(n), "model", name, "what", what)
	}
	c := s.Costs
	for what, seconds := range map[string]float64{"compute": c.Compute.Seconds(), "import": c.Import.Seconds(), "redis": c.Load.Seconds()} {
		tell(gauge, "graft_prefix_token_seconds", "What a token of a prompt costs: to compute it, to import it, and to read it from Redis before that; 0 is not known.", seconds, "model", name, "what", what)
	}
	tell(gauge, "graft_prefix_redis_round_seconds", "What asking Redis for a prompt costs, before reading.", c.Round.Seconds(), "model", name)
	open := 1.0
	if c.Closed {
		open = 0
	}
	tell(gauge, "graft_prefix_redis_used", "Whether prompts ask Redis: 0 after it failed, until a trial has shown that it works.", open, "model", name)
}
