package simulated

import (
	"context"
	"strconv"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// answer is what /generate tells of one text, as far as it has come. input and output are
// its log-probs, written once and sent again with each event.
type answer struct {
	g     *generation
	one   *generated
	names Text // of tokens in log-probs; nil for none
	id    string
	began time.Time

	text   string
	tokens []eft.Token
	last   piece
	input  told
	output told
}

// told are log-probs of tokens, written as lists without their brackets.
type told struct {
	count              int
	tokens, top, named []byte
}

func (s *Server) newAnswer(g *generation, one *generated) *answer {
	a := &answer{g: g, one: one, id: newID(""), began: time.Now()}
	if g.textInLogprobs {
		a.names = s.config.Text
	}
	return a
}

// finished says that nothing more comes.
func (a *answer) finished() bool { return a.last.finish != GoesOn }

// take waits for the next step.
func (a *answer) take(ctx context.Context) error {
	p, prompt, err := a.one.nextRows(ctx)
	if err != nil {
		return err
	}
	a.last = p
	a.text += p.text
	if a.g.returnLogprob {
		a.tellPrompt(prompt)
	}
	if a.g.params.maxNew == 0 {
		return nil
	}
	a.tokens = append(a.tokens, p.token)
	if a.g.returnLogprob {
		a.tell(&a.output, p.row, p.token)
	}
	return nil
}

// tellPrompt writes the log-probs of the prompt's tokens from the first wanted on, whose
// own is not known. rows are those behind the first first+1 tokens, and so on.
func (a *answer) tellPrompt(rows []*Row) {
	for at := a.one.first; at < len(a.one.prompt) && rows != nil; at++ {
		if at > a.one.first {
			a.tell(&a.input, rows[at-a.one.first-1], a.one.prompt[at])
			continue
		}
		a.input.count++
		a.input.tokens = append(strconv.AppendInt(append(a.input.tokens, "[null,"...), int64(a.one.prompt[at]), 10), ",null]"...)
		a.input.top, a.input.named = append(a.input.top, "null"...), append(a.input.named, "null"...)
	}
}

// tell writes one position.
func (a *answer) tell(t *told, row *Row, token eft.Token) {
	if t.count++; t.count > 1 {
		t.tokens, t.top, t.named = append(t.tokens, ','), append(t.top, ','), append(t.named, ',')
	}
	t.tokens = appendEntry(t.tokens, row.LogProbs[token], token, a.names)
	t.top = a.appendList(t.top, row, row.Best(a.g.topLogprobs))
	t.named = a.appendList(t.named, row, a.g.named)
}

func (a *answer) appendList(dst []byte, row *Row, ids []eft.Token) []byte {
	dst = append(dst, '[')
	for i, id := range ids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendEntry(dst, row.LogProbs[id], id, a.names)
	}
	return append(dst, ']')
}

// append writes the answer.
func (a *answer) append(dst []byte) []byte {
	dst = appendString(append(dst, `{"text":`...), a.text)
	dst = appendIDs(append(dst, `,"output_ids":`...), a.tokens)
	dst = append(dst, `,"meta_info":{"id":"`+a.id+`","finish_reason":`...)
	dst = appendJSON(dst, a.finishReason())
	for _, field := range []struct {
		name  string
		value int
	}{{"prompt_tokens", len(a.one.prompt)}, {"completion_tokens", len(a.tokens)}, {"cached_tokens", a.last.cached}} {
		dst = strconv.AppendInt(append(dst, `,"`+field.name+`":`...), int64(field.value), 10)
	}
	dst = append(dst, `,"weight_version":"default","e2e_latency":`...)
	dst = strconv.AppendFloat(dst, time.Since(a.began).Seconds(), 'f', 6, 64)
	if a.g.returnLogprob {
		dst = a.appendTold(a.appendTold(dst, "input", &a.input), "output", &a.output)
	}
	return append(dst, "}}"...)
}

func (a *answer) appendTold(dst []byte, side string, t *told) []byte {
	list := func(dst []byte, name string, items []byte) []byte {
		return append(append(append(dst, `,"`+side+name+`":[`...), items...), ']')
	}
	dst = list(dst, "_token_logprobs", t.tokens)
	if a.g.topLogprobs > 0 {
		dst = list(dst, "_top_logprobs", t.top)
	}
	if a.g.named != nil {
		dst = list(dst, "_token_ids_logprobs", t.named)
	}
	return dst
}

// finishReason is SGLang's, nil for an answer that goes on.
func (a *answer) finishReason() any {
	switch {
	case a.last.finish == GoesOn:
		return nil
	case a.last.finish == AtLength:
		return map[string]any{"type": "length", "length": len(a.tokens)}
	case a.last.reason != nil:
		return map[string]any{"type": "stop", "matched": a.last.reason}
	}
	return map[string]any{"type": "stop", "matched": a.last.token}
}
