package cli

import (
	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/eft/decode"
	"github.com/graft-gateway/graft/gateway/openai"
)

// garble spoils guesses, to measure what worse ones would cost.
type garble func(position int, guess eft.Token) eft.Token

// drafters are those of a route with experts. What a call of the base takes is measured
// for all of its routes together.
func (w *wiring) drafters(base string) map[openai.Draft]decode.Drafter {
	meter, ok := w.meters[base]
	if !ok {
		meter = decode.NewMeter()
		w.meters[base] = meter
	}
	drafters := map[openai.Draft]decode.Drafter{}
	for name, only := range map[openai.Draft]decode.Guesser{
		openai.DraftAuto: decode.Nobody, openai.DraftTuned: decode.Tuned, openai.DraftBase: decode.Own,
	} {
		drafters[name] = decode.NewAuto(only, meter)
		if w.garble != nil {
			drafters[name] = decode.Garbled{Drafter: drafters[name], With: w.garble}
		}
	}
	return drafters
}
