package openai

import (
	"slices"

	"github.com/graft-gateway/graft/eft"
)

// MaxNamed is how many log-probs a completion request may name by id.
const MaxNamed = 128

// WholeVocabulary is the value of "logprobs" that asks for every id.
const WholeVocabulary = -1

// CompletionRequest is the body of POST /v1/completions: OpenAI's, and what vLLM
// adds to it for those who want tokens rather than text.
type CompletionRequest struct {
	Generation
	Prompts []Prompt // 1 … MaxPrompts, each answered by N choices

	// Logprobs asks for the log-probs of the tokens and of so many best ones at
	// each position; 0 asks for the tokens' own, WholeVocabulary for all. The route
	// has a cap for it.
	Logprobs Optional[int]
	// Named are told in place of the best ones, at most MaxNamed, each id once; nil
	// without Logprobs.
	Named []eft.Token

	ReturnTokenIDs   bool // tells the ids of the prompt and of the answer
	AddSpecialTokens bool // true unless texts are to be read without what begins them
}

type completionDecoder struct {
	generation
	prompts  Optional[[]Prompt]
	logprobs Optional[int]
	named    []eft.Token
	ids      bool
	special  bool
}

// DecodeCompletion reads the body of POST /v1/completions. An error is an *Error
// with status 400.
func DecodeCompletion(body []byte) (*CompletionRequest, error) {
	d := completionDecoder{generation: newGeneration(), special: true}
	if err := document(body, d.read); err != nil {
		return nil, err
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	return &CompletionRequest{
		Generation: d.Generation, Prompts: d.prompts.Value, Logprobs: d.logprobs, Named: d.named,
		ReturnTokenIDs: d.ids, AddSpecialTokens: d.special,
	}, nil
}

func (d *completionDecoder) read(r *reader, key string) error {
	switch key {
	case "prompt":
		return given(r, &d.prompts, func() ([]Prompt, error) { return readPrompts(r) })
	case "logprobs":
		return given(r, &d.logprobs, func() (int, error) { return count(r, WholeVocabulary) })
	case "logprob_token_ids":
		return optional(r, func() error { return d.readNamed(r) })
	case "return_token_ids":
		return boolField(r, &d.ids)
	case "add_special_tokens":
		return boolField(r, &d.special)
	}
	return d.generation.read(r, key, 0)
}

// readNamed keeps each id once; an empty list names none and is absent.
func (d *completionDecoder) readNamed(r *reader) error {
	ids, err := readIDs(r)
	if err != nil {
		return err
	}
	if len(ids) > MaxNamed {
		return r.fail(CodeInvalidValue, "Requested logprob_token_ids of length %d, which is greater than max allowed: %d", len(ids), MaxNamed)
	}
	for _, id := range ids {
		if !slices.Contains(d.named, id) {
			d.named = append(d.named, id)
		}
	}
	return nil
}

func (d *completionDecoder) finish() error {
	d.MaxTokens = d.maxTokens
	if !d.prompts.Set {
		return BadRequest("prompt", CodeMissing, "prompt is missing; send a string, a list of strings, token ids, or lists of them")
	}
	if d.named != nil && !d.logprobs.Set {
		return BadRequest("logprob_token_ids", CodeInvalidValue, "logprob_token_ids is only allowed with logprobs, whose number it replaces")
	}
	return d.generation.finish()
}

// CheckVocabulary is a 400 if a prompt of ids, logprob_token_ids or logit_bias names
// an id that is not below size.
func (c *CompletionRequest) CheckVocabulary(size int) error {
	for i, p := range c.Prompts {
		for j, id := range p.Tokens {
			if int(id) >= size {
				return BadRequest("prompt", CodeInvalidValue,
					"prompt %d has token %d at index %d, but the vocabulary has ids 0 to %d", i, id, j, size-1)
			}
		}
	}
	for _, id := range c.Named {
		if int(id) >= size {
			return BadRequest("logprob_token_ids", CodeInvalidValue, "logprob_token_ids names token %d, but the vocabulary has ids 0 to %d", id, size-1)
		}
	}
	return c.Generation.CheckVocabulary(size)
}
