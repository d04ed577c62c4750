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

// fixedLength is how many tokens answers have that do not end by themselves. The embedded
// family's end after some sixteen; what comes behind is noise, which drafters guess less of.
const fixedLength = 64

// arms are drafters at one strength.
func arms(strength float64, drafters ...openai.Draft) []Arm {
	var out []Arm
	for _, d := range drafters {
		out = append(out, Arm{d, strength})
	}
	return out
}

// Groups is what is measured over a base of a kind. Answers end by themselves unless it is
// said: those are the texts that the models were made for.
func Groups(k Kind, quick bool) []Group {
	switch {
	case quick && k == Simulated:
		return []Group{
			{Concurrency: 1, Rounds: 2, Questions: 3, Arms: arms(1, openai.DraftTuned, openai.DraftAuto)},
			{Concurrency: 1, Rounds: 2, Questions: 3, Temperature: .8, Arms: arms(1, openai.DraftTuned, openai.DraftAuto)},
			{Concurrency: 16, Rounds: 1, Questions: 2, Arms: arms(1, openai.DraftAuto)},
		}
	case quick:
		return []Group{
			{Concurrency: 1, Rounds: 3, Questions: 4, Arms: arms(1, openai.DraftOff, openai.DraftTuned, openai.DraftAuto)},
			{Concurrency: 16, Rounds: 2, Questions: 2, Arms: arms(1, openai.DraftOff, openai.DraftAuto)},
		}
	case k == Simulated:
		return slices.Concat(full(3), lowered())
	}
	return full(12)
}

// full are the groups of a full run. At concurrency 1 so many questions are asked in a
// round: enough that rounds of a fast base take some time.
func full(questions int) []Group {
	guessing := arms(1, openai.DraftTuned, openai.DraftBase, openai.DraftAuto)
	every := slices.Concat(arms(1, openai.DraftOff), guessing)
	some := arms(1, openai.DraftTuned, openai.DraftAuto)
	var groups []Group
	for _, temperature := range []float64{0, .8} {
		groups = append(groups,
			Group{Temperature: temperature, Concurrency: 1, Rounds: 3, Questions: questions, Arms: every},
			Group{Temperature: temperature, Concurrency: 4, Rounds: 2, Questions: 2, Arms: guessing},
			Group{Temperature: temperature, Concurrency: 16, Rounds: 2, Questions: 2, Arms: guessing},
			Group{Temperature: temperature, Concurrency: 1, Rounds: 2, Questions: questions, Arms: arms(.5, openai.DraftTuned, openai.DraftBase, openai.DraftAuto)},
			Group{Temperature: temperature, Concurrency: 1, Rounds: 3, Questions: max(1, questions/4), Length: fixedLength, Arms: some},
		)
	}
	return append(groups,
		Group{Concurrency: 64, Rounds: 2, Questions: 1, Arms: slices.Concat(arms(1, openai.DraftOff), some)},
		Group{Concurrency: 16, Rounds: 1, Questions: 1, Length: fixedLength, Arms: some},
		Group{Concurrency: 1, Rounds: 2, Questions: questions, Arms: arms(0, openai.DraftAuto)},
		Group{Concurrency: 1, Rounds: 2, Questions: questions, Arms: arms(1.5, openai.DraftTuned, openai.DraftAuto)},
		Group{Concurrency: 1, Rounds: 2, Questions: questions, Prompt: 256, Arms: some},
		Group{Concurrency: 1, Rounds: 2, Questions: questions, Prompt: 1000, Arms: some},
	)
}

// lowered are the groups whose drafters agree less than the embedded family's, as those
// of other families may.
func lowered() []Group {
	some := arms(1, openai.DraftTuned, openai.DraftAuto)
	var groups []Group
	for _, agreement := range []float64{.75, .5} {
		for _, temperature := range []float64{0, .8} {
			groups = append(groups, Group{Lowered: agreement, Temperature: temperature, Concurrency: 1, Rounds: 3, Questions: 3, Arms: some})
		}
		for _, concurrency := range []int{4, 16} {
			groups = append(groups, Group{Lowered: agreement, Concurrency: concurrency, Rounds: 2, Questions: 2, Arms: some})
		}
	}
	return groups
}
