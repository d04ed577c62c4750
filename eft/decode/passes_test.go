package decode

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// passes is a base that computes in passes, as vLLM and SGLang do, with texts over it.
// What waits when a pass begins is in it, and a pass begins when the last one ends if
// anything waits. Prefixes are cached in whole blocks of 16, so that each row of a list of
// prefixes has the tail of its text computed again; a stream has one token a pass. Texts
// whose asks find no stream under way wait for each other.
type passes struct {
	texts      int
	fixed      time.Duration // of a pass
	token      time.Duration // of each token in it
	list       bool          // rows are asked for by a list of prefixes, and else in one pass
	right, own float64       // shares of guesses, and of the base's own tokens, that are right
	step       time.Duration // of the pairs
}

const (
	passBlock, passPrompt, passAnswer = 16, 30, 60
	// passThought is between rows and the next question.
	passThought = time.Millisecond
)

// passText is a text's state.
type passText struct {
	drafting Drafting
	draft    Draft
	length   int
	asked    time.Time // when its question comes
	streams  bool      // a stream is under way, and asked is over
	tokens   int       // of this round
}

// play runs a drafter for so many tokens, and returns those a second from skip on.
func (w passes) play(drafter Drafter, tokens, skip int, random *rand.Rand) float64 {
	now := time.Unix(0, 0)
	if auto, ok := drafter.(*Auto); ok {
		auto.meter.now = func() time.Time { return now }
	}
	texts := make([]*passText, w.texts)
	begin := func(t *passText) {
		*t = passText{drafting: drafter.Begin(Text{Prompt: 20, Pairs: true})}
	}
	ask := func(t *passText) {
		t.draft, t.tokens = t.drafting.Next(passAnswer-t.length-1), 0
		if t.draft.By == Nobody {
			t.draft.Length = 0
		}
		t.asked = now.Add(passThought)
		if t.draft.By == Tuned {
			t.asked = t.asked.Add(time.Duration(t.draft.Length) * w.step)
		}
		path := 0
		if t.draft.By == Tuned {
			path = t.draft.Length
		}
		t.drafting.Sent(path)
	}
	for i := range texts {
		texts[i] = &passText{}
		begin(texts[i])
		ask(texts[i])
	}
	made, since := 0, time.Time{}
	left := 0 // streams that were given up, in the pass that begins before the base hears of it
	for made < tokens {
		streams := left > 0
		last := now
		for _, t := range texts {
			streams = streams || t.streams
			if t.asked.After(last) {
				last = t.asked
			}
		}
		if !streams {
			now = last
		}
		computed := left
		left = 0
		var in []*passText
		for _, t := range texts {
			if t.streams {
				computed++
			} else if !t.asked.After(now) {
				computed += w.computed(t)
			} else {
				continue
			}
			in = append(in, t)
		}
		now = now.Add(w.fixed + time.Duration(computed-1)*w.token)
		for _, t := range in {
			got, over := w.advance(t, random)
			t.tokens, t.length, made = t.tokens+got, t.length+got, made+got
			if !over {
				t.streams = true
				continue
			}
			again := t.draft.By == Own && t.tokens == ownRun
			w.learn(t, now)
			t.streams = false
			if t.length >= passAnswer-1 {
				t.drafting.End()
				begin(t)
			}
			by := t.draft.By
			ask(t)
			if by == Own && !again {
				left++
			}
			t.streams = again && t.draft.By == Own && t.length > 0 // the same stream goes on
		}
		if since.IsZero() && made >= skip {
			since, made, tokens = now, 0, tokens-skip
		}
	}
	for _, t := range texts {
		t.drafting.End()
	}
	return float64(made) / now.Sub(since).Seconds()
}

// computed is how many tokens a question has computed.
func (w passes) computed(t *passText) int {
	path := 0
	if t.draft.By == Tuned {
		path = t.draft.Length
	}
	tail := func(i int) int {
		if t.length == 0 {
			return passPrompt
		}
		return (passPrompt+t.length+i-1)%passBlock + 1
	}
	if !w.list || t.length == 0 {
		return tail(0) + path
	}
	sum := 0
	for i := range path + 1 {
		sum += tail(i)
	}
	return sum
}

// advance draws what a pass brought a text, and says whether its round is over.
func (w passes) advance(t *passText, random *rand.Rand) (tokens int, over bool) {
	if t.draft.By == Own {
		right := random.Float64() < w.own
		return 1, !right || t.tokens+1 == t.draft.Length || t.length+1 >= passAnswer-1
	}
	for tokens = 1; tokens <= t.draft.Length && random.Float64() < w.right; tokens++ {
	}
	return tokens, true
}

func (w passes) learn(t *passText, now time.Time) {
	r := Round{Draft: t.draft, Tokens: t.tokens, Base: now.Sub(t.asked), Whole: now.Sub(t.asked) + passThought}
	if r.By == Tuned {
		r.Path, r.Agreed = r.Length, t.tokens-1
		r.Walked = min(t.tokens, r.Path)
		r.Whole += time.Duration(r.Path) * w.step
	}
	r.Steps = t.tokens
	r.Stepping = time.Duration(r.Steps) * w.step
	t.drafting.Learn(r)
}

// TestAutoOverPasses holds auto to the best that somebody could have set for all texts, a
// path or the base's own tokens, and tells what that is against the plain base.
func TestAutoOverPasses(t *testing.T) {
	const ms = time.Millisecond
	for _, list := range []bool{true, false} {
		for _, texts := range []int{1, 4, 16} {
			for _, right := range []float64{.9, .75, .5} {
				name := "one pass"
				if list {
					name = "list"
				}
				t.Run(fmt.Sprintf("%s/%d texts/right %v", name, texts, right), func(t *testing.T) {
					w := passes{texts: texts, fixed: 30 * ms, token: 150 * time.Microsecond, list: list, right: right, own: .78, step: ms / 5}
					random := rand.New(rand.NewPCG(1, uint64(texts)))
					plain := w
					plain.own = 1
					base := plain.play(Fixed{By: Own, Length: passAnswer}, 1000*texts, 0, random)
					best, at := w.play(Fixed{By: Own, Length: ownRun}, 1000*texts, 0, random), -1
					own := best
					for _, length := range lengths {
						if rate := w.play(Fixed{By: Tuned, Length: length}, 1000*texts, 0, random); rate > best {
							best, at = rate, length
						}
					}
					early := w.play(NewAuto(Nobody, NewMeter()), 120*texts, 0, random)
					late := w.play(NewAuto(Nobody, NewMeter()), 2000*texts, 500*texts, random)
					t.Logf("of plain: auto %.2f, %.2f while it learns; the best (%d) %.2f, own %.2f", late/base, early/base, at, best/base, own/base)
					if late < .75*best || texts == 16 && late < .85*best {
						t.Errorf("auto makes %.0f tokens/s, the best %.0f", late, best)
					}
					if early < .7*best {
						t.Errorf("auto makes %.0f tokens/s while it learns, the best %.0f", early, best)
					}
				})
			}
		}
	}
}
