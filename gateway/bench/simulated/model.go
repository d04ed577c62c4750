package simulated

import (
	"context"
	"log/slog"

	"github.com/graft-gateway/graft/eft"
)

// Sequence gives a model's dense rows along one text. One goroutine uses it at a time.
type Sequence interface {
	// Rows returns len(path)+1 rows: the one behind prefix, and the one behind each token
	// of path. They live until the next call.
	Rows(ctx context.Context, prefix, path []eft.Token) ([]eft.Row, error)
	Close()
}

// Text turns text into tokens and back.
type Text interface {
	// Encode adds the tokens that begin every text if special is set.
	Encode(text string, special bool) []eft.Token
	// Decode keeps special tokens.
	Decode(ids []eft.Token) string
	// Stream begins a text whose tokens come one by one.
	Stream(special bool) TextStream
}

// TextStream gives a text as its tokens come.
type TextStream interface {
	// Push returns the text that id made certain: bytes of a character are held until it
	// is whole.
	Push(id eft.Token) string
	// Flush returns what is held.
	Flush() string
}

// Message is one of a conversation.
type Message struct{ Role, Content string }

// Config says what is simulated.
type Config struct {
	Name       string                                                      // of the model, as clients see it
	Open       func() Sequence                                             // begins a text of the model
	Context    int                                                         // tokens that a text can have
	Scored     int                                                         // ids that the model scores
	Vocabulary *eft.Vocabulary                                             // may have fewer: the others are padding
	Ends       []eft.Token                                                 // end a text
	Text       Text                                                        // the model's tokenizer
	Prompt     func(ctx context.Context, m []Message) ([]eft.Token, error) // the model's chat template
	Law        Law
	Batch      int // most tokens of one pass; 0 is 8192
	Log        *slog.Logger
}

const (
	defaultBatch = 8192
	// cachedBlocks are a million tokens: what a large base's memory holds.
	cachedBlocks = 1 << 16
)
