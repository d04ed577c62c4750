package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/models/tokenizer"
)

// tokenize is the command that turns text into ids and back, line by line.
type tokenize struct {
	Tokenizer   string `arg:"" help:"tokenizer.json of a model." placeholder:"TOKENIZER.json"`
	Special     bool   `help:"Put the special tokens round texts that the file asks for, such as the beginning token."`
	SkipSpecial bool   `help:"Leave special tokens out of decoded text."`
}

// Help is what `graft tokenize --help` says below its first line.
func (*tokenize) Help() string {
	return `Reads JSON lines from standard input and writes one line for each:

  {"text": "Hello"}   →  {"ids": [9906]}
  {"ids": [9906]}     →  {"text": "Hello"}
  anything else       →  {"error": "…"}`
}

// Run answers until standard input ends.
func (c *tokenize) Run(ctx context.Context) error {
	data, err := os.ReadFile(c.Tokenizer)
	if err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	t, err := tokenizer.Load(data)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Tokenizer, err)
	}
	return eachLine(ctx, os.Stdin, os.Stdout, func(line []byte) any { return c.answer(t, line) })
}

// The lines of this command.
type (
	textLine struct {
		Text string `json:"text"`
	}
	idsLine struct {
		IDs tokenList `json:"ids"`
	}
)

// tokenList writes itself without reflection, which would take longer than the
// tokenizer.
type tokenList []eft.Token

// MarshalJSON implements json.Marshaler.
func (l tokenList) MarshalJSON() ([]byte, error) {
	out := append(make([]byte, 0, 7*len(l)+2), '[')
	for i, id := range l {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, int64(id), 10)
	}
	return append(out, ']'), nil
}

func (c *tokenize) answer(t *tokenizer.Tokenizer, line []byte) any {
	var asked struct {
		Text *string  `json:"text"`
		IDs  *[]int64 `json:"ids"`
	}
	if err := json.Unmarshal(line, &asked); err != nil {
		return notUnderstood(err)
	}
	switch {
	case (asked.Text == nil) == (asked.IDs == nil):
		return failure{`want either "text", a string, or "ids", a list of whole numbers`}
	case asked.Text != nil:
		return idsLine{t.Encode(*asked.Text, c.Special)}
	case hasNull(line):
		return failure{`"ids" cannot have a JSON null in it`}
	}
	ids := make([]eft.Token, len(*asked.IDs))
	for i, id := range *asked.IDs {
		if id < 0 || id > math.MaxInt32 {
			return failure{fmt.Sprintf("ids[%d] is %d, no token id", i, id)}
		}
		ids[i] = eft.Token(id)
	}
	return textLine{t.Decode(ids, c.SkipSpecial)}
}

// hasNull says whether a line of ids has a null among them, which encoding/json
// takes for a 0.
func hasNull(line []byte) bool {
	if !bytes.Contains(line, []byte("null")) {
		return false
	}
	var asked struct {
		IDs []*json.Number `json:"ids"`
	}
	return json.Unmarshal(line, &asked) == nil && slices.Contains(asked.IDs, nil)
}
