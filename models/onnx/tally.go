package onnx

import "sync/atomic"

// batchBounds are the upper ends of the sizes by which runs of steps are counted; the
// last count is of all that are larger.
var batchBounds = [...]int{1, 2, 4, 8, 16}

// Tally counts what a session has done since it was opened.
type Tally struct {
	StepRuns     int64   // runs of single steps
	Steps        int64   // steps in them
	PaddedRows   int64   // rows in them that nobody had asked for
	Batches      []int64 // StepRuns by steps in the run: 1, 2, up to 4, 8, 16, more
	PromptRuns   int64   // runs of several tokens, or of a text's first
	PromptTokens int64   // tokens in them
	Waiting      int64   // jobs that wait or run now
}

// BatchBounds are the upper ends of Tally.Batches but the last, which has none.
func BatchBounds() []int { return append([]int(nil), batchBounds[:]...) }

// tally is what Tally is read from.
type tally struct {
	stepRuns, steps, padded, promptRuns, promptTokens, waiting atomic.Int64
	batches                                                    [len(batchBounds) + 1]atomic.Int64
}

// stepped counts a run of so many rows, of which so many were asked for.
func (t *tally) stepped(steps, rows int) {
	t.stepRuns.Add(1)
	t.steps.Add(int64(steps))
	t.padded.Add(int64(rows - steps))
	i := 0
	for i < len(batchBounds) && batchBounds[i] < steps {
		i++
	}
	t.batches[i].Add(1)
}

// read counts a run of so many tokens of one text; pieces of other work have none.
func (t *tally) read(tokens int) {
	if tokens > 0 {
		t.promptRuns.Add(1)
		t.promptTokens.Add(int64(tokens))
	}
}

// Tally tells what the session has done since it was opened.
func (s *Session) Tally() Tally {
	t := &s.tally
	out := Tally{
		StepRuns: t.stepRuns.Load(), Steps: t.steps.Load(), PaddedRows: t.padded.Load(),
		PromptRuns: t.promptRuns.Load(), PromptTokens: t.promptTokens.Load(), Waiting: t.waiting.Load(),
	}
	for i := range t.batches {
		out.Batches = append(out.Batches, t.batches[i].Load())
	}
	return out
}
