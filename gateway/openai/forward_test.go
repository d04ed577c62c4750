package openai

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestForwardedBodiesKeepEveryByteButNameAndKnob(t *testing.T) {
	for body, want := range map[string]string{
		`{"model":"m","messages":[]}`: `{"model":"big \"one\"","messages":[]}`,
		"\n{ \"temperature\" : 1.50 ,\"model\" :\t\"m@0.5\" , \"x\":{\"model\":\"m\",\"tuning\":1e400}}\n": "\n{ \"temperature\" : 1.50 ,\"model\" :\t\"big \\\"one\\\"\" , \"x\":{\"model\":\"m\",\"tuning\":1e400}}\n",
		`{"tuning":{"strength":1},"model":"m","a":"\u00e9"}`:                                               `{"model":"big \"one\"","a":"\u00e9"}`,
		`{ "tuning" : {} , "model":"m"}`:                                                                   `{ "model":"big \"one\""}`,
		`{"model":"m", "tuning":null, "a":1}`:                                                              `{"model":"big \"one\"", "a":1}`,
		`{"model":"m" , "tuning":{} }`:                                                                     `{"model":"big \"one\"" }`,
		`{"a":1,"tuning":{},"b":2,"model":"m"}`:                                                            `{"a":1,"b":2,"model":"big \"one\""}`,
		`{"prompt":"x"}`:                                                                                   `{"model":"big \"one\"","prompt":"x"}`,
		`{"tuning":{},"prompt":"x"}`:                                                                       `{"model":"big \"one\"","prompt":"x"}`,
		`{"prompt":"x","tuning":{}}`:                                                                       `{"model":"big \"one\"","prompt":"x"}`,
		`{"tuning":{}}`:                                                                                    `{"model":"big \"one\""}`,
		`{}`:                                                                                               `{"model":"big \"one\""}`,
		`{"model":null,"prompt":"x"}`:                                                                      `{"model":"big \"one\"","prompt":"x"}`,
	} {
		f, err := DecodeForward([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if got := string(f.Body(`big "one"`)); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", body, got, want)
		}
	}
}

func TestForwardedBodiesAreReadForNameAndKnob(t *testing.T) {
	f, err := DecodeForward([]byte(`{"stream":true,"model":"m@0.5","tuning":{"strength":0,"explain":true},"tools":[{"a":[1]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Tuning{Strength: Some(0.0), Explain: Some(true)}); f.Model != "m@0.5" || !f.Tuned || !reflect.DeepEqual(f.Tuning, want) {
		t.Errorf("%q %+v", f.Model, f.Tuning)
	}
	refuses(t, DecodeForward, []wrong{
		{"nothing", ``, "", CodeInvalidJSON, "is empty"},
		{"a list", `[{}]`, "", CodeInvalidType, "an object"},
		{"model a number", `{"model":1}`, "model", CodeInvalidType, "a string"},
		{"tuning a number", `{"tuning":1}`, "tuning", CodeInvalidType, "an object"},
		{"tuning unknown", `{"tuning":{"x":1}}`, "tuning.x", CodeUnknown, ""},
		{"a key twice", `{"a":1,"a":2}`, "a", CodeDuplicate, "given twice"},
		{"a key twice within", `{"a":{"b":1,"b":2}}`, "a.b", CodeDuplicate, ""},
		{"the model in other letters", `{"model":"m","Model":"secret"}`, "Model", CodeUnknown, `write it as "model"`},
		{"escaped letters, too", `{"model":"m","\u004dODEL":"secret"}`, "MODEL", CodeUnknown, ""},
		{"the knob in other letters", `{"Tuning":{}}`, "Tuning", CodeUnknown, ""},
		{"NaN", `{"temperature":NaN}`, "temperature", CodeInvalidJSON, "NaN"},
		{"cut", `{"a":[1,`, "a[1]", CodeInvalidJSON, ""},
		{"trailing", `{} {}`, "", CodeInvalidJSON, "more data"},
	})
}

// FuzzForward holds the edited body to encoding/json: the same members but for the
// two that are the gateway's.
func FuzzForward(f *testing.F) {
	for _, body := range []string{
		`{"model":"m","tuning":{"strength":1},"x":[1.0]}`, `{"tuning":{},"model":"m"}`, `{"a":1,"tuning":null}`, `{"model":"a","Model":"b"}`, `{}`, ` { "model" : null } `, `{"tuning":{"x":1}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := DecodeForward(body)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		checkBody(t, body)
		checkTuning(t, got.Tuning)
		var before, after map[string]json.RawMessage
		if err := json.Unmarshal(body, &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(got.Body("other"), &after); err != nil {
			t.Fatalf("%q became %q: %v", body, got.Body("other"), err)
		}
		// As a server reads it that does not tell letters apart.
		var loose struct{ Model string }
		if err := json.Unmarshal(got.Body("other"), &loose); err != nil || loose.Model != "other" {
			t.Errorf("%q asks for %q: %v", got.Body("other"), loose.Model, err)
		}
		delete(before, "tuning")
		before["model"] = json.RawMessage(`"other"`)
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%q became %q", body, got.Body("other"))
		}
	})
}
