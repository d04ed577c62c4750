package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/graft-gateway/graft/gateway/store/redistest"
)

func BenchmarkGet(b *testing.B) {
	server := redistest.Start(b)
	lost := redistest.Start(b)
	for _, size := range []int{700, 8 << 10, 512 << 10} {
		for _, tier := range []string{"memory", "redis"} {
			b.Run(fmt.Sprintf("%s/%d", tier, size), func(b *testing.B) {
				o := Options{Memory: 1 << 24, Secret: secret}
				if tier == "redis" {
					o.Memory, o.Redis = 0, &RedisOptions{URL: server.URL(), Deadline: time.Second}
				}
				benchmark(b, o, size, nil)
			})
		}
	}
	b.Run("redis is away", func(b *testing.B) {
		benchmark(b, Options{Secret: secret, Redis: &RedisOptions{URL: lost.URL()}}, 700, lost.Kill)
	})
}

func benchmark(b *testing.B, o Options, size int, before func()) {
	c, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	c.Set(key(0), bytes.Repeat([]byte("x"), size), time.Hour)
	if r := c.remote; r != nil {
		for r.queue.bytes.Load() > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	if before != nil {
		before()
	}
	var buffer []byte
	b.ReportAllocs()
	for b.Loop() {
		buffer, _ = c.Get(context.Background(), key(0), buffer[:0])
	}
}

// BenchmarkLoad brings what a prompt of 960 tokens has in the embedded base.
func BenchmarkLoad(b *testing.B) {
	const size, n = 295_000, 15
	server := redistest.Start(b)
	blocks, err := OpenBlocks(Options{Secret: secret, Redis: &RedisOptions{URL: server.URL(), Deadline: time.Second}})
	if err != nil {
		b.Fatal(err)
	}
	defer blocks.Close()
	var keys [][32]byte
	for i := range n {
		keys = append(keys, key(i))
		blocks.Redis().Set(key(i), make([]byte, size), time.Hour)
	}
	for blocks.remote.queue.bytes.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	b.SetBytes(n * size)
	b.ReportAllocs()
	for b.Loop() {
		if values, err := blocks.Redis().Load(context.Background(), keys, slices.Repeat([]int{size}, len(keys)), time.Minute, 0); len(values) != n || err != nil {
			b.Fatal(len(values), err)
		}
	}
}
