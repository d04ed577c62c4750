package decode

import (
	"slices"

	"github.com/graft-gateway/graft/eft"
)

// oracle guesses tokens as the loop will choose them, by the same parameters and noise,
// from less than all rows. One goroutine uses it at a time.
type oracle struct {
	request *Request
	mix     eft.Mix
	mixer   *eft.Mixer // nil before the first guess
	sampler *eft.Sampler
}

// ofPairs guesses from the pairs alone.
func ofPairs(r *Request) oracle { return oracle{request: r, mix: r.Mix} }

// ofBase guesses from the base alone, as if no pair had weight.
func ofBase(r *Request) oracle {
	alone := r.Mix
	alone.Pairs = nil
	return oracle{request: r, mix: alone}
}

// byPairs takes the base for the first untuned model. It has no guess where there is
// none.
func (o *oracle) byPairs(pairs []eft.PairRows, text []eft.Token) (eft.Token, bool) {
	first := slices.IndexFunc(pairs, func(p eft.PairRows) bool { return p.Untuned.Dense() })
	if first < 0 {
		return 0, false
	}
	return o.guess(eft.Rows{Base: pairs[first].Untuned, Pairs: pairs}, text)
}

// guess has none where rows or parameters leave no token: that is the walk's to tell.
func (o *oracle) guess(rows eft.Rows, text []eft.Token) (eft.Token, bool) {
	if o.mixer == nil {
		o.mixer = eft.NewMixer(o.request.Vocabulary, o.mix)
		o.sampler = eft.NewSampler(o.request.Params)
	}
	combination, err := o.mixer.Combine(rows)
	if err != nil {
		return 0, false
	}
	token, err := o.sampler.Next(combination, text)
	return token, err == nil
}

// ends says that nothing follows token.
func (r *Request) ends(token eft.Token) bool {
	return !r.IgnoreEnd && slices.Contains(r.Params.Ends, token)
}
