package llamacpp

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// FuzzListing compares with reflection on whatever both take.
func FuzzListing(f *testing.F) {
	for _, s := range []string{
		`[]`, `null`, ` [ ] `, `[{}]`, `{}`, `[1]`, `"x"`,
		`[{"id":5,"token":"a","bytes":[97],"logprob":-1.5},{"id":6,"token":"","bytes":[],"logprob":-3.4028234663852886e+38}]`,
		"[ { \"id\" : 5 ,\n\"logprob\" : -1e-3 } , {\"logprob\":null,\"id\":0}]",
		`[{"id":1,"token":"\"},{\\","logprob":0}]`, `[{"id":1,"x":{"id":2,"logprob":[{}]},"logprob":-1}]`,
		`[{"id":1.5,"logprob":-1}]`, `[{"id":"1","logprob":-1}]`, `[{"id":3000000000,"logprob":-1}]`, `[{"id":1,"logprob":"-1"}]`,
		`[{"id":1,"logprob":-1,"id":2}]`, `[{"\u0069d":1,"logprob":-1}]`, `[{"id":-1,"logprob":1e400}]`, `[{"id":1}]`, `[{"ID":1,"id":2,"logprob":-1}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got listing
		if json.Unmarshal(data, &got) != nil {
			return
		}
		var all []map[string]json.RawMessage
		if err := json.Unmarshal(data, &all); err != nil {
			t.Fatalf("%s is taken: %v", data, err)
		}
		if len(all) != len(got) {
			t.Fatalf("%d entries of %s, want %d", len(got), data, len(all))
		}
		for i, e := range got {
			var id eft.Token
			var logProb *float64
			if err := json.Unmarshal(all[i]["id"], &id); err != nil || id != e.id {
				t.Fatalf("entry %d of %s: id %d, want %d (%v)", i, data, e.id, id, err)
			}
			if raw, has := all[i]["logprob"]; has {
				if err := json.Unmarshal(raw, &logProb); err != nil {
					t.Fatalf("entry %d of %s: %v", i, data, err)
				}
			}
			if (logProb != nil) != e.told || logProb != nil && math.Float64bits(*logProb) != math.Float64bits(e.logProb) {
				t.Fatalf("entry %d of %s: %v, told %v", i, data, e.logProb, e.told)
			}
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	f := &fake{}
	row := make([]float64, 1000)
	for i := range row {
		row[i] = -float64(i) * 1.2345678
	}
	data, err := json.Marshal(map[string]any{"completion_probabilities": []any{f.position(1, row, len(row))}})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		var a answer
		if err := json.Unmarshal(data, &a); err != nil {
			b.Fatal(err)
		}
	}
}
