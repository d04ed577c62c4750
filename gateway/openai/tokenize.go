package openai

import "github.com/graft-gateway/graft/eft"

// TokenizeRequest is the body of POST /tokenize: a prompt, or messages.
type TokenizeRequest struct {
	Model    string           // empty if not given
	Prompt   Optional[string] // may be the empty string; not Set if there are Messages
	Messages []Message

	// AddSpecialTokens is true for a prompt and false for messages, whose
	// template has its own, unless the client says otherwise.
	AddSpecialTokens bool
}

// DecodeTokenize reads the body of POST /tokenize. An error is an *Error with
// status 400.
func DecodeTokenize(body []byte) (*TokenizeRequest, error) {
	var t TokenizeRequest
	var messages Optional[[]Message]
	var special Optional[bool]
	err := document(body, func(r *reader, key string) error {
		switch key {
		case "model":
			return stringField(r, &t.Model)
		case "prompt":
			return given(r, &t.Prompt, r.text)
		case "messages":
			return given(r, &messages, func() ([]Message, error) { return readMessages(r) })
		case "add_special_tokens":
			return given(r, &special, r.boolean)
		case "add_generation_prompt":
			return refuse(r, "true")
		case "continue_final_message", "return_token_strs":
			return refuse(r, "false")
		}
		return unknown(r)
	})
	switch {
	case err != nil:
		return nil, err
	case t.Prompt.Set && messages.Set:
		return nil, BadRequest("messages", CodeInvalidValue, "prompt and messages are both given; send one of them")
	case !t.Prompt.Set && !messages.Set:
		return nil, BadRequest("prompt", CodeMissing, "prompt is missing; send a prompt or messages")
	}
	t.Messages = messages.Value
	t.AddSpecialTokens = special.Or(t.Prompt.Set)
	return &t, nil
}

// DetokenizeRequest is the body of POST /detokenize.
type DetokenizeRequest struct {
	Model  string      // empty if not given
	Tokens []eft.Token // may be empty
}

// DecodeDetokenize reads the body of POST /detokenize. An error is an *Error
// with status 400.
func DecodeDetokenize(body []byte) (*DetokenizeRequest, error) {
	var d DetokenizeRequest
	err := document(body, func(r *reader, key string) error {
		switch key {
		case "model":
			return stringField(r, &d.Model)
		case "tokens":
			return optional(r, func() (err error) {
				d.Tokens, err = readIDs(r)
				return err
			})
		}
		return unknown(r)
	})
	if err == nil && d.Tokens == nil {
		err = BadRequest("tokens", CodeMissing, "tokens is missing; send a list of token ids")
	}
	if err != nil {
		return nil, err
	}
	return &d, nil
}
