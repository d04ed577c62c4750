package doctor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// Subject is a model that is measured.
type Subject interface {
	Open(prompt []eft.Token) Text
	// Epsilon is how far rows depend on how tokens are grouped into runs, in nats.
	Epsilon(ctx context.Context, tokens []eft.Token) (float64, error)
}

// Text is a text that a model reads.
type Text interface {
	Rows(ctx context.Context, generated, path []eft.Token) ([]eft.Row, error)
	Close() error
}

// Probe is what a short measurement found.
type Probe struct {
	Steps           int      `json:"steps"`                    // that were measured
	StepsPerSecond  float64  `json:"tokens_per_second"`        // one at a time, as an answer is made
	Prompt          int      `json:"prompt_tokens"`            // of the longest prompt that was measured
	PromptPerSecond float64  `json:"prompt_tokens_per_second"` // of that prompt
	Epsilon         *float64 `json:"epsilon"`                  // in nats; null if it was not measured
	EpsilonNote     string   `json:"epsilon_note,omitempty"`   // why not
	Slow            bool     `json:"slow,omitempty"`           // nothing was measured: the first tokens took too long
	Seconds         float64  `json:"seconds"`                  // that all of it took
}

// Measure says how to measure.
type Measure struct {
	Sample  []eft.Token   // tokens to read, over and over; at least one
	Context int           // of the model
	Budget  time.Duration // for steps and prompts, and once more for ε
}

// The bounds of a measurement. The first run, which is not measured, may take
// longer than any other; a model that does not finish it within patience is told so.
const (
	patience       = 30 * time.Second
	firstPrompt    = 8
	longestPrompt  = 512
	epsilonTokens  = 8
	epsilonInSteps = 60 // what measuring ε costs, in single steps, roughly
)

// ErrNoNumbers says that a model's rows are not numbers.
var ErrNoNumbers = errors.New("its rows are not numbers")

// Run measures a model: single steps for half of the budget, prompts of doubling
// length for the other half, and ε if that takes no longer than both.
func Run(ctx context.Context, s Subject, m Measure) (p Probe, err error) {
	began := time.Now()
	if err := m.steps(ctx, s, &p); err != nil || p.Slow {
		return p, err
	}
	if err := m.prompts(ctx, s, &p); err != nil {
		return p, err
	}
	if err := m.epsilon(ctx, s, &p); err != nil {
		return p, err
	}
	p.Seconds = time.Since(began).Seconds()
	return p, nil
}

// tokens repeats the sample.
func (m Measure) tokens(n int) []eft.Token {
	out := make([]eft.Token, n)
	for i := range out {
		out[i] = m.Sample[i%len(m.Sample)]
	}
	return out
}

// steps reads a short prompt, and then a token at a time until time or context end.
func (m Measure) steps(ctx context.Context, s Subject, p *Probe) (err error) {
	limit := min(firstPrompt, max(1, m.Context/2))
	text := s.Open(m.tokens(limit))
	defer func() { err = errors.Join(err, text.Close()) }()
	first, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := text.Rows(first, nil, nil)
	if p.Slow = ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded); p.Slow {
		return nil
	}
	if err != nil {
		return err
	}
	if !numbers(rows) {
		return ErrNoNumbers
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer := m.tokens(max(0, m.Context-limit))
	began := time.Now()
	for p.Steps < len(answer) && time.Since(began) < m.Budget/2 {
		rows, err := text.Rows(bounded, answer[:p.Steps+1], nil)
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			return err
		}
		if !numbers(rows) {
			return ErrNoNumbers
		}
		p.Steps++
	}
	p.StepsPerSecond = rate(p.Steps, time.Since(began))
	return nil
}

// prompts reads longer and longer prompts and keeps the rate of the last one.
func (m Measure) prompts(ctx context.Context, s Subject, p *Probe) error {
	bounded, cancel := context.WithTimeout(ctx, m.Budget)
	defer cancel()
	began := time.Now()
	for n := 2 * firstPrompt; n <= longestPrompt; n *= 2 {
		length := min(n, m.Context)
		if length <= p.Prompt {
			break
		}
		start := time.Now()
		err := m.read(bounded, s, length)
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			return err
		}
		p.Prompt, p.PromptPerSecond = length, rate(length, time.Since(start))
		// The next one takes twice as long as this one, or more.
		if time.Since(began)+2*time.Since(start) > m.Budget/2 {
			break
		}
	}
	return nil
}

// read reads one prompt.
func (m Measure) read(ctx context.Context, s Subject, length int) (err error) {
	text := s.Open(m.tokens(length))
	defer func() { err = errors.Join(err, text.Close()) }()
	rows, err := text.Rows(ctx, nil, nil)
	if err == nil && !numbers(rows) {
		err = ErrNoNumbers
	}
	return err
}

// epsilon measures how far rows depend on shapes, if that is cheap enough.
func (m Measure) epsilon(ctx context.Context, s Subject, p *Probe) error {
	if m.Context < epsilonTokens {
		p.EpsilonNote = fmt.Sprintf("needs a context of %d tokens", epsilonTokens)
		return nil
	}
	if p.Steps == 0 {
		p.EpsilonNote = "no step ended in time"
		return nil
	}
	if needs := time.Duration(epsilonInSteps / p.StepsPerSecond * float64(time.Second)); needs > m.Budget {
		p.EpsilonNote = fmt.Sprintf("not measured: it takes about %.1f s, longer than a probe of %v", needs.Seconds(), m.Budget)
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, 2*m.Budget)
	defer cancel()
	epsilon, err := s.Epsilon(bounded, m.tokens(epsilonTokens))
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		p.EpsilonNote = "not measured: it took too long"
		return nil
	}
	if err != nil {
		return err
	}
	p.Epsilon = &epsilon
	return nil
}

// numbers says whether every row has a best score: no NaN, and not −∞ alone.
func numbers(rows []eft.Row) bool {
	for _, r := range rows {
		best := float32(math.Inf(-1))
		for _, score := range r.Scores {
			if score != score || math.IsInf(float64(score), 1) {
				return false
			}
			best = max(best, score)
		}
		if math.IsInf(float64(best), -1) {
			return false
		}
	}
	return true
}

func rate(n int, took time.Duration) float64 {
	if n == 0 || took <= 0 {
		return 0
	}
	return float64(n) / took.Seconds()
}
