package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// What a search remembers of places where it failed must not change a match:
// the general engine, which remembers nothing, is the judge.
func TestProgramMatchesAsTheGeneralEngineDoes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, pattern := range []string{
		`a*b`, `a*a*a*c|a`, `\s+$`, `.*x`, `(?=a*c)a|b`, `(?=(\d{3})+(?!\d))`, `\d{1,3}(?=(?:\d{3})*(?!\d))|\D+`,
		`(?:ab)*a`, `(?:ab)+(?:ba)+|c`, `(?>(?:ab)+)b`, `(?:a\d)+1|a`, `(?:[ab]\d{2})*b|\s*\d`, `x(?:ab)*(?=ab)`, `(?:\r?\n)+(?!\n)`,
	} {
		r, err := newRegex(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if r.fast == nil {
			t.Errorf("%s needs the general engine", pattern)
			continue
		}
		for range 25 {
			units := []string{"a", "b", "ab", "ab", "1", "c", " ", "\n", "x", "\r\n", "é", strings.Repeat("a", 80), strings.Repeat("ab", 70), strings.Repeat("1", rng.IntN(300))}
			var b strings.Builder
			for range rng.IntN(12) {
				b.WriteString(units[rng.IntN(len(units))])
			}
			text := b.String()
			got, ok := r.fast.match(nil, text)
			if want := r.search(nil, text); !ok || !slices.Equal(got, want) {
				t.Fatalf("%s in %q matches at %v, want %v", pattern, text, got, want)
			}
		}
	}
}

// A search that tried everything again from each character would not end.
func TestRepetitionsThatFailTakeLinearTime(t *testing.T) {
	const n = 1 << 17
	for pattern, want := range map[string]int{
		`a*a*a*c`:               0,
		`a*c|a`:                 n,
		`(?=(aaa)+(?!a))`:       n / 3,
		`a{1,3}(?=(aaa)*(?!a))`: (n + 2) / 3,
		`(?:aa)*c|a`:            n,
	} {
		r, err := newRegex(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := r.fast.match(nil, strings.Repeat("a", n)); !ok || len(got) != want {
			t.Errorf("%s matches %d times (%v), want %d", pattern, len(got), ok, want)
		}
	}
}
