package cli

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/gateway/store"
	"github.com/graft-gateway/graft/gateway/store/redistest"
	"github.com/graft-gateway/graft/proxy/rowcache"
)

// arithmetic is a base whose rows follow from the sum of the prefix.
type arithmetic struct{ asked *atomic.Int64 }

func (a arithmetic) row(prefix ...[]eft.Token) eft.Row {
	sum := float32(0)
	for _, token := range slices.Concat(prefix...) {
		sum = sum*3 + float32(token)
	}
	return eft.Row{IDs: []eft.Token{1, 2}, LogProbs: []float32{-sum, -sum - 1}, Best: 2}
}

func (a arithmetic) Rows(_ context.Context, generated, path []eft.Token) ([]eft.Row, error) {
	var rows []eft.Row
	for i := range len(path) + 1 {
		a.asked.Add(1)
		rows = append(rows, a.row(generated, path[:i]))
	}
	return rows, nil
}

func (arithmetic) Names() int { return 0 }

func (arithmetic) Named(context.Context, []eft.Token, []eft.Token, [][]eft.Token) ([][]eft.Scored, error) {
	return nil, nil
}

func (arithmetic) Close() {}

// Two replicas over one cluster: what one asked for, the other knows, and a master that
// is killed costs calls and no answers.
func TestReplicasShareRowsInAClusterAndALostMasterCostsNoAnswers(t *testing.T) {
	const texts, tokens = 6, 10
	cluster := redistest.StartCluster(t, 3)
	replica := func() (*store.Cache, func() int64) {
		secret := []byte("a secret of the test's own")
		tiers, err := store.Open(store.Options{Secret: secret, Redis: &store.RedisOptions{URL: cluster.URL(), Deadline: time.Second}})
		if err != nil {
			t.Fatal(err)
		}
		if err := tiers.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		base := arithmetic{new(atomic.Int64)}
		cache := rowcache.New(tiers, secret)
		return tiers, func() int64 {
			before := base.asked.Load()
			for i := range eft.Token(texts) {
				text := cache.Open(rowcache.Scope{K: 2}, []eft.Token{i}, func() (rowcache.Source, error) { return base, nil })
				generated := []eft.Token{}
				for range tokens {
					rows, err := text.Rows(t.Context(), generated, nil)
					if err != nil {
						t.Fatal(err)
					}
					if want := base.row(generated); !slices.Equal(rows[0].LogProbs, want.LogProbs) || !slices.Equal(rows[0].IDs, want.IDs) {
						t.Fatalf("text %d behind %v: %v, want %v", i, generated, rows[0], want)
					}
					generated = append(generated, eft.Token(len(generated)))
				}
				text.Close()
			}
			return base.asked.Load() - before
		}
	}
	first, ask := replica()
	if n := ask(); n != texts*tokens {
		t.Errorf("the first replica asked for %d rows, want %d", n, texts*tokens)
	}
	first.Close() // writes what waits
	second, ask := replica()
	defer second.Close()
	if n := ask(); n != 0 {
		t.Errorf("the second replica asked for %d rows that the first knew", n)
	}
	cluster.Masters[0].Kill()
	lost := ask()
	if lost == 0 || lost == texts*tokens {
		t.Errorf("asked for %d of %d rows with one of three masters killed", lost, texts*tokens)
	}
	if n := ask(); n > lost {
		t.Errorf("asked for %d rows, then for %d", lost, n)
	}
	stats := second.Stats().Redis
	if !slices.Equal(stats.Away, []string{cluster.Masters[0].Addr()}) || stats.Failures > 3 {
		t.Errorf("%+v", stats)
	}
	t.Logf("%d of %d rows were asked for again; %d reads failed, %d were not sent, all reads took %v", lost, texts*tokens, stats.Failures, stats.Skipped, stats.ReadTime)
}
