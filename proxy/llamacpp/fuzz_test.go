package llamacpp

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// FuzzAnswer feeds anything as an answer: what is believed of it must be a row.
func FuzzAnswer(f *testing.F) {
	for _, name := range []string{"row", "path", "open", "pinned", "end"} {
		data, err := os.ReadFile("testdata/b1-de3ff81/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		var e struct{ Response json.RawMessage }
		if err := json.Unmarshal(data, &e); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(e.Response), int32(64), false)
	}
	f.Add([]byte(`{"completion_probabilities":[{"id":1,"top_logprobs":[{"id":0,"logprob":null},{"id":1,"logprob":-1}]}]}`), int32(1), false)
	f.Add([]byte(`{"completion_probabilities":[{"id":1,"top_logprobs":[{"id":0,"logprob":-3.4e38},{"id":1,"logprob":0}]}]}`), int32(1), true)
	f.Add([]byte(`{"stop":false,"tokens_predicted":1,"completion_probabilities":[{"top_logprobs":[{"id":0,"logprob":-1},{"id":0,"logprob":-1}]}]}`), int32(0), true)
	f.Add([]byte(`{"error":{"message":"x"}}`), int32(0), false)
	f.Fuzz(func(t *testing.T, data []byte, wanted int32, dense bool) {
		r := gpt2Rows(5)
		if dense {
			r.dense, r.vocabulary = true, 2
		}
		a, err := r.decode(data)
		if err != nil {
			return
		}
		got, err := r.along(a, []eft.Token{eft.Token(wanted), eft.Token(wanted)})
		if err != nil {
			return
		}
		for _, row := range got {
			checkRow(t, r, row)
		}
	})
}

func checkRow(t *testing.T, r rows, row eft.Row) {
	if row.Dense() != r.dense {
		t.Fatalf("a dense row %v, want %v", row.Dense(), r.dense)
	}
	if r.dense {
		if len(row.Scores) != r.vocabulary {
			t.Fatalf("%d scores", len(row.Scores))
		}
		return
	}
	if len(row.IDs) == 0 || len(row.IDs) > r.k || row.Best != len(row.IDs) {
		t.Fatalf("%d ids, %d best, k %d", len(row.IDs), row.Best, r.k)
	}
	seen := map[eft.Token]bool{}
	for i, id := range row.IDs {
		lp := float64(row.LogProbs[i])
		if seen[id] || id < 0 || int(id) >= r.vocabulary || math.IsNaN(lp) || math.IsInf(lp, 0) || i > 0 && row.LogProbs[i] > row.LogProbs[i-1] {
			t.Fatalf("row %v", row)
		}
		seen[id] = true
	}
}

// FuzzProperties feeds anything as /props and /v1/models.
func FuzzProperties(f *testing.F) {
	for _, name := range []string{"props", "models"} {
		data, err := os.ReadFile("testdata/b1-de3ff81/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		var e struct{ Response json.RawMessage }
		if err := json.Unmarshal(data, &e); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(e.Response), []byte(e.Response), "")
	}
	f.Add([]byte(`{"default_generation_settings":{"n_ctx":-1},"total_slots":1}`), []byte(`{"data":[null,{"id":"a"}]}`), "a")
	f.Add([]byte(`{"role":"router","default_generation_settings":{"params":{"lora":1}}}`), []byte(`{"data":[{"id":"","meta":{"n_vocab":1e3}}]}`), "")
	f.Fuzz(func(t *testing.T, properties, models []byte, name string) {
		var a about
		var s served
		if json.Unmarshal(properties, &a.props) != nil || json.Unmarshal(models, &s) != nil {
			return
		}
		m, err := s.pick(name, a.props)
		if err != nil || a.Settings == nil {
			return
		}
		a.model = m
		if a.complete() == nil && (a.Slots < 1 || a.Settings.Context < 1) {
			t.Fatalf("%+v is taken for complete", a)
		}
		if id := a.identity(); len(id) != 32 {
			t.Fatalf("identity %q", id)
		}
	})
}

// FuzzPiece feeds anything as a piece.
func FuzzPiece(f *testing.F) {
	for _, s := range []string{`"a"`, `""`, `"\u00e9"`, `[226,128]`, `[]`, `[256]`, `[-1]`, `[1.5]`, `null`, `{}`, `"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var p piece
		// A byte that is no UTF-8 becomes U+FFFD, which is three.
		if json.Unmarshal(data, &p) == nil && len(p) > 3*len(data) {
			t.Fatalf("%d bytes of %d", len(p), len(data))
		}
	})
}
