package openai

// CompletionRequest is the body of POST /v1/completions.
type CompletionRequest struct {
	Generation
	Prompts []Prompt // 1 … MaxPrompts, each answered by N choices

	// Logprobs asks for the log-probs of the tokens and of so many best ones at
	// each position; 0 asks for the tokens' own. The route has a cap for it.
	Logprobs Optional[int]
}

type completionDecoder struct {
	generation
	prompts  Optional[[]Prompt]
	logprobs Optional[int]
}

// DecodeCompletion reads the body of POST /v1/completions. An error is an *Error
// with status 400.
func DecodeCompletion(body []byte) (*CompletionRequest, error) {
	d := completionDecoder{generation: newGeneration()}
	if err := document(body, d.read); err != nil {
		return nil, err
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	return &CompletionRequest{Generation: d.Generation, Prompts: d.prompts.Value, Logprobs: d.logprobs}, nil
}

func (d *completionDecoder) read(r *reader, key string) error {
	switch key {
	case "prompt":
		return given(r, &d.prompts, func() ([]Prompt, error) { return readPrompts(r) })
	case "logprobs":
		return given(r, &d.logprobs, func() (int, error) { return count(r, 0) })
	}
	return d.generation.read(r, key, 0)
}

func (d *completionDecoder) finish() error {
	d.MaxTokens = d.maxTokens
	if !d.prompts.Set {
		return BadRequest("prompt", CodeMissing, "prompt is missing; send a string, a list of strings, token ids, or lists of them")
	}
	return d.generation.finish()
}
