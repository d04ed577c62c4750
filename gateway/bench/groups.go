package bench

import (
	"slices"

	"github.com/graft-gateway/graft/gateway/openai"
)

// Kind is what sort of base groups are for.
type Kind int

// The kinds of bases.
const (
	InProcess Kind = iota
	Server         // a real one
	Simulated
)

// Lengths of answers in tokens: texts long enough that decoding is what is measured.
const (
	quickLength = 32
	fullLength  = 64
)

// arms are drafters at one strength.
func arms(strength float64, drafters ...openai.Draft) []Arm {
	var out []Arm
	for _, d := range drafters {
		out = append(out, Arm{d, strength})
	}
	return out
}

// Groups is what is measured over a base of a kind.
func Groups(k Kind, quick bool) []Group {
	switch {
	case quick && k == Simulated:
		return []Group{
			{Concurrency: 1, Length: quickLength, Rounds: 2, Questions: 1, Arms: arms(1, openai.DraftTuned, openai.DraftBase, openai.DraftAuto)},
			{Concurrency: 1, Length: quickLength, Rounds: 2, Questions: 1, Temperature: .8, Arms: arms(1, openai.DraftTuned, openai.DraftAuto)},
			{Concurrency: 16, Length: quickLength, Rounds: 1, Questions: 1, Arms: arms(1, openai.DraftAuto)},
		}
	case quick:
		return []Group{
			{Concurrency: 1, Length: quickLength, Rounds: 3, Questions: 2, Arms: arms(1, openai.DraftOff, openai.DraftTuned, openai.DraftAuto)},
			{Concurrency: 16, Length: quickLength, Rounds: 2, Questions: 1, Arms: arms(1, openai.DraftOff, openai.DraftAuto)},
		}
	case k == Simulated:
		return slices.Concat(full(1, 4), lowered())
	}
	return full(4, 8)
}

// full are the groups of a full run. At concurrency 1 a round asks so many questions of
// each arm, in so many rounds.
func full(questions, rounds int) []Group {
	every := arms(1, openai.DraftOff, openai.DraftTuned, openai.DraftBase, openai.DraftAuto)
	some := arms(1, openai.DraftTuned, openai.DraftAuto)
	var groups []Group
	for _, temperature := range []float64{0, .8} {
		one := Group{
			Temperature: temperature, Concurrency: 1, Length: fullLength, Rounds: rounds, Questions: questions,
			Arms: slices.Concat(every, arms(.5, openai.DraftTuned, openai.DraftAuto)),
		}
		natural := one
		natural.Length, natural.Arms, natural.Questions = 0, some, 3*questions
		groups = append(groups, one, natural)
		for _, concurrency := range []int{4, 16} {
			groups = append(groups, Group{Temperature: temperature, Concurrency: concurrency, Length: fullLength, Rounds: 2, Questions: 1, Arms: every})
		}
	}
	return append(groups,
		Group{Concurrency: 64, Length: fullLength, Rounds: 1, Questions: 1, Arms: every},
		Group{Concurrency: 16, Rounds: 2, Questions: 3, Arms: some},
		Group{Concurrency: 1, Length: fullLength, Rounds: 2, Questions: questions, Arms: slices.Concat(arms(0, openai.DraftAuto), arms(1.5, openai.DraftAuto))},
		Group{Concurrency: 1, Prompt: 256, Length: fullLength, Rounds: 2, Questions: questions, Arms: some},
		Group{Concurrency: 1, Prompt: 1000, Length: fullLength, Rounds: 2, Questions: questions, Arms: some},
	)
}

// lowered are the groups whose drafters agree less than the embedded family's, as those
// of other families may.
func lowered() []Group {
	some := arms(1, openai.DraftTuned, openai.DraftAuto)
	var groups []Group
	for _, agreement := range []float64{.75, .5} {
		for _, temperature := range []float64{0, .8} {
			groups = append(groups, Group{Lowered: agreement, Temperature: temperature, Concurrency: 1, Length: fullLength, Rounds: 3, Questions: 1, Arms: some})
		}
		for _, concurrency := range []int{4, 16} {
			groups = append(groups, Group{Lowered: agreement, Concurrency: concurrency, Length: fullLength, Rounds: 2, Questions: 1, Arms: some})
		}
	}
	return groups
}
