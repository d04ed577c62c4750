package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/graft-gateway/graft/gateway/store/redistest"
)

// waits is how often requests waited for Redis, and for how long together: for rows of
// the base, one after the other, and for prompts of the models, side by side.
type waits map[string][2]float64

// waited reads them from /metrics.
func (p *process) waited(t *testing.T) waits {
	t.Helper()
	w := waits{}
	for _, cache := range both {
		w[cache] = [2]float64{
			p.metric(t, fmt.Sprintf(`graft_redis_wait_seconds_count{cache=%q}`, cache)),
			p.metric(t, fmt.Sprintf(`graft_redis_wait_seconds_sum{cache=%q}`, cache)),
		}
	}
	return w
}

// since is what was waited since before.
func (w waits) since(before waits) waits {
	out := waits{}
	for cache, now := range w {
		out[cache] = [2]float64{now[0] - before[cache][0], now[1] - before[cache][1]}
	}
	return out
}

func (w waits) String() string {
	of := func(cache string) string {
		return fmt.Sprintf("%s %.1f ms in %.0f", cache, 1000*w[cache][1], w[cache][0])
	}
	return of("rows") + ", " + of("prompts")
}

// faultyRedis is a Redis of a gateway's own, behind a line that can be spoiled.
type faultyRedis struct {
	server *redistest.Server
	line   *redistest.Line
}

// lie changes every value.
func (r faultyRedis) lie() {
	for name := range strings.Lines(r.server.Do("KEYS", "*")) {
		r.server.Do("SETRANGE", strings.TrimSpace(name), "40", "wrong")
	}
}

// both are the caches that Redis holds.
var both = []string{"rows", "prompts"}

// redisFaults are what may be wrong with a Redis, and what it is not asked for then.
var redisFaults = []struct {
	name  string
	begin func(faultyRedis)
	alone []string
}{
	{"none", func(faultyRedis) {}, nil},
	{"dead", func(r faultyRedis) { r.server.Kill() }, both},
	{"hung", func(r faultyRedis) { r.server.Freeze() }, both},
	{"full", func(r faultyRedis) { r.server.Do("CONFIG", "SET", "maxmemory", "1") }, nil},
	{"lying", faultyRedis.lie, nil},
	{"late by 8 ms", func(r faultyRedis) { r.line.Break(redistest.Fault{Late: 8 * time.Millisecond}) }, both},
	{"late by 100 ms", func(r faultyRedis) { r.line.Break(redistest.Fault{Late: 100 * time.Millisecond}) }, both},
	{"late by 500 ms", func(r faultyRedis) { r.line.Break(redistest.Fault{Late: 500 * time.Millisecond}) }, both},
	{"dripping", func(r faultyRedis) { r.line.Break(redistest.Fault{Rate: 2000}) }, both},
	{"dripping with large values", func(r faultyRedis) { r.line.Break(redistest.Fault{Rate: 20_000, Large: 2000}) }, both[1:]},
}

// found asks until rows and prompts come from Redis: on a busy machine a read may come too
// late, and is tried again later.
func (p *process) found(t *testing.T, ask func()) {
	t.Helper()
	const reused = `graft_prefix_reused_tokens_total{model="embedded:small",tier="redis"}`
	found := func() bool {
		ask()
		return hasMetric(t, p, reused) && p.metric(t, reused) > 0 && p.metric(t, `graft_cache_lookups_total{outcome="hit",tier="redis"}`) > 0
	}
	err := settles(found)
	if err != nil {
		err = settles(found)
	}
	if err != nil {
		t.Fatalf("nothing was found in Redis before the fault: %s", p.logged())
	}
}

// A Redis in trouble changes no token, is left alone, and says so in /metrics and not
// for every request in the log. What requests wait for it is measured where they wait:
// `go test ./e2e -run RedisInTrouble -v` shows it.
func TestARedisInTroubleIsLeftAloneAndChangesNoToken(t *testing.T) {
	known, more := longPrompts(1, 4), longPrompts(2, 4)
	plain := configured(t, cachedConfig("{memory: 0}"))
	want, wantMore := answerAll(t, plain.url, "r", known), answerAll(t, plain.url, "r", more)
	for _, fault := range redisFaults {
		t.Run(fault.name, func(t *testing.T) {
			server := redistest.Start(t, "--maxmemory-policy", "noeviction")
			redis := faultyRedis{server, redistest.StartLine(t, server.Addr())}
			p := configured(t, cachedConfig(fmt.Sprintf("{memory: 0, redis: %q}", redis.line.URL())), cacheSecret)
			same := func(want []greedyText, prompts [][]int) {
				t.Helper()
				if c := compare(want, answerAll(t, p.url, "r", prompts)); c.partings != nil {
					t.Errorf("%s", c)
				}
			}
			same(want, known)
			p.found(t, func() { same(want[:1], known[:1]) })
			fault.begin(redis)
			logged := len(p.logged())
			before := p.waited(t)
			same(want[:1], known[:1])
			first := p.waited(t)
			same(wantMore, more)
			next := p.waited(t)
			for range 3 {
				same(want, known)
			}
			last := p.waited(t)
			later := last.since(next)
			t.Logf("waits of the first request: %v; of the next 4: %v; of 12 more: %v", first.since(before), next.since(first), later)
			for _, cache := range fault.alone {
				if later[cache][0] > 0 {
					t.Errorf("requests waited for %s when it was known that Redis is in trouble", cache)
				}
			}
			away := p.metric(t, "graft_cache_servers_away")
			unwritten := p.metric(t, `graft_cache_writes_total{outcome="failed"}`) + p.metric(t, `graft_cache_writes_total{outcome="dropped"}`)
			t.Logf("away %v, full %v, rows unwritten %v, prompts used by small %v", away, p.metric(t, "graft_cache_servers_full"),
				unwritten, p.metric(t, `graft_prefix_redis_used{model="embedded:small"}`))
			if len(fault.alone) == 2 && (away != 1 || unwritten == 0) {
				t.Errorf("/metrics says %v servers are away, and %v writes were in vain", away, unwritten)
			}
			if fault.name == "full" {
				// On a busy machine it may be away at first.
				if err := settles(func() bool {
					same(wantMore, more)
					return p.metric(t, "graft_cache_servers_full") == 1
				}); err != nil {
					t.Error("/metrics does not say that it is full")
				}
			}
			if lines := strings.Count(p.logged()[logged:], "redis"); lines > 6 {
				t.Errorf("the log speaks of Redis %d times: %s", lines, p.logged()[logged:])
			}
		})
	}
}
