package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graft-gateway/graft/gateway/store/redistest"
)

// blockSize is that of the tests' values.
const blockSize = 100_000

func openBlocks(t *testing.T, o Options) *Blocks {
	t.Helper()
	o.Secret = secret
	b, err := OpenBlocks(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// blocks fills a Redis and returns the tier and its keys.
func blocks(t *testing.T, url string, n int) (*BlockRedis, [][32]byte) {
	t.Helper()
	// Generous: where time is not the test's matter, it must not decide it.
	b := openBlocks(t, Options{Redis: &RedisOptions{URL: url, Deadline: time.Second}})
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	tier := b.Redis()
	var keys [][32]byte
	for i := range n {
		keys = append(keys, key(i))
		tier.Set(key(i), block(i), time.Hour)
	}
	within(t, "all is written", func() bool { return tier.remote.queue.bytes.Load() == 0 })
	return tier, keys
}

// sizes are those of so many values.
func sizes(keys [][32]byte) []int { return slices.Repeat([]int{blockSize}, len(keys)) }

func block(i int) []byte { return bytes.Repeat([]byte{byte(i + 1)}, blockSize) }

func TestBlocksComeBackInOrderUpToAHole(t *testing.T) {
	server := redistest.Start(t)
	tier, keys := blocks(t, server.URL(), 40)
	for _, test := range []struct {
		what string
		keys [][32]byte
		want int
	}{
		{"all", keys, 40},
		{"the first is not there", [][32]byte{key(99), keys[0]}, 0},
		{"a hole", [][32]byte{keys[0], keys[1], key(99), keys[2]}, 2},
		{"none are asked for", nil, 0},
	} {
		if n, err := tier.Has(t.Context(), test.keys); n != test.want || err != nil {
			t.Errorf("%s: has %d, want %d; %v", test.what, n, test.want, err)
		}
		values, err := tier.Load(t.Context(), test.keys, sizes(test.keys), time.Minute, 0)
		if len(values) != test.want || err != nil {
			t.Errorf("%s: loaded %d, want %d; %v", test.what, len(values), test.want, err)
		}
		for i, value := range values {
			if !bytes.Equal(value, block(i)) {
				t.Errorf("%s: value %d is another", test.what, i)
			}
		}
	}
}

func TestALyingRedisGivesNoBlock(t *testing.T) {
	server := redistest.Start(t)
	tier, keys := blocks(t, server.URL(), 3)
	name := tier.remote.name(keys[1])
	good := server.Do("GET", name)
	for what, poison := range map[string]string{
		"a bit": good[:len(good)-1] + "\xff", "another key's value": server.Do("GET", tier.remote.name(keys[2])),
		"cut": good[:len(good)-1], "longer": good + "x", "much longer": strings.Repeat("x", 5<<20), "empty": "",
	} {
		server.Do("SET", name, poison)
		// The library gives up a whole round trip for a reply that is far too long.
		values, err := tier.Load(t.Context(), keys, sizes(keys), time.Minute, 0)
		if len(values) > 1 || len(values) < 1 && what != "much longer" || !errors.Is(err, ErrForged) {
			t.Errorf("%s: %d values, %v; want the first alone, and that the next is forged", what, len(values), err)
		}
	}
	if n := tier.remote.forged.Load(); n != 6 {
		t.Errorf("%d are forged, want 6", n)
	}
	server.Do("DEL", name)
	server.Do("RPUSH", name, "a list")
	if values, _ := tier.Load(t.Context(), keys, sizes(keys), time.Minute, 0); len(values) != 1 {
		t.Errorf("a value of another type: %d values", len(values))
	}
}

func TestAHungOrDeadRedisCostsADeadlineOnce(t *testing.T) {
	for what, fault := range map[string]func(*redistest.Server){"hung": (*redistest.Server).Freeze, "dead": (*redistest.Server).Kill} {
		server := redistest.Start(t)
		_, keys := blocks(t, server.URL(), 2)
		tier := openBlocks(t, Options{Redis: &RedisOptions{URL: server.URL()}}).Redis()
		fault(server)
		for range mostLost {
			if n, err := tier.Has(t.Context(), keys); n != 0 || err == nil {
				t.Errorf("%s: has %d, %v", what, n, err)
			}
		}
		failures := tier.remote.failures.Load()
		for range 1000 {
			if _, err := tier.Has(t.Context(), keys); !errors.Is(err, errOpen) {
				t.Fatalf("%s: %v, want an open breaker", what, err)
			}
			if values, err := tier.Load(t.Context(), keys, sizes(keys), time.Minute, 0); len(values) > 0 || !errors.Is(err, errOpen) {
				t.Fatalf("%s: %d values, %v", what, len(values), err)
			}
		}
		if now := tier.remote.failures.Load(); now != failures {
			t.Errorf("%s: %d more reads failed", what, now-failures)
		}
	}
}

func TestBlocksThatTakeLongerThanTheyAreWorthAreLeft(t *testing.T) {
	server := redistest.Start(t)
	tier, keys := blocks(t, server.URL(), 20)
	values, err := tier.Load(t.Context(), keys, sizes(keys), time.Minute, -time.Minute)
	if !errors.Is(err, ErrSlow) || len(values) != 2 || !bytes.Equal(values[1], block(1)) {
		t.Errorf("%d values, %v; want those of one round trip", len(values), err)
	}
}

func TestALostMasterTakesItsBlocksAndNoOthers(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	tier, keys := blocks(t, cluster.URL(), 60)
	if n, err := tier.Has(t.Context(), keys); n != 60 || err != nil {
		t.Fatalf("has %d, %v", n, err)
	}
	values, err := tier.Load(t.Context(), keys, sizes(keys), time.Minute, 0)
	if len(values) != 60 || err != nil {
		t.Fatalf("loaded %d, %v", len(values), err)
	}
	cluster.Masters[0].Kill()
	found := 0
	for range mostLost + 1 {
		found = 0
		for _, key := range keys {
			n, _ := tier.Has(context.Background(), [][32]byte{key})
			found += n
		}
	}
	if found == 0 || found == 60 {
		t.Errorf("%d of 60 with one of three masters killed", found)
	}
}

func TestMemoryHandsOutWhatStays(t *testing.T) {
	memory := openBlocks(t, Options{Memory: 4 * blockSize}).Memory()
	memory.Set(key(0), block(0))
	held, ok := memory.Get(key(0))
	if !ok {
		t.Fatal("not there")
	}
	for i := range 100 {
		memory.Set(key(i+1), block(i+1))
	}
	if !bytes.Equal(held, block(0)) {
		t.Error("what is held was changed")
	}
	if s := memory.memory.stats(); s.Bytes > 4*blockSize || s.Evictions == 0 {
		t.Errorf("%+v", s)
	}
}
