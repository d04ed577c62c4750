package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/graft-gateway/graft/gateway/store/redistest"
)

// cachedConfig is the embedded base behind shared, its rows kept where cache says.
func cachedConfig(cache string) string {
	return fmt.Sprintf(`
bases:   {far: {url: %s/v1, model: demo-base, top_logprobs: 100}}
experts: {chat: {tuned: embedded:small-chat, untuned: embedded:small}}
routes:  {r: {base: far, experts: {chat: 1}}}
cache:   %s
`, shared.url, cache)
}

// asked is how many rows the base server was asked for.
func (p *process) asked(t *testing.T) int {
	t.Helper()
	return int(p.metric(t, `graft_base_rows_total{base="far",source="request"}`) + p.metric(t, `graft_base_rows_total{base="far",source="stream"}`))
}

func TestAnotherStrengthAsksTheBaseForNoSharedPrefix(t *testing.T) {
	p := configured(t, cachedConfig("{memory: 16MiB}"))
	prompts := chatPrompts(t, 8)
	first := answerAllBy(t, p.url, "r", "off", prompts)
	asked := p.asked(t)
	if again := answerAllBy(t, p.url, "r", "off", prompts); compare(first, again).partings != nil {
		t.Error("asked again, the answers are others")
	}
	if now := p.asked(t); now != asked {
		t.Errorf("asked again, the base was asked for %d rows that were known", now-asked)
	}
	for _, strength := range []string{"0.7", "1.2", "0"} {
		before := p.asked(t)
		texts := answerAllBy(t, p.url, "r@"+strength, "off", prompts)
		unknown := 0 // positions behind another prefix than at strength 1, each asked for once at most
		for i, text := range texts {
			shared := 0
			for shared < min(len(text.ids), len(first[i].ids)) && text.ids[shared] == first[i].ids[shared] {
				shared++
			}
			unknown += max(len(text.ids)-shared-1, 0)
		}
		if now := p.asked(t); now-before > unknown {
			t.Errorf("at strength %s the base was asked for %d rows, and only %d were not known", strength, now-before, unknown)
		} else {
			t.Logf("at strength %s: %d rows asked for, of %d that another prefix could need", strength, now-before, unknown)
		}
	}
}

// Replicas share what is in Redis. A lost master of a cluster costs its share of the
// rows and no answer.
func TestARedisClusterSharesRowsAndLosesAMaster(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	config := cachedConfig(`{memory: 0, redis: "` + cluster.URL() + `"}`)
	const secret = "GRAFT_CACHE_SECRET=0123456789abcdef0123456789abcdef"
	one := configured(t, config, secret)
	prompts := chatPrompts(t, 12)
	want := answerAllBy(t, one.url, "r", "off", prompts)
	awaitWritten(t, one)
	same := func(what string, p *process) {
		t.Helper()
		began := time.Now()
		if c := compare(want, answerAllBy(t, p.url, "r", "off", prompts)); c.partings != nil {
			t.Errorf("%s: %s", what, c)
		}
		t.Logf("%s: %d texts in %v, %d rows asked of the base", what, len(prompts), time.Since(began).Round(time.Millisecond), p.asked(t))
	}
	// Redis has some milliseconds for a row, which a busy machine may not keep: the first
	// replica that does is the one to go on with.
	two := one
	for try := 1; two == one; try++ {
		another := configured(t, config, secret)
		same("another replica", another)
		switch asked := another.asked(t); {
		case asked == 0:
			two = another
		case try == 5:
			t.Fatalf("another replica asked the base for %d rows that were in Redis", asked)
		}
	}
	cluster.Masters[1].Kill()
	same("with a master killed", two)
	same("once more", two)
	if lost := two.asked(t); lost == 0 {
		t.Error("a master was killed, and no row was lost: nothing was shown")
	}
}

// awaitWritten waits until what was asked for is in Redis.
func awaitWritten(t *testing.T, p *process) {
	t.Helper()
	if err := settles(func() bool {
		return p.metric(t, "graft_cache_queue_bytes") == 0 && p.metric(t, `graft_cache_writes_total{outcome="written"}`) > 0
	}); err != nil {
		t.Fatal(err)
	}
}

func TestARedisWithoutSecretIsRefused(t *testing.T) {
	_, err := launch([]string{"GRAFT_CACHE_SECRET="}, "serve", "--listen", "127.0.0.1:0", "--config", writeConfig(t, cachedConfig("{redis: redis://127.0.0.1:9}")))
	if err == nil || !strings.Contains(err.Error(), "GRAFT_CACHE_SECRET") {
		t.Errorf("%v, want the name of the variable that is missing", err)
	}
}
