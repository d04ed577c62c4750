package chain

import (
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

var secret = []byte("0123456789abcdef")

func tokens(seed uint64, n int) []eft.Token {
	random := rand.New(rand.NewPCG(seed, 1))
	list := make([]eft.Token, n)
	for i := range list {
		list[i] = eft.Token(random.Int32N(1 << 17))
	}
	return list
}

// The keys were computed from the package comment alone, by Python's hmac, hashlib and
// struct:
//
//	n = lambda i: struct.pack(">Q", i)
//	h = hmac.new(secret, b"graft chain 1" + n(64) + n(2) + n(4) + b"rows" + n(5) + b"alice", "sha256").digest()
//	t = lambda ids: b"".join(struct.pack("<i", i) for i in ids)
//	h1 = sha256(h + t(range(64))); h2 = sha256(h1 + t(range(64, 128))); k130 = sha256(h2 + t([128, 129]))
func TestKeysAreWhatTheCommentSays(t *testing.T) {
	want := map[int]string{
		0:   "296d7c8e21f3e3de6495f7a62c54da8eeb41025cf0655b2a7f3b9c8edf7d068e",
		1:   "f362e32f54887f671ead3c132e36aacb1a1daabdbc6d8566d20267f70907809e",
		63:  "d4714d28921c427a8102fb5bae005835fcac9068ca840951739c4e138cdb921c",
		64:  "fa73004f3f2390f94b3edde6cf4e2adc7578b471a89317e5035ca8129db7e7f2",
		65:  "32ed2ae248bb93c6ad899615d7d33414dfb18e1bd849b9f7b3c4458a92fb42e0",
		128: "192a439de3b0478f7127957cc3b0395e24cc6d4dd292139e27edfa3d2f7d9230",
		130: "c024143257fa9722e46b7c0d91eb1e7365da046e6294dbdd28bd46296581ef89",
	}
	c := Start(secret, "rows", "alice")
	for n := range 131 {
		if hexadecimal, ok := want[n]; ok {
			if key := c.Key(); hex.EncodeToString(key[:]) != hexadecimal {
				t.Errorf("key behind %d tokens is %x, want %s", n, key, hexadecimal)
			}
		}
		c.Append(eft.Token(n))
	}
}

func TestAKeyDoesNotDependOnHowThePrefixWasAppended(t *testing.T) {
	text := tokens(1, 300)
	singly := Start(secret, "s")
	for n := range len(text) + 1 {
		whole := Start(secret, "s")
		whole.Append(text[:n]...)
		parts := Start(secret, "s")
		parts.Append(text[:n/3]...)
		parts.Append()
		fork := parts
		parts.Append(1, 2, 3)
		fork.Append(text[n/3 : n]...)
		if singly.Key() != whole.Key() || fork.Key() != whole.Key() {
			t.Fatalf("keys behind %d tokens differ", n)
		}
		if whole.Len() != n {
			t.Fatalf("length %d, want %d", whole.Len(), n)
		}
		if n < len(text) {
			singly.Append(text[n])
		}
	}
}

func TestDifferentPrefixesHaveDifferentKeys(t *testing.T) {
	seen := map[Key]string{}
	add := func(name string, c Chain) {
		t.Helper()
		if other, ok := seen[c.Key()]; ok {
			t.Errorf("%s has the key of %s", name, other)
		}
		seen[c.Key()] = name
	}
	scopes := [][]string{
		nil, {""}, {"", ""}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"a", "b", "c"}, {"abc", ""}, {"", "abc"},
		{"a\x00b"}, {"a", "\x00b"}, {"\x00\x00\x00\x00\x00\x00\x00\x01a"},
	}
	for _, scope := range scopes {
		c := Start(secret, scope...)
		name := "scope"
		for _, field := range scope {
			name += " " + hex.EncodeToString([]byte(field)) + ","
		}
		add(name, c)
		for n := range 200 {
			c.Append(0)
			add(name+" zeros "+string(rune('0'+n)), c)
		}
	}
	add("another secret", Start([]byte("0123456789abcdeg"), ""))
	for last := range eft.Token(100) {
		c := Start(secret, "x")
		c.Append(tokens(2, 63)...)
		c.Append(last)
		add("the last token of a block", c)
		c.Append(last)
		add("the first behind a block", c)
	}
}

func TestAnEmptySecretPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	Start(nil, "rows")
}

func TestKeysAllocateNothing(t *testing.T) {
	c := Start(secret, "rows")
	if n := testing.AllocsPerRun(1000, func() {
		c.Append(7)
		c.Key()
	}); n != 0 {
		t.Errorf("%v allocations a token", n)
	}
}

func BenchmarkKeyAtEveryToken(b *testing.B) {
	c := Start(secret, "rows")
	b.ReportAllocs()
	for b.Loop() {
		c.Append(7)
		c.Key()
	}
}

func BenchmarkAppend(b *testing.B) {
	c, text := Start(secret, "rows"), tokens(3, 4096)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		c.Append(text...)
	}
}
