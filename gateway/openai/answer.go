package openai

// The values of "object".
const (
	ObjectChat       = "chat.completion"
	ObjectChatChunk  = "chat.completion.chunk"
	ObjectCompletion = "text_completion"
	ObjectList       = "list"
	ObjectModel      = "model"
)

// FinishReason says why a choice ended. Its zero value, for a choice that goes
// on, is written as null.
type FinishReason string

// The reasons a choice of ours can end for.
const (
	FinishStop   FinishReason = "stop"   // an end token or a stop string
	FinishLength FinishReason = "length" // the most tokens asked for, or the context's end
)

// MarshalJSON writes the reason, or null for none.
func (f FinishReason) MarshalJSON() ([]byte, error) {
	if f == "" {
		return []byte("null"), nil
	}
	return appendString(nil, string(f)), nil
}

// ChatCompletion is the answer to a chat request that does not stream.
type ChatCompletion struct {
	ID                string        `json:"id"`
	Object            string        `json:"object"`  // ObjectChat
	Created           int64         `json:"created"` // seconds since 1970
	Model             string        `json:"model"`
	SystemFingerprint string        `json:"system_fingerprint,omitempty"`
	Choices           []ChatChoice  `json:"choices"`
	Usage             Usage         `json:"usage"`
	Tuning            *TuningReport `json:"tuning,omitempty"`
}

// ChatChoice is one of the n answers.
type ChatChoice struct {
	Index        int           `json:"index"`
	Message      AnswerMessage `json:"message"`
	Logprobs     *ChatLogprobs `json:"logprobs"` // null unless asked for
	FinishReason FinishReason  `json:"finish_reason"`
}

// AnswerMessage is the assistant's turn.
type AnswerMessage struct {
	Role    string  `json:"role"` // assistant
	Content string  `json:"content"`
	Refusal *string `json:"refusal"` // null always; the Node client's types ask for the key
}

// ChatChunk is one event of a streamed chat answer.
type ChatChunk struct {
	ID                string           `json:"id"`     // the same in all chunks
	Object            string           `json:"object"` // ObjectChatChunk
	Created           int64            `json:"created"`
	Model             string           `json:"model"`
	SystemFingerprint string           `json:"system_fingerprint,omitempty"`
	Choices           []ChunkChoice    `json:"choices"` // not nil; empty in the chunk that carries usage
	Usage             Optional[*Usage] `json:"usage,omitzero"`
	Tuning            *TuningReport    `json:"tuning,omitempty"`
}

// ChunkChoice is what a chunk adds to one choice.
type ChunkChoice struct {
	Index        int           `json:"index"`
	Delta        Delta         `json:"delta"`
	Logprobs     *ChatLogprobs `json:"logprobs"`
	FinishReason FinishReason  `json:"finish_reason"` // in the choice's last chunk
}

// Delta is the text a chunk adds: Role with an empty Content in a choice's first
// chunk, Content in the next ones, nothing in the last.
type Delta struct {
	Role    string           `json:"role,omitempty"`
	Content Optional[string] `json:"content,omitzero"`
}

// Usage counts tokens. In a stream without include_usage the field is absent;
// with it Some(nil), written as null, in every event but the last.
type Usage struct {
	PromptTokens     int            `json:"prompt_tokens"` // the base's prompt
	CompletionTokens int            `json:"completion_tokens"`
	TotalTokens      int            `json:"total_tokens"`
	PromptDetails    *PromptDetails `json:"prompt_tokens_details,omitempty"`
}

// PromptDetails says how much of the prompt came from a cache.
type PromptDetails struct {
	CachedTokens int `json:"cached_tokens"`
}

// NewUsage adds up.
func NewUsage(prompt, completion int) *Usage {
	return &Usage{PromptTokens: prompt, CompletionTokens: completion, TotalTokens: prompt + completion}
}
