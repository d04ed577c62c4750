package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/graft-gateway/graft/eft"
)

// request is the body of POST /v1/completions. It has nothing in it that OpenAI's own
// does not know, but for AsIDs, which is sent where it was found to work, and IgnoreEOS.
type request struct {
	Model       string             `json:"model"`
	Prompt      any                `json:"prompt"` // []eft.Token, string, or a list of either
	MaxTokens   int                `json:"max_tokens"`
	Temperature float64            `json:"temperature"`
	TopP        float64            `json:"top_p"`
	Logprobs    any                `json:"logprobs,omitempty"` // k, or true with TopLogprobs
	TopLogprobs int                `json:"top_logprobs,omitempty"`
	AsIDs       bool               `json:"return_tokens_as_token_ids,omitempty"`
	LogitBias   map[string]float64 `json:"logit_bias,omitempty"`
	IgnoreEOS   bool               `json:"ignore_eos,omitempty"` // only where nothing else is left
	Stream      bool               `json:"stream,omitempty"`
}

// completion is an answer, or an event of a streamed one.
type completion struct {
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   *struct {
		PromptTokens int `json:"prompt_tokens"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

type choice struct {
	Index    int       `json:"index"`
	Text     string    `json:"text"`
	Finish   *string   `json:"finish_reason"`
	Logprobs positions `json:"logprobs"`
}

// entry is one token as a server names it, in one or several ways.
type entry struct {
	text    string
	bytes   []byte    // nil if it tells none
	id      eft.Token // −1 if it tells none
	logProb float64   // −∞ where it says null
}

// position is one generated token, with the best that could have stood there.
type position struct {
	chosen entry
	top    []entry
}

// positions are the log-probs of a choice, read from either shape.
type positions []position

// UnmarshalJSON tells the shapes by their names.
func (p *positions) UnmarshalJSON(data []byte) error {
	var shape struct {
		Tokens   []*string       `json:"tokens"`
		LogProbs []*float64      `json:"token_logprobs"`
		Top      json.RawMessage `json:"top_logprobs"`
		IDs      []eft.Token     `json:"token_ids"`
		Content  []content       `json:"content"`
	}
	if err := json.Unmarshal(data, &shape); err != nil {
		return err
	}
	*p = nil
	if shape.Content != nil {
		for _, c := range shape.Content {
			position := position{chosen: c.entry()}
			for _, t := range c.Top {
				position.top = append(position.top, t.entry())
			}
			*p = append(*p, position)
		}
		return nil
	}
	if shape.Tokens == nil {
		return nil
	}
	var top []ordered
	if len(shape.Top) > 0 {
		if err := json.Unmarshal(shape.Top, &top); err != nil {
			return err
		}
	}
	if len(shape.LogProbs) != len(shape.Tokens) || top != nil && len(top) != len(shape.Tokens) || shape.IDs != nil && len(shape.IDs) != len(shape.Tokens) {
		return fmt.Errorf("log-probs of %d tokens, %d of them with a number and %d with the best", len(shape.Tokens), len(shape.LogProbs), len(top))
	}
	for i, name := range shape.Tokens {
		if name == nil {
			return errors.New("log-probs of a token without a name")
		}
		position := position{chosen: entry{text: *name, id: -1, logProb: number(shape.LogProbs[i])}}
		if shape.IDs != nil {
			position.chosen.id = shape.IDs[i]
		}
		if top != nil {
			position.top = top[i]
		}
		*p = append(*p, position)
	}
	return nil
}

// content is a token of the chat-like shape.
type content struct {
	Token   string     `json:"token"`
	LogProb *float64   `json:"logprob"`
	Bytes   []int      `json:"bytes"`
	ID      *eft.Token `json:"id"`
	TokenID *eft.Token `json:"token_id"`
	Top     []content  `json:"top_logprobs"`
}

func (c content) entry() entry {
	e := entry{text: c.Token, id: -1, logProb: number(c.LogProb)}
	if c.Bytes != nil {
		e.bytes = make([]byte, len(c.Bytes))
		for i, b := range c.Bytes {
			if b < 0 || b > 255 {
				e.bytes = nil // these are no bytes; the text is still there
				break
			}
			e.bytes[i] = byte(b)
		}
	}
	switch {
	case c.TokenID != nil:
		e.id = *c.TokenID
	case c.ID != nil:
		e.id = *c.ID
	}
	return e
}

// ordered is a JSON object from text to log-prob as it is written: a name that comes
// twice is two entries.
type ordered []entry

// UnmarshalJSON reads the names and numbers.
func (o *ordered) UnmarshalJSON(data []byte) error {
	*o = nil
	decoder := json.NewDecoder(bytes.NewReader(data))
	switch open, err := decoder.Token(); {
	case err != nil:
		return err
	case open == nil:
		return nil
	case open != json.Delim('{'):
		return fmt.Errorf("top_logprobs %.40q: want an object of names with their log-probs", data)
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		var value *float64
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		text, _ := name.(string)
		*o = append(*o, entry{text: text, id: -1, logProb: number(value)})
	}
	return nil
}

// number reads what servers write for −∞: null, or −9999 and below.
func number(value *float64) float64 {
	if value == nil || *value <= -9999 {
		return math.Inf(-1)
	}
	return *value
}

// modelList is what /v1/models tells, as an object with data or as the bare list.
type modelList []listedModel

type listedModel struct {
	ID            string          `json:"id"`
	OwnedBy       string          `json:"owned_by"`
	Root          json.RawMessage `json:"root"`
	MaxModelLen   int             `json:"max_model_len"`
	ContextLength int             `json:"context_length"`
	ContextWindow int             `json:"context_window"`
}

// UnmarshalJSON takes either form.
func (l *modelList) UnmarshalJSON(data []byte) error {
	var bare []listedModel
	if err := json.Unmarshal(data, &bare); err == nil {
		*l = bare
		return nil
	}
	var object struct {
		Data []listedModel `json:"data"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	if object.Data == nil {
		return errors.New("a list of models without data")
	}
	*l = object.Data
	return nil
}
