package decode

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestAutoFollowsChanges leaves a drafter what it learnt in one world, and holds it in
// the next to what a new one makes of that.
func TestAutoFollowsChanges(t *testing.T) {
	const ms = time.Millisecond
	pass := func(fixed time.Duration) func([]int) time.Duration {
		return func(paths []int) time.Duration {
			tokens := 0
			for _, path := range paths {
				tokens += path + 8
			}
			return fixed + time.Duration(tokens-1)*ms*15/100
		}
	}
	quick := func(paths []int) time.Duration {
		tokens := 0
		for _, path := range paths {
			tokens += path + 1
		}
		return ms/8 + time.Duration(tokens-1)*ms/10
	}
	for name, worlds := range map[string][2]world{
		"1 text, then 16":                   {{texts: 1, right: .8, own: .5, step: ms / 5, call: pass(30 * ms)}, {texts: 16, right: .8, own: .5, step: ms / 5, call: pass(30 * ms)}},
		"16 texts, then 1":                  {{texts: 16, right: .8, own: .5, step: ms / 5, call: pass(30 * ms)}, {texts: 1, right: .8, own: .5, step: ms / 5, call: pass(30 * ms)}},
		"a base 10 times slower":            {{texts: 1, right: .8, own: .5, step: ms / 5, call: quick}, {texts: 1, right: .8, own: .5, step: ms / 5, call: pass(30 * ms)}},
		"a base 10 times quicker":           {{texts: 1, right: .8, own: .5, step: ms / 5, call: pass(30 * ms)}, {texts: 1, right: .8, own: .5, step: ms / 5, call: quick}},
		"guesses that get worse":            {{texts: 1, right: .95, own: .3, step: 2 * ms, call: pass(30 * ms)}, {texts: 1, right: .3, own: .3, step: 2 * ms, call: pass(30 * ms)}},
		"guesses that get better":           {{texts: 1, right: .1, own: .3, step: 8 * ms, call: pass(30 * ms)}, {texts: 1, right: .95, own: .3, step: 8 * ms, call: pass(30 * ms)}},
		"guesses that get better, 16 texts": {{texts: 16, right: .1, own: .3, step: 8 * ms, call: pass(30 * ms)}, {texts: 16, right: .95, own: .3, step: 8 * ms, call: pass(30 * ms)}},
		"steps that get quicker":            {{texts: 1, right: .8, own: .3, step: 60 * ms, call: pass(30 * ms)}, {texts: 1, right: .8, own: .3, step: ms / 5, call: pass(30 * ms)}},
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			auto := NewAuto(Nobody, NewMeter())
			worlds[0].play(auto, 2000, random)
			got := worlds[1].play(auto, 1200, random)
			want := worlds[1].play(NewAuto(Nobody, NewMeter()), 4000, random)
			if t.Logf("%.0f tokens/s, %.0f of a new one", got, want); got < 0.85*want {
				t.Errorf("%.0f tokens/s behind the change, a new drafter makes %.0f", got, want)
			}
			if auto.meter.load.now != (features{}) {
				t.Errorf("load of %+v is left", auto.meter.load.now)
			}
		})
	}
}
