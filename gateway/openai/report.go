package openai

import (
	"encoding/json"
	"math"

	"github.com/graft-gateway/graft/eft"
)

// TuningReport says with every answer what was applied and what it did, summed
// or averaged over all its choices.
type TuningReport struct {
	Strength     float64            `json:"strength"`
	Experts      map[string]float64 `json:"experts"` // the weight applied: the strength times the expert's own
	Base         float64            `json:"base"`
	Plausibility float64            `json:"plausibility"`
	Draft        Draft              `json:"draft"`

	// Seed repeats the answer. One that was drawn lies below 2^53, so that
	// JavaScript can send it back.
	Seed int64 `json:"seed"`

	ChangedTokens int     `json:"changed_tokens"` // positions whose best token is not the base's
	MeanKL        Measure `json:"mean_kl"`        // of the mix to the base, nats a position
	BaseCalls     int     `json:"base_calls"`
	DraftedTokens int     `json:"drafted_tokens"`
	AgreedTokens  int     `json:"agreed_tokens"`
	Truncated     bool    `json:"truncated"`    // some rows of the base were
	MissingMass   Measure `json:"missing_mass"` // of their tails, mean a position

	Explain []Explanation `json:"explain,omitempty"` // if asked for: the tokens of choice 0, then of choice 1, …
}

// Explanation says how one token came about. Its log-probs are before
// temperature, filters and noise.
type Explanation struct {
	Choice       int                `json:"choice"` // index of the choice it belongs to
	Token        string             `json:"token"`
	ID           eft.Token          `json:"id"`
	Base         Logprob            `json:"base"`
	Tuned        map[string]Logprob `json:"tuned"`   // by expert
	Untuned      map[string]Logprob `json:"untuned"` // by expert
	Combined     Logprob            `json:"combined"`
	BaseChoice   string             `json:"base_choice"` // the base's own best token
	BaseChoiceID eft.Token          `json:"base_choice_id"`
}

// Measure is a figure that may be infinite or undefined, which is written as null.
type Measure float64

// MarshalJSON writes a finite number or null.
func (m Measure) MarshalJSON() ([]byte, error) {
	if v := float64(m); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return json.Marshal(v)
	}
	return []byte("null"), nil
}
