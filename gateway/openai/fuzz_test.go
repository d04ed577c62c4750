package openai

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// The corpora are in testdata/fuzz: requests as clients send them, and one of
// each kind of damage.

// checkRefusal is what holds for every error of a decoder.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Status != http.StatusBadRequest || e.Type != "invalid_request_error" || e.Code == "" {
		t.Fatalf("%#v", err)
	}
	if e.Param == "" && !strings.HasPrefix(e.Message, "the body ") {
		t.Errorf("no field named: %s", e.Message)
	}
	if !utf8.ValidString(e.Param) || !utf8.ValidString(e.Message) {
		t.Errorf("not UTF-8: %q %q", e.Param, e.Message)
	}
}

// checkBody is what holds for every body that a decoder took.
func checkBody(t *testing.T, body []byte) {
	t.Helper()
	if !json.Valid(body) || !utf8.Valid(body) {
		t.Errorf("taken though it is no JSON in UTF-8: %q", body)
	}
}

func checkGeneration(t *testing.T, g *Generation) {
	t.Helper()
	for name, ok := range map[string]bool{
		"model":             g.Model != "" && utf8.ValidString(g.Model),
		"n":                 g.N >= 1 && g.N <= 16,
		"max_tokens":        g.MaxTokens.Or(0) >= 0 && (g.MaxTokens.Set || g.MaxTokens.Value == 0),
		"min_tokens":        g.MinTokens >= 0 && g.MinTokens <= g.MaxTokens.Or(math.MaxInt32),
		"stop":              len(g.Stop) <= 4,
		"temperature":       g.Temperature >= 0 && g.Temperature <= 2,
		"top_p":             g.TopP > 0 && g.TopP <= 1,
		"top_k":             g.TopK >= 0,
		"min_p":             g.MinP >= 0 && g.MinP <= 1,
		"presence_penalty":  math.Abs(g.PresencePenalty) <= 2,
		"frequency_penalty": math.Abs(g.FrequencyPenalty) <= 2,
		"stream_options":    g.Stream || !g.IncludeUsage,
		"cache_salt":        len(g.CacheSalt) <= 1024 && utf8.ValidString(g.CacheSalt),
	} {
		if !ok {
			t.Errorf("%s is out of bounds: %+v", name, g)
		}
	}
	for _, s := range g.Stop {
		if s == "" || len(s) > 256 || !utf8.ValidString(s) {
			t.Errorf("stop %q", s)
		}
	}
	for id, v := range g.LogitBias {
		if id < 0 || !(math.Abs(v) <= 100) {
			t.Errorf("logit_bias %d: %v", id, v)
		}
	}
	checkTuning(t, g.Tuning)
}

func checkTuning(t *testing.T, k Tuning) {
	t.Helper()
	weights := []float64{k.Strength.Value, k.Base.Value, k.Plausibility.Value}
	for name, v := range k.Experts {
		weights = append(weights, v)
		if !utf8.ValidString(name) {
			t.Errorf("expert %q", name)
		}
	}
	for _, v := range weights {
		if !(v >= 0) || math.IsInf(v, 0) || math.Signbit(v) {
			t.Errorf("weight %v in %+v", v, k)
		}
	}
	switch k.Draft.Value {
	case DraftAuto, DraftTuned, DraftBase, DraftOff:
	default:
		if k.Draft.Set {
			t.Errorf("draft %q", k.Draft.Value)
		}
	}
	if k.Plausibility.Value > 1 {
		t.Errorf("plausibility %v", k.Plausibility.Value)
	}
}

func FuzzDecodeChat(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := DecodeChat(body)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		checkBody(t, body)
		checkGeneration(t, &got.Generation)
		if len(got.Messages) == 0 || got.TopLogprobs < 0 || got.TopLogprobs > 0 && !got.Logprobs {
			t.Errorf("%+v", got)
		}
		if got.MaxTokens.Set && got.MaxTokens.Value < 1 {
			t.Errorf("max_tokens %d", got.MaxTokens.Value)
		}
		for _, m := range got.Messages {
			if !strings.Contains("system developer user assistant tool", m.Role) || m.Role == "" || !utf8.ValidString(m.Content) {
				t.Errorf("%+v", m)
			}
		}
	})
}

func FuzzDecodeCompletion(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := DecodeCompletion(body)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		checkBody(t, body)
		checkGeneration(t, &got.Generation)
		if len(got.Prompts) == 0 || len(got.Prompts) > MaxPrompts || got.Logprobs.Value < -1 || len(got.Named) > 128 || got.Named != nil && !got.Logprobs.Set {
			t.Errorf("%+v", got)
		}
		for _, p := range got.Prompts {
			if (p.Text == "") == (len(p.Tokens) == 0) || !utf8.ValidString(p.Text) {
				t.Errorf("%+v", p)
			}
			for _, id := range p.Tokens {
				if id < 0 {
					t.Errorf("id %d", id)
				}
			}
		}
	})
}

func FuzzDecodeTokenize(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		if got, err := DecodeTokenize(body); err != nil {
			checkRefusal(t, err)
		} else if checkBody(t, body); got.Prompt.Set == (len(got.Messages) > 0) {
			t.Errorf("%+v", got)
		}
		if got, err := DecodeDetokenize(body); err != nil {
			checkRefusal(t, err)
		} else if checkBody(t, body); got.Tokens == nil {
			t.Errorf("%+v", got)
		}
	})
}

// FuzzReader holds the reader to encoding/json: what it takes has the same
// meaning there, and what it calls malformed is so there, or is not Unicode.
func FuzzReader(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		got := make(map[string]any)
		err := document(body, func(r *reader, key string) (err error) {
			got[key], err = anything(r)
			return err
		})
		var e *Error
		switch {
		case err == nil:
			checkBody(t, body)
			var want any
			d := json.NewDecoder(strings.NewReader(string(body)))
			d.UseNumber()
			if err := d.Decode(&want); err != nil || !reflect.DeepEqual(any(got), want) {
				t.Errorf("%q: %v, %v, want %v", body, got, err, want)
			}
		case !errors.As(err, &e):
			t.Errorf("%#v", err)
		case e.Code == CodeInvalidJSON && json.Valid(body):
			unicode := strings.Contains(e.Message, "is not UTF-8") || strings.Contains(e.Message, "half of a surrogate pair")
			if !unicode {
				t.Errorf("%q: %v", body, e)
			}
		}
	})
}

// anything reads a value of any kind as encoding/json does with UseNumber.
func anything(r *reader) (v any, err error) {
	k, err := r.kind()
	if err != nil {
		return nil, err
	}
	switch k {
	case kindBool:
		return r.boolean()
	case kindNumber:
		s, err := r.numeral()
		return json.Number(s), err
	case kindString:
		return r.text()
	case kindArray:
		list := []any{}
		err = r.array(func(int) error {
			v, err := anything(r)
			list = append(list, v)
			return err
		})
		return list, err
	case kindObject:
		object := make(map[string]any)
		err = r.object(func(key string) (err error) {
			object[key], err = anything(r)
			return err
		})
		return object, err
	}
	return nil, r.skip()
}

func FuzzTuningFromHeaders(f *testing.F) {
	f.Fuzz(func(t *testing.T, strength, experts string) {
		got, err := TuningFromHeaders(http.Header{HeaderStrength: {strength}, HeaderExperts: {experts}})
		if err != nil {
			checkRefusal(t, err)
			return
		}
		checkTuning(t, got)
		if !got.Strength.Set || len(got.Experts) == 0 {
			t.Errorf("%q %q: %+v", strength, experts, got)
		}
	})
}

func FuzzSplitModel(f *testing.F) {
	f.Fuzz(func(t *testing.T, model string) {
		name, strength, err := SplitModel(model)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		checkTuning(t, Tuning{Strength: strength})
		if strings.Contains(name, "@") || strength.Set != strings.Contains(model, "@") || !strings.HasPrefix(model, name) {
			t.Errorf("%q: %q %v", model, name, strength)
		}
	})
}
