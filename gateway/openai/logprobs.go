package openai

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/graft-gateway/graft/eft"
)

// minLogprob stands for −∞, which JSON does not have; vLLM writes the same.
const minLogprob = -9999.0

// Logprob is a natural logarithm of a probability. Below −9999, −∞ included, it
// is written as −9999; NaN and +∞ are nobody's log-prob and fail to marshal.
type Logprob float64

// MarshalJSON writes a finite number.
func (l Logprob) MarshalJSON() ([]byte, error) { return appendLogprob(nil, l) }

// TopLogprob is a token that could have stood at a position.
type TopLogprob struct {
	Token   string // its text, or TokenName's
	Logprob Logprob
	Bytes   []byte // the token's own
}

// TokenLogprob is a token of the answer and its position's best tokens.
type TokenLogprob struct {
	TopLogprob
	Top []TopLogprob // best first
}

// ChatLogprobs are the log-probs of a chat choice, or of what a chunk adds to it.
type ChatLogprobs struct {
	Content []TokenLogprob
}

// TokenName is the text that stands for an id where tokens were asked for as ids.
func TokenName(id eft.Token) string { return "token_id:" + strconv.Itoa(int(id)) }

// MarshalJSON writes {"content": [{"token", "logprob", "bytes", "top_logprobs"}], "refusal": null}.
func (c *ChatLogprobs) MarshalJSON() ([]byte, error) {
	dst := []byte(`{"content":[`)
	var err error
	for i, t := range c.Content {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendCandidate(dst, t.TopLogprob); err != nil {
			return nil, err
		}
		dst = append(dst, `,"top_logprobs":[`...)
		for j, top := range t.Top {
			if j > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendCandidate(dst, top); err != nil {
				return nil, err
			}
			dst = append(dst, '}')
		}
		dst = append(dst, `]}`...)
	}
	return append(dst, `],"refusal":null}`...), nil
}

// appendCandidate writes a token's object but for its closing brace.
func appendCandidate(dst []byte, t TopLogprob) ([]byte, error) {
	dst = append(dst, `{"token":`...)
	dst = appendString(dst, t.Token)
	dst = append(dst, `,"logprob":`...)
	dst, err := appendLogprob(dst, t.Logprob)
	if err != nil {
		return nil, fmt.Errorf("token %q: %w", t.Token, err)
	}
	dst = append(dst, `,"bytes":`...)
	if t.Bytes == nil {
		return append(dst, `null`...), nil
	}
	return appendList(dst, t.Bytes), nil
}

func appendLogprob(dst []byte, l Logprob) ([]byte, error) {
	v := float64(l)
	if math.IsNaN(v) || math.IsInf(v, 1) {
		return nil, fmt.Errorf("openai: %v is no log-prob", v)
	}
	return strconv.AppendFloat(dst, max(v, minLogprob), 'g', -1, 64), nil
}

func appendList[T byte | int | eft.Token](dst []byte, list []T) []byte {
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(v), 10)
	}
	return append(dst, ']')
}

// appendString writes s as a JSON string. Bytes that are not UTF-8 become one
// U+FFFD a run.
func appendString(dst []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x80 || c == '"' || c == '\\' {
			plain = false
			break
		}
	}
	if plain {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	quoted, err := json.Marshal(strings.ToValidUTF8(s, "\uFFFD"))
	if err != nil {
		panic("openai: a string that does not marshal: " + err.Error())
	}
	return append(dst, quoted...)
}
