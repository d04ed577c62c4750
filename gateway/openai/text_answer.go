package openai

import (
	"bytes"
	"io"
	"strconv"

	"github.com/graft-gateway/graft/eft"
)

// Completion is the answer to a text completion, whole or one event of its
// stream: both have the same shape.
type Completion struct {
	ID                string
	Object            string // ObjectCompletion
	Created           int64
	Model             string
	SystemFingerprint string             // left out if empty
	Choices           []CompletionChoice // empty in the event that carries usage
	Usage             Optional[*Usage]   // left out if absent
	Tuning            *TuningReport      // left out if nil
}

// CompletionChoice answers one prompt; choice j of prompt i has index i·n + j.
type CompletionChoice struct {
	Index        int
	Text         string
	Logprobs     *CompletionLogprobs // null unless asked for
	FinishReason FinishReason
	// The ids of the prompt and of the tokens that the text is made of, an end token
	// included; left out if nil. In a stream the first event of a choice has its
	// prompt's.
	PromptTokenIDs, TokenIDs []eft.Token
}

// CompletionLogprobs are the log-probs of a text choice, or of what an event
// adds to it. The slices have one entry per token; Top may be nil, which is null.
type CompletionLogprobs struct {
	Tokens   []string
	Logprobs []float32
	Top      []Top
	Offsets  []int // where each token starts in the text, in characters
}

// Encode writes the answer as JSON in pieces of some 64 KiB, each as soon as it is
// full: with a whole vocabulary at each position an answer has tens of megabytes,
// nearly all of them log-probs. An error of an answer that fits in one piece leaves w
// untouched.
func (c *Completion) Encode(w io.Writer) error {
	e := &encoder{w: w}
	e.raw(`{"id":`)
	e.text(c.ID)
	e.raw(`,"object":`)
	e.text(c.Object)
	e.raw(`,"created":`)
	e.buf = strconv.AppendInt(e.buf, c.Created, 10)
	e.raw(`,"model":`)
	e.text(c.Model)
	if c.SystemFingerprint != "" {
		e.raw(`,"system_fingerprint":`)
		e.text(c.SystemFingerprint)
	}
	e.raw(`,"choices":[`)
	for i := range c.Choices {
		e.comma(i)
		c.Choices[i].encode(e)
	}
	e.raw(`]`)
	if c.Usage.Set {
		e.raw(`,"usage":`)
		e.value(c.Usage.Value)
	}
	if c.Tuning != nil {
		e.raw(`,"tuning":`)
		e.value(c.Tuning)
	}
	e.raw(`}`)
	return e.flush()
}

// MarshalJSON writes what Encode does.
func (c Completion) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	err := c.Encode(&b)
	return b.Bytes(), err
}

func (c *CompletionChoice) encode(e *encoder) {
	e.raw(`{"index":`)
	e.buf = strconv.AppendInt(e.buf, int64(c.Index), 10)
	e.raw(`,"text":`)
	e.text(c.Text)
	e.raw(`,"logprobs":`)
	if c.Logprobs == nil {
		e.raw(`null`)
	} else {
		c.Logprobs.encode(e)
	}
	e.raw(`,"finish_reason":`)
	e.value(c.FinishReason)
	if c.PromptTokenIDs != nil {
		e.raw(`,"prompt_token_ids":`)
		e.buf = appendList(e.buf, c.PromptTokenIDs)
	}
	if c.TokenIDs != nil {
		e.raw(`,"token_ids":`)
		e.buf = appendList(e.buf, c.TokenIDs)
	}
	e.raw(`}`)
}

func (c *CompletionLogprobs) encode(e *encoder) {
	e.raw(`{"tokens":[`)
	for i, t := range c.Tokens {
		e.comma(i)
		e.text(t)
	}
	e.raw(`],"token_logprobs":[`)
	for i, l := range c.Logprobs {
		e.comma(i)
		e.logprob(l)
	}
	e.raw(`],"top_logprobs":`)
	if c.Top == nil {
		e.raw(`null`)
	} else {
		e.raw(`[`)
		for i, top := range c.Top {
			e.comma(i)
			e.raw(`{`)
			top.encode(e)
			e.raw(`}`)
		}
		e.raw(`]`)
	}
	e.raw(`,"text_offset":`)
	e.buf = appendList(e.buf, c.Offsets)
	e.raw(`}`)
}
