package openai

import "github.com/graft-gateway/graft/eft"

// MaxPrompts is how many prompts one completion request may carry.
const MaxPrompts = 1024

// Prompt is text, or ids if Tokens is not nil. Neither is empty.
type Prompt struct {
	Text   string
	Tokens []eft.Token
}

// readPrompts reads a string, a list of strings, a list of ids or a list of
// lists of ids: the first element of a list decides which of them it is.
func readPrompts(r *reader) ([]Prompt, error) {
	k, err := r.kind()
	if err != nil {
		return nil, err
	}
	switch k {
	case kindString:
		p, err := readTextPrompt(r)
		return []Prompt{p}, err
	case kindArray:
		return readPromptList(r)
	}
	return nil, r.wrongType("a string or a list", k)
}

func readPromptList(r *reader) ([]Prompt, error) {
	var prompts []Prompt
	var ids []eft.Token
	var first kind
	err := r.array(func(i int) (err error) {
		if i == 0 {
			if first, err = r.kind(); err != nil {
				return err
			}
		}
		if first != kindNumber && i == MaxPrompts {
			return BadRequest("prompt", CodeInvalidValue, "prompt has more than %d prompts; send them in several requests", MaxPrompts)
		}
		switch first {
		case kindNumber:
			return appendID(r, &ids)
		case kindString:
			p, err := readTextPrompt(r)
			prompts = append(prompts, p)
			return err
		case kindArray:
			ids, err := readIDs(r)
			if err == nil && len(ids) == 0 {
				err = r.fail(CodeInvalidValue, "%s is empty; a prompt needs at least one token", r.where())
			}
			prompts = append(prompts, Prompt{Tokens: ids})
			return err
		}
		return r.wrongType("a string, a token id or a list of token ids", first)
	})
	switch {
	case err != nil:
		return nil, err
	case ids != nil:
		return []Prompt{{Tokens: ids}}, nil
	case len(prompts) == 0:
		return nil, r.fail(CodeInvalidValue, "%s is an empty list; send at least one prompt", r.where())
	}
	return prompts, nil
}

func readTextPrompt(r *reader) (Prompt, error) {
	s, err := r.text()
	if err == nil && s == "" {
		err = r.fail(CodeInvalidValue, "%s is empty; a prompt needs at least one token", r.where())
	}
	return Prompt{Text: s}, err
}

// readIDs reads a list of token ids; it is never nil without an error.
func readIDs(r *reader) ([]eft.Token, error) {
	ids := []eft.Token{}
	err := r.array(func(int) error { return appendID(r, &ids) })
	return ids, err
}

func appendID(r *reader, ids *[]eft.Token) error {
	id, err := r.integer(0, maxInt)
	*ids = append(*ids, eft.Token(id))
	return err
}
