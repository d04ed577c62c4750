package openai

// ChatRequest is the body of POST /v1/chat/completions.
type ChatRequest struct {
	Generation
	Messages []Message // at least one

	Logprobs    bool
	TopLogprobs int // 0 without Logprobs; the route has a cap for it
}

type chatDecoder struct {
	generation
	messages            Optional[[]Message]
	logprobs            bool
	topLogprobs         int
	maxCompletionTokens Optional[int]
}

// DecodeChat reads the body of POST /v1/chat/completions. An error is an *Error
// with status 400.
func DecodeChat(body []byte) (*ChatRequest, error) {
	d := chatDecoder{generation: newGeneration()}
	if err := document(body, d.read); err != nil {
		return nil, err
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	return &ChatRequest{
		Generation: d.Generation, Messages: d.messages.Value,
		Logprobs: d.logprobs, TopLogprobs: d.topLogprobs,
	}, nil
}

func (d *chatDecoder) read(r *reader, key string) error {
	switch key {
	case "messages":
		return given(r, &d.messages, func() ([]Message, error) { return readMessages(r) })
	case "max_completion_tokens":
		return given(r, &d.maxCompletionTokens, func() (int, error) { return count(r, 1) })
	case "logprobs":
		return boolField(r, &d.logprobs)
	case "top_logprobs":
		return intField(r, &d.topLogprobs, 0, maxInt)
	}
	return d.generation.read(r, key, 1)
}

func (d *chatDecoder) finish() error {
	old, now := d.maxTokens, d.maxCompletionTokens
	if old.Set && now.Set && old.Value != now.Value {
		return BadRequest("max_completion_tokens", CodeInvalidValue,
			"max_completion_tokens (%d) and max_tokens (%d) differ; send one of them", now.Value, old.Value)
	}
	d.MaxTokens = now.Else(old)
	if !d.messages.Set {
		return BadRequest("messages", CodeMissing, "messages is missing; send at least one message")
	}
	if d.topLogprobs > 0 && !d.logprobs {
		return BadRequest("top_logprobs", CodeInvalidValue, "top_logprobs is only allowed when logprobs is true")
	}
	return d.generation.finish()
}
