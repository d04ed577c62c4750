package eft

import "fmt"

// Params are a request's sampling knobs. The zero value is greedy decoding with
// nothing filtered, except that TopP must be 1 to filter nothing.
type Params struct {
	// Temperature divides the log-probs, 0 … 2; 0 takes the best id and no noise.
	Temperature float64
	// TopK keeps the k best ids; 0 keeps all.
	TopK int
	// TopP keeps the best ids up to this mass, above 0 … 1.
	TopP float64
	// MinP drops ids below this share of the best one's probability, 0 … 1.
	MinP float64
	// Presence and Frequency are subtracted, −2 … 2: once for an id that was
	// generated, and once for each time it was.
	Presence, Frequency float64
	// Bias is added to the log-prob of its ids, −100 … 100.
	Bias map[Token]float64
	// Seed selects the noise.
	Seed uint64
	// Ends are the ids that end a text. They are masked before position MinTokens.
	Ends      []Token
	MinTokens int
}

// Validate names the first parameter that is out of its range.
func (p Params) Validate() error {
	within := func(x, low, high float64) bool { return x >= low && x <= high }
	switch {
	case !within(p.Temperature, 0, 2):
		return fmt.Errorf("temperature %v: must be from 0 to 2", p.Temperature)
	case p.TopK < 0:
		return fmt.Errorf("top_k %d: must be 0 (off) or more", p.TopK)
	case !within(p.TopP, 0, 1) || p.TopP == 0:
		return fmt.Errorf("top_p %v: must be above 0 and at most 1", p.TopP)
	case !within(p.MinP, 0, 1):
		return fmt.Errorf("min_p %v: must be from 0 to 1", p.MinP)
	case !within(p.Presence, -2, 2):
		return fmt.Errorf("presence_penalty %v: must be from -2 to 2", p.Presence)
	case !within(p.Frequency, -2, 2):
		return fmt.Errorf("frequency_penalty %v: must be from -2 to 2", p.Frequency)
	case p.MinTokens < 0:
		return fmt.Errorf("min_tokens %d: must be 0 or more", p.MinTokens)
	}
	for id, b := range p.Bias {
		if !within(b, -100, 100) {
			return fmt.Errorf("logit_bias of id %d is %v: must be from -100 to 100", id, b)
		}
	}
	return nil
}
