package simulated

import "github.com/graft-gateway/graft/eft"

// ownNoise keeps the base's noise apart from that of whoever uses the same hash.
const ownNoise = 0x73696d756c617465

// chooser returns the function that takes tokens as params say. It is for one answer.
func chooser(v *eft.Vocabulary, params eft.Params) func(*Row, []eft.Token) (eft.Token, error) {
	if params.Temperature == 0 && len(params.Bias) == 0 && params.Presence == 0 && params.Frequency == 0 && params.MinTokens == 0 {
		return func(row *Row, _ []eft.Token) (eft.Token, error) { return row.argmax(), nil }
	}
	params.Seed ^= ownNoise
	mixer, sampler := eft.NewMixer(v, eft.Mix{Base: 1}), eft.NewSampler(params)
	return func(row *Row, generated []eft.Token) (eft.Token, error) {
		combined, err := mixer.Combine(eft.Rows{Base: eft.Row{Scores: row.LogProbs}})
		if err != nil {
			return 0, err
		}
		return sampler.Next(combined, generated)
	}
}
