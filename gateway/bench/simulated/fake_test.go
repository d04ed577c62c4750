package simulated

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/graft-gateway/graft/eft"
)

const fakeVocabulary = 40

// fakeEnd ends texts of the fake model.
const fakeEnd = 39

// fakeScores is a model: the row behind a text is a hash of it.
func fakeScores(text []eft.Token) []float32 {
	scores := make([]float32, fakeVocabulary)
	for id := range scores {
		h := fnv.New64a()
		fmt.Fprint(h, text, id)
		scores[id] = float32(h.Sum64()%1000) / 100
	}
	return scores
}

// fakeModel opens sequences. It counts what it is asked for, and may take its time.
type fakeModel struct {
	takes        time.Duration
	fails        atomic.Bool
	rows         atomic.Int64
	open, closed atomic.Int64
}

func (m *fakeModel) sequence() Sequence {
	m.open.Add(1)
	return fakeSequence{m}
}

type fakeSequence struct{ model *fakeModel }

func (s fakeSequence) Rows(_ context.Context, prefix, path []eft.Token) ([]eft.Row, error) {
	time.Sleep(s.model.takes)
	if s.model.fails.Load() {
		return nil, fmt.Errorf("the model is broken")
	}
	s.model.rows.Add(int64(len(path) + 1))
	text := append([]eft.Token(nil), prefix...)
	rows := []eft.Row{{Scores: fakeScores(text)}}
	for _, id := range path {
		text = append(text, id)
		rows = append(rows, eft.Row{Scores: fakeScores(text)})
	}
	return rows, nil
}

func (s fakeSequence) Close() { s.model.closed.Add(1) }

// fakeText has a token for each id, written <id>, and none special.
type fakeText struct{}

func (fakeText) Encode(text string, _ bool) []eft.Token {
	var ids []eft.Token
	for part := range strings.SplitSeq(strings.TrimSuffix(text, ">"), ">") {
		var id eft.Token
		if n, _ := fmt.Sscanf(part, "<%d", &id); n == 1 {
			ids = append(ids, id)
		}
	}
	return ids
}

func (fakeText) Decode(ids []eft.Token) string {
	text := ""
	for _, id := range ids {
		text += fmt.Sprintf("<%d>", id)
	}
	return text
}

func (fakeText) Stream(bool) TextStream { return fakeStream{} }

type fakeStream struct{ fakeText }

func (s fakeStream) Push(id eft.Token) string { return s.Decode([]eft.Token{id}) }

func (fakeStream) Flush() string { return "" }

func fakePieces() *eft.Vocabulary {
	pieces := make([][]byte, fakeVocabulary)
	for i := range pieces {
		pieces[i] = fmt.Appendf(nil, "<%d>", i)
	}
	return eft.NewVocabulary(pieces)
}

// simulation is a configuration over the fake model.
func simulation(m *fakeModel) Config {
	return Config{
		Name: "fake", Open: m.sequence, Context: 200, Scored: fakeVocabulary, Vocabulary: fakePieces(), Ends: []eft.Token{fakeEnd},
		Text: fakeText{}, Law: Law{30 * time.Millisecond, 150 * time.Microsecond}, Log: slog.New(slog.DiscardHandler),
		Prompt: func(_ context.Context, messages []Message) ([]eft.Token, error) {
			var ids []eft.Token
			for _, m := range messages {
				ids = append(ids, fakeText{}.Encode(m.Content, false)...)
			}
			return ids, nil
		},
	}
}

// counting returns the tokens first, first+1 … of a text of n, within the vocabulary.
func counting(first, n int) []eft.Token {
	ids := make([]eft.Token, n)
	for i := range ids {
		ids[i] = eft.Token((first + i*i) % (fakeVocabulary - 1))
	}
	return ids
}
