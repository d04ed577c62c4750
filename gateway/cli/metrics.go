package cli

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/graft-gateway/graft/models/onnx"
	"github.com/graft-gateway/graft/proxy"
)

// registry holds what the process, the runtime, the base servers and the cache tell of
// themselves; the gateway adds its own.
func registry(env *onnx.Environment, w *wiring) *prometheus.Registry {
	r := prometheus.NewRegistry()
	gauge := func(name, help string, value func(onnx.Counts) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(env.Counts()) })
	}
	r.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("graft_native_buffers", "Pieces of native memory that are held.", func(c onnx.Counts) float64 { return float64(c.Buffers) }),
		gauge("graft_native_bytes", "Their size.", func(c onnx.Counts) float64 { return float64(c.Bytes) }),
		gauge("graft_native_caches_leased", "Caches of keys and values that texts in the making hold.", func(c onnx.Counts) float64 { return float64(c.Leased) }),
		gauge("graft_native_sessions", "Loaded graphs.", func(c onnx.Counts) float64 { return float64(c.Sessions) }),
	)
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "graft_model_info", Help: "Loaded models and what computes them; always 1."}, []string{"model", "provider"})
	for _, m := range w.order {
		provider, _ := m.Provider()
		info.WithLabelValues(m.Name(), string(provider)).Set(1)
	}
	r.MustRegister(info, counting{w.collectServers}, counting{w.collectCache}, counting{w.collectModels}, counting{w.collectPrompts})
	if w.rows != nil && w.rows.tiers.Stats().Redis != nil {
		r.MustRegister(w.rows.waits)
	}
	if w.prompts != nil && w.prompts.tiers.Stats().Redis != nil {
		r.MustRegister(w.prompts.waits)
	}
	return r
}

// redisWaits counts how long requests wait for the Redis of a cache.
func redisWaits(cache string) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "graft_redis_wait_seconds", Help: "How long a request waited for Redis, each time that it was asked: for a row of a base server, or for what a model has of a prompt.",
		ConstLabels: prometheus.Labels{"cache": cache}, Buckets: []float64{.0002, .0005, .001, .002, .005, .0075, .01, .015, .025, .1},
	})
}

// counting asks somebody who counts already, at each scrape.
type counting struct{ collect func(tell) }

// tell is called with each sample: counter or gauge, and its labels' names and values
// in turn.
type tell func(kind prometheus.ValueType, name, help string, value float64, labels ...string)

// Describe describes nothing: which samples there are is known when they are told.
func (c counting) Describe(chan<- *prometheus.Desc) {}

// Collect tells all samples.
func (c counting) Collect(out chan<- prometheus.Metric) {
	c.collect(func(kind prometheus.ValueType, name, help string, value float64, labels ...string) {
		var names, values []string
		for i := 0; i < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, value, values...)
	})
}

// collectServers tells of the base servers.
func (w *wiring) collectServers(tell tell) {
	const count, gauge = prometheus.CounterValue, prometheus.GaugeValue
	for name, client := range w.clients {
		s := client.Stats()
		up := 1.0
		if s.Breaker == "open" {
			up = 0
		}
		tell(gauge, "graft_base_up", "Whether requests go to the base server: 0 while its circuit breaker is open.", up, "base", name)
		for outcome, n := range s.Requests {
			tell(count, "graft_base_requests_total", "Requests to the base server, by outcome.", float64(n), "base", name, "outcome", outcome)
		}
		tell(count, "graft_base_retries_total", "Requests to the base server that were sent again.", float64(s.Retries), "base", name)
		tell(count, "graft_base_connections_total", "Connections that were opened to the base server.", float64(s.Dials), "base", name)
		for _, phase := range []struct {
			name    string
			seconds float64
			n       uint64
		}{{"connect", s.Connect.Seconds, s.Connect.Count}, {"first_byte", s.FirstByte.Seconds, s.FirstByte.Count}, {"body", s.Body.Seconds, s.Body.Count}} {
			tell(count, "graft_base_phase_seconds_total", "Time that requests to the base server spent in a phase.", phase.seconds, "base", name, "phase", phase.name)
			tell(count, "graft_base_phases_total", "Requests to the base server that went through a phase.", float64(phase.n), "base", name, "phase", phase.name)
		}
	}
	for name, s := range w.baseStats() {
		for source, n := range map[string]uint64{"stream": s.Streamed, "request": s.Rows - s.Streamed} {
			tell(count, "graft_base_rows_total", "Rows that came from the base server, by what brought them.", float64(n), "base", name, "source", source)
		}
		tell(count, "graft_base_named_total", "Positions of which tokens were asked for by name.", float64(s.Named), "base", name)
		tell(count, "graft_base_gathered_requests_total", "Requests to the base server for rows of several texts.", float64(s.Gatherings), "base", name)
		tell(count, "graft_base_gathered_texts_total", "Texts that asked in them.", float64(s.Gathered), "base", name)
		tell(count, "graft_base_unread_tokens_total", "Tokens of streams that nobody read: the base may have made them in vain.", float64(s.Unread), "base", name)
		tell(count, "graft_base_model_changes_total", "How often the base server had another model, which was taken.", float64(s.Changes), "base", name)
		tell(count, "graft_base_refusals_total", "How often what the base server had could not be taken.", float64(s.Refusals), "base", name)
	}
}

// baseStats are those of all connections to a base together: there is one for each
// vocabulary that routes expect of it, and a sample told twice fails the whole scrape.
func (w *wiring) baseStats() map[string]proxy.Stats {
	sums := map[string]proxy.Stats{}
	for _, one := range w.servers {
		sum, s := sums[one.name], one.base.Stats()
		sum.Rows, sum.Streamed, sum.Named = sum.Rows+s.Rows, sum.Streamed+s.Streamed, sum.Named+s.Named
		sum.Gatherings, sum.Gathered = sum.Gatherings+s.Gatherings, sum.Gathered+s.Gathered
		sum.Unread, sum.Changes, sum.Refusals = sum.Unread+s.Unread, sum.Changes+s.Changes, sum.Refusals+s.Refusals
		sums[one.name] = sum
	}
	return sums
}

// collectCache tells of the cache of rows and of its tiers.
func (w *wiring) collectCache(tell tell) {
	const count, gauge = prometheus.CounterValue, prometheus.GaugeValue
	if w.rows == nil {
		return
	}
	lookups := func(tier string, outcomes map[string]uint64) {
		for outcome, n := range outcomes {
			tell(count, "graft_cache_lookups_total", "Look-ups in a tier of the cache, by outcome.", float64(n), "tier", tier, "outcome", outcome)
		}
	}
	rows := w.rows.cache.Stats()
	for outcome, n := range map[string]uint64{"cached": rows.Hits, "asked": rows.Asked, "shared": rows.Shared} {
		tell(count, "graft_cached_rows_total", "Rows of base servers, by where they came from: the cache, the server, or a text that asked at the same time.", float64(n), "outcome", outcome)
	}
	tiers := w.rows.tiers.Stats()
	if m := tiers.Memory; m != nil {
		lookups("memory", map[string]uint64{"hit": m.Hits, "miss": m.Misses})
		tell(gauge, "graft_cache_bytes", "What a tier of the cache holds.", float64(m.Bytes), "tier", "memory")
		tell(gauge, "graft_cache_entries", "How many values a tier of the cache holds.", float64(m.Entries), "tier", "memory")
	}
	if r := tiers.Redis; r != nil {
		lookups("redis", map[string]uint64{"hit": r.Hits, "miss": r.Misses, "failed": r.Failures, "skipped": r.Skipped, "forged": r.Forged})
		tell(count, "graft_cache_read_seconds_total", "Time that was spent with reading from Redis.", r.ReadTime.Seconds())
		for outcome, n := range map[string]uint64{"written": r.Writes, "failed": r.WriteFailures, "dropped": r.Dropped} {
			tell(count, "graft_cache_writes_total", "Values for Redis, by outcome.", float64(n), "outcome", outcome)
		}
		tell(gauge, "graft_cache_queue_bytes", "What waits to be written to Redis.", float64(r.QueuedBytes))
		tell(gauge, "graft_cache_servers_away", "Redis servers that are left alone since they do not answer.", float64(len(r.Away)))
		tell(gauge, "graft_cache_servers_full", "Redis servers that refuse rows for lack of room.", float64(len(r.Full)))
	}
}
