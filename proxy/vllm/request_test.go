package vllm

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/graft-gateway/graft/eft"
)

// What a request writes by hand is what encoding/json makes of it.
func TestRequestsAreWrittenAsJSON(t *testing.T) {
	whole, salt := []eft.Token{7, 70, 0, 2147483647, 12}, ""
	apart := slices.Clone(whole)
	for name, prompts := range map[string][][]eft.Token{
		"none":              {},
		"one":               {whole},
		"null":              {nil, whole, nil},
		"an empty one":      {{}, whole[:0], whole[:1]},
		"prefixes":          {whole[:2], whole[:3], whole[:3], whole[:5]},
		"shorter ones":      {whole, whole[:2], whole[:1]},
		"of several texts":  {whole[:1], whole[:2], apart[:1], apart[:4], whole[1:2], whole[1:4]},
		"equal in contents": {whole[:2], apart[:3]},
	} {
		r := newRequest("a \"model\"", prompts, 5)
		r.Salt, r.Stream, r.Bias = &salt, true, map[eft.Token]float64{3: -100}
		written, err := r.AppendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		marshalled, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		if err := json.Unmarshal(written, &got); err != nil {
			t.Fatalf("%s: %v in %s", name, err, written)
		}
		if err := json.Unmarshal(marshalled, &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: wrote %s, want %s", name, written, marshalled)
		}
	}
}
