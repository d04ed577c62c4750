package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/graft-gateway/graft/gateway/store/redistest"
)

var secret = []byte("a secret of the test's own")

func key(i int) Key { return sha256.Sum256(fmt.Append(nil, i)) }

func value(i int) []byte { return bytes.Repeat(fmt.Append(nil, i, " "), 20) }

// open opens a cache of which nothing may be left when the test ends.
func open(t *testing.T, o Options) *Cache {
	t.Helper()
	before := runtime.NumGoroutine()
	if o.Secret == nil {
		o.Secret = secret
	}
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		c.Close()
		within(t, "all goroutines end", func() bool { return runtime.NumGoroutine() <= before })
	})
	return c
}

// overRedis opens a cache with no tier but Redis, and waits until that answers.
func overRedis(t *testing.T, url string) *Cache {
	t.Helper()
	c := open(t, Options{Redis: &RedisOptions{URL: url, Deadline: time.Second}})
	if err := c.Check(context.Background()); err != nil {
		t.Fatal(err)
	}
	return c
}

// impatient makes a cache's reads as short as they are by default: tests that look for
// a value give a loaded machine more time.
func impatient(c *Cache) {
	c.remote.deadline, c.remote.breakers.deadline = defaultDeadline, defaultDeadline
}

// within waits for what other processes and goroutines bring about.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 20 s until %s", what)
		}
	}
}

// written waits until the queue is empty and all that was in it is written or lost.
func written(t *testing.T, c *Cache, n uint64) {
	t.Helper()
	within(t, fmt.Sprintf("%d values are written", n), func() bool {
		s := c.Stats().Redis
		return s.Writes+s.WriteFailures+s.Dropped >= n
	})
}

// check gets keys 0 … n−1 and returns how many were found. A wrong value is an error.
func check(t *testing.T, c *Cache, n int) int {
	t.Helper()
	found := 0
	for i := range n {
		got, ok := c.Get(context.Background(), key(i), []byte("dst"))
		if !strings.HasPrefix(string(got), "dst") {
			t.Fatalf("dst was lost: %q", got)
		}
		if got = got[3:]; ok && !bytes.Equal(got, value(i)) {
			t.Fatalf("key %d has %q, want %q", i, got, value(i))
		}
		if !ok && len(got) > 0 {
			t.Fatalf("a miss appended %q", got)
		}
		if ok {
			found++
		}
	}
	return found
}

func fill(c *Cache, n int) {
	for i := range n {
		c.Set(key(i), value(i), time.Hour)
	}
}

func TestTiersKeepWhatWasSet(t *testing.T) {
	server := redistest.Start(t)
	redis := &RedisOptions{URL: server.URL(), Deadline: time.Second}
	for _, test := range []struct {
		name    string
		options Options
		found   int
	}{
		{"none", Options{}, 0},
		{"memory", Options{Memory: 1 << 20}, 100},
		{"redis", Options{Redis: redis}, 100},
		{"both", Options{Memory: 1 << 20, Redis: redis}, 100},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := open(t, test.options)
			fill(c, 100)
			if test.options.Redis != nil {
				written(t, c, 100)
			}
			if found := check(t, c, 100); found != test.found {
				t.Errorf("found %d, want %d", found, test.found)
			}
			if _, ok := c.Get(context.Background(), key(-1), nil); ok {
				t.Error("found what was never set")
			}
			if err := c.Check(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestReplicasShareRedisAndPromoteToMemory(t *testing.T) {
	server := redistest.Start(t)
	one := overRedis(t, server.URL())
	fill(one, 50)
	one.Close()
	if n := one.Stats().Redis.Writes; n != 50 {
		t.Fatalf("close left %d of 50 unwritten", 50-n)
	}
	two := open(t, Options{Memory: 1 << 20, Redis: &RedisOptions{URL: server.URL(), Deadline: time.Second}})
	for range 2 {
		if found := check(t, two, 50); found != 50 {
			t.Errorf("found %d of 50", found)
		}
	}
	if s := two.Stats(); s.Redis.Hits != 50 || s.Memory.Hits != 50 || s.Memory.Entries != 50 {
		t.Errorf("%+v %+v", s.Memory, s.Redis)
	}
	if ttl := server.Do("TTL", two.remote.name(key(7))); ttl < "3500" || ttl > "3600" {
		t.Errorf("time to live is %s s, want an hour", ttl)
	}
}

func TestASetValueIsACopy(t *testing.T) {
	c := open(t, Options{Memory: 1 << 20})
	buffer := []byte("as it was")
	c.Set(key(1), buffer, 0)
	copy(buffer, "otherwise")
	got, _ := c.Get(context.Background(), key(1), nil)
	if string(got) != "as it was" {
		t.Fatalf("%q", got)
	}
	copy(got, "otherwise")
	if again, _ := c.Get(context.Background(), key(1), nil); string(again) != "as it was" {
		t.Fatalf("%q", again)
	}
}

func TestMemoryStaysWithinItsSize(t *testing.T) {
	const size = 1 << 20
	c := open(t, Options{Memory: size})
	for i := range 5000 {
		c.Set(key(i), make([]byte, i), 0)
		if i%100 == 0 {
			if s := c.Stats().Memory; s.Bytes > size+size/10 {
				t.Fatalf("%d bytes in a tier of %d", s.Bytes, size)
			}
		}
	}
	if s := c.Stats().Memory; s.Evictions == 0 || s.Bytes > size || s.Entries == 0 {
		t.Errorf("%+v", s)
	}
	c.Set(key(-1), make([]byte, 2*size), 0)
	if _, ok := c.Get(context.Background(), key(-1), nil); ok {
		t.Error("kept a value that is larger than the tier")
	}
}

func TestValuesOfAnySizeComeBackFromRedis(t *testing.T) {
	c := overRedis(t, redistest.Start(t).URL())
	sizes := []int{0, 1, firstBuffer - sealSize - 1, firstBuffer - sealSize, firstBuffer, 100 << 10, MaxRedisValue, MaxRedisValue + 1}
	for i, size := range sizes {
		c.Set(key(i), bytes.Repeat([]byte{byte(i)}, size), time.Hour)
		written(t, c, uint64(i+1))
		got, ok := c.Get(context.Background(), key(i), nil)
		if want := size <= MaxRedisValue; ok != want || (ok && !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, size))) {
			t.Errorf("a value of %d bytes: found %v, %d bytes", size, ok, len(got))
		}
	}
	if s := c.Stats().Redis; s.Dropped != 1 || s.Failures != 0 {
		t.Errorf("%+v", s)
	}
}

func TestManyUseItAtOnce(t *testing.T) {
	c := open(t, Options{Memory: 50 << 10, Redis: &RedisOptions{URL: redistest.Start(t).URL(), Deadline: time.Second}})
	var pending sync.WaitGroup
	for range 8 {
		pending.Go(func() {
			for i := range 500 {
				got, ok := c.Get(context.Background(), key(i), nil)
				if ok && !bytes.Equal(got, value(i)) {
					t.Errorf("key %d has %q", i, got)
				}
				if !ok {
					c.Set(key(i), value(i), time.Minute)
				}
			}
		})
	}
	pending.Wait()
}

func TestWiringMistakesAreToldAtOnce(t *testing.T) {
	for _, test := range []struct {
		name    string
		options Options
		want    string
	}{
		{"no secret", Options{Redis: &RedisOptions{URL: "redis://h"}}, "need a secret of at least 16 bytes"},
		{"a short secret", Options{Secret: []byte("short"), Redis: &RedisOptions{URL: "redis://h"}}, "this one has 5"},
		{"no url", Options{Secret: secret, Redis: &RedisOptions{}}, "want redis://"},
		{"two passwords", Options{Secret: secret, Redis: &RedisOptions{URL: "redis://u:p@h", Password: "q"}}, "want one of them"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Open(test.options); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
		})
	}
}
