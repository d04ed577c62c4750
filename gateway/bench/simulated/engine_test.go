package simulated

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// asking is a greedy ask that no token ends.
func asking(prompt []eft.Token, tokens int) Ask {
	return Ask{
		Prompt: prompt, From: len(prompt), Tokens: tokens, Ends: func(eft.Token) bool { return false },
		Choose: func(row *Row, _ []eft.Token) (eft.Token, error) { return row.argmax(), nil },
	}
}

// engine starts one over the fake model; it is closed with the test.
func engine(t *testing.T, model *fakeModel, change func(*Config)) *Engine {
	c := simulation(model)
	if change != nil {
		change(&c)
	}
	e := NewEngine(c)
	t.Cleanup(func() {
		e.Close()
		if model.open.Load() != model.closed.Load() {
			t.Errorf("%d sequences were opened and %d closed", model.open.Load(), model.closed.Load())
		}
	})
	return e
}

// ends reads jobs to their ends and returns when each step came, in µs since begun.
func ends(begun time.Time, jobs ...*Job) [][]int64 {
	all := make([][]int64, len(jobs))
	done := make(chan struct{})
	for i, j := range jobs {
		go func() {
			for range j.Steps {
				all[i] = append(all[i], time.Since(begun).Microseconds())
			}
			done <- struct{}{}
		}()
	}
	for range jobs {
		<-done
	}
	return all
}

func TestPassesTakeWhatTheLawSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, begun := engine(t, &fakeModel{}, nil), time.Now()
		got := ends(begun, e.Submit(t.Context(), asking(counting(0, 5), 3))...)
		// 30 ms and four further tokens at 0.15 ms; then one token a pass.
		if want := []int64{30600, 60600, 90600}; !slices.Equal(got[0], want) {
			t.Errorf("steps at %v µs, want %v", got[0], want)
		}
	})
}

func TestWhatComesDuringAPassIsInTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, begun := engine(t, &fakeModel{}, nil), time.Now()
		a := e.Submit(t.Context(), asking(counting(0, 1), 3))
		time.Sleep(10 * time.Millisecond)
		b := e.Submit(t.Context(), asking(counting(5, 3), 1))
		got := ends(begun, a[0], b[0])
		// a; a's next and b's three tokens, 30 + 3·0.15; a's last.
		if want := []int64{30000, 60450, 90450}; !slices.Equal(got[0], want) || !slices.Equal(got[1], want[1:2]) {
			t.Errorf("steps at %v µs, want %v, and the second only", got, want)
		}
	})
}

func TestAPassBeginsWhenSomethingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, &fakeModel{}, nil)
		for range 3 {
			begun := time.Now()
			if got := ends(begun, e.Submit(t.Context(), asking(counting(0, 1), 1))...); got[0][0] != 30000 {
				t.Errorf("after %d µs", got[0][0])
			}
			time.Sleep(7 * time.Millisecond)
		}
	})
}

func TestTrueRowsThatTakeTooLongAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, begun := engine(t, &fakeModel{takes: 50 * time.Millisecond}, nil), time.Now()
		got := ends(begun, e.Submit(t.Context(), asking(counting(0, 1), 2))...)
		if want := []int64{50000, 100000}; !slices.Equal(got[0], want) {
			t.Errorf("steps at %v µs, want %v", got[0], want)
		}
		synctest.Wait()
		if s := e.Stats(); s.Overruns != 2 || s.OverrunSeconds != 0.04 || s.Passes != 2 || s.ComputeSeconds != 0.1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// extensions are a text's prefixes from a length on.
func extensions(text []eft.Token, from int) []Ask {
	var asks []Ask
	for n := from; n <= len(text); n++ {
		asks = append(asks, asking(text[:n], 1))
	}
	return asks
}

func TestBlocksAreReusedAsVLLMReusesThem(t *testing.T) {
	text := counting(3, 40)
	salted := func(a Ask, salt string) Ask { a.Salt = salt; return a }
	onePass := func(from, to int) Ask { a := asking(text[:to], 1); a.From = from; return a }
	for _, test := range []struct {
		name             string
		before, asks     []Ask
		computed, reused int64 // by hand
	}{
		{"nothing is cached", nil, []Ask{asking(text[:20], 1)}, 20, 0},
		{"a whole block", []Ask{asking(text[:20], 1)}, []Ask{asking(text[:25], 1)}, 9, 16},
		{"a part of a block is not cached", []Ask{asking(text[:31], 1)}, []Ask{asking(text[:40], 1)}, 24, 16},
		{"a cached prompt of whole blocks computes its last one", []Ask{asking(text[:32], 1)}, []Ask{asking(text[:32], 1)}, 16, 16},
		{"another salt", []Ask{asking(text[:32], 1)}, []Ask{salted(asking(text[:32], 1), "b")}, 32, 0},
		{"another text", []Ask{asking(text[:32], 1)}, []Ask{asking(counting(4, 32), 1)}, 32, 0},
		// 20, and 5 … 12 behind the block that the first fills.
		{"a list of prefixes, cold", nil, extensions(text[:28], 20), 88, 128},
		// 4 … 12.
		{"a list of prefixes, cached", []Ask{asking(text[:20], 1)}, extensions(text[:28], 20), 72, 144},
		// 30, 15, 16 (which fills the second block), 1 and 2 behind both.
		{"a list over the end of a block", nil, extensions(text[:34], 30), 64, 16 + 16 + 32 + 32},
		{"one pass, cold", nil, []Ask{onePass(20, 28)}, 28, 0},
		{"one pass, cached", []Ask{asking(text[:20], 1)}, []Ask{onePass(20, 28)}, 12, 16},
		// The row behind 17 tokens needs the 17th: the block is reused. That behind 16 does not leave it whole.
		{"one pass from the end of a block", []Ask{asking(text[:32], 1)}, []Ask{onePass(17, 28)}, 12, 16},
		{"one pass from within a block", []Ask{asking(text[:32], 1)}, []Ask{onePass(16, 28)}, 28, 0},
		// 15 tokens and two generated: the second's pass computes the 16th token.
		{"what was generated is cached, too", []Ask{asking(text[:15], 3)}, nil, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := engine(t, &fakeModel{}, nil)
				jobs := e.Submit(t.Context(), test.before...)
				ends(time.Now(), jobs...)
				if test.asks == nil {
					whole := append(slices.Clone(text[:15]), jobs[0].tokens[15:]...)
					test.asks, test.computed, test.reused = []Ask{asking(whole, 1)}, int64(len(whole))-16, 16
				}
				synctest.Wait()
				was := e.Stats()
				ends(time.Now(), e.Submit(t.Context(), test.asks...)...)
				synctest.Wait()
				now := e.Stats()
				if now.Passes != was.Passes+1 {
					t.Errorf("%d passes, want 1", now.Passes-was.Passes)
				}
				if c, r := now.TokensComputed-was.TokensComputed, now.TokensReused-was.TokensReused; c != test.computed || r != test.reused {
					t.Errorf("%d computed and %d reused, want %d and %d", c, r, test.computed, test.reused)
				}
			})
		})
	}
}

func TestLongPromptsGoOnInTheNextPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, begun := engine(t, &fakeModel{}, func(c *Config) { c.Batch = 8 }), time.Now()
		jobs := e.Submit(t.Context(), asking(counting(0, 1), 5), asking(counting(1, 20), 1))
		got := ends(begun, jobs...)
		// 8 tokens a pass: 1+7, 1+7, 1+6, and then the first alone.
		if want := []int64{31050, 62100, 93000, 123000, 153000}; !slices.Equal(got[0], want) || !slices.Equal(got[1], want[2:3]) {
			t.Errorf("steps at %v µs, want %v", got, want)
		}
	})
}

func TestWhoLeavesIsNotComputed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, &fakeModel{}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		left := e.Submit(ctx, asking(counting(0, 1), 50))
		stays := e.Submit(t.Context(), asking(counting(7, 1), 4))
		time.Sleep(40 * time.Millisecond)
		cancel()
		ends(time.Now(), left[0], stays[0])
		synctest.Wait()
		// left alone (both came at once, the pass began with both), then two passes
		// with both at most: it leaves with the third.
		if s := e.Stats(); s.Passes != 4 || s.Sequences != 4+2 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestAFailingModelFailsItsJobsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		model := &fakeModel{}
		e := engine(t, model, nil)
		model.fails.Store(true)
		if step := <-e.Submit(t.Context(), asking(counting(0, 3), 2))[0].Steps; step.Err == nil {
			t.Errorf("step %+v", step)
		}
		model.fails.Store(false)
		if step := <-e.Submit(t.Context(), asking(counting(0, 3), 2))[0].Steps; step.Err != nil {
			t.Error(step.Err)
		}
	})
}

func TestCloseEndsWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := engine(t, &fakeModel{}, nil)
		jobs := e.Submit(t.Context(), asking(counting(0, 1), 50), asking(counting(1, 1), 50))
		time.Sleep(45 * time.Millisecond)
		e.Close()
		jobs = append(jobs, e.Submit(t.Context(), asking(counting(0, 1), 1))...)
		for _, j := range jobs {
			var last Step
			for step := range j.Steps {
				last = step
			}
			if last.Err == nil {
				t.Errorf("last step %+v", last)
			}
		}
	})
}

func TestTrueRowsAreComputedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		model := &fakeModel{}
		e := engine(t, model, nil)
		text := counting(3, 30)
		for range 3 {
			jobs := e.Submit(t.Context(), extensions(text, 22)...)
			for i, j := range jobs {
				step := <-j.Steps
				if want := newRow(fakeScores(text[:22+i])); !slices.Equal(step.Rows[0].LogProbs, want.LogProbs) {
					t.Errorf("the row behind %d tokens is another one", 22+i)
				}
			}
		}
		if n := model.rows.Load(); n != 9 || model.open.Load() != 1 {
			t.Errorf("%d rows by %d sequences, want 9 by 1", n, model.open.Load())
		}
	})
}
