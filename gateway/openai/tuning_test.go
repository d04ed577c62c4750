package openai

import (
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestKnobsOutOfBoundsAreRefused(t *testing.T) {
	with := func(members string) string { return chatWith(`"tuning":{` + members + `}`) }
	refuses(t, DecodeChat, []wrong{
		{"a negative strength", with(`"strength":-0.1`), "tuning.strength", CodeInvalidValue, "tuning.strength must be a finite number of at least 0, got -0.1"},
		{"a strength beyond float64", with(`"strength":1e309`), "tuning.strength", CodeInvalidValue, "got 1e309"},
		{"a strength that is NaN", with(`"strength":NaN`), "tuning.strength", CodeInvalidJSON, "NaN"},
		{"a strength that is text", with(`"strength":"1"`), "tuning.strength", CodeInvalidType, ""},
		{"a negative base", with(`"base":-1`), "tuning.base", CodeInvalidValue, ""},
		{"a negative expert", with(`"experts":{"chat":-1}`), "tuning.experts.chat", CodeInvalidValue, "tuning.experts.chat must be"},
		{"an expert beyond float64", with(`"experts":{"chat":1e309}`), "tuning.experts.chat", CodeInvalidValue, ""},
		{"an expert that is text", with(`"experts":{"chat":"1"}`), "tuning.experts.chat", CodeInvalidType, ""},
		{"an expert twice", with(`"experts":{"chat":1,"chat":1}`), "tuning.experts.chat", CodeDuplicate, ""},
		{"plausibility above 1", with(`"plausibility":1.1`), "tuning.plausibility", CodeInvalidValue, "between 0 and 1"},
		{"plausibility below 0", with(`"plausibility":-0.1`), "tuning.plausibility", CodeInvalidValue, ""},
		{"an unknown drafter", with(`"draft":"fast"`), "tuning.draft", CodeInvalidValue, `must be one of auto, tuned, base, off, got "fast"`},
		{"an unknown key", with(`"strenght":1`), "tuning.strenght", CodeUnknown, ""},
	})
}

func TestHeadersSetTheKnob(t *testing.T) {
	for name, c := range map[string]struct {
		header http.Header
		want   Tuning
	}{
		"none":          {http.Header{"Accept": {"*/*"}}, Tuning{}},
		"strength":      {http.Header{HeaderStrength: {"0.8"}}, Tuning{Strength: Some(0.8)}},
		"zero":          {http.Header{HeaderStrength: {" 0 "}}, Tuning{Strength: Some(0.0)}},
		"minus zero":    {http.Header{HeaderStrength: {"-0"}}, Tuning{Strength: Some(0.0)}},
		"experts":       {http.Header{HeaderExperts: {"chat=1.0,safe=0.5"}}, Tuning{Experts: map[string]float64{"chat": 1, "safe": 0.5}}},
		"blanks":        {http.Header{HeaderExperts: {" chat = 1e0 ,\tsafe= 0.5 "}}, Tuning{Experts: map[string]float64{"chat": 1, "safe": 0.5}}},
		"two lines":     {http.Header{HeaderExperts: {"chat=1", "safe=2"}}, Tuning{Experts: map[string]float64{"chat": 1, "safe": 2}}},
		"both":          {http.Header{HeaderStrength: {"1"}, HeaderExperts: {"a=0"}}, Tuning{Strength: Some(1.0), Experts: map[string]float64{"a": 0}}},
		"not canonical": {http.Header{"x-tuning-strength": {"1"}}, Tuning{Strength: Some(1.0)}},
		"no values":     {http.Header{HeaderStrength: nil}, Tuning{}},
	} {
		got, err := TuningFromHeaders(c.header)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, c.want)
		}
	}
}

func TestMalformedHeadersAreRefused(t *testing.T) {
	for _, value := range []string{"", " ", "x", "-1", "NaN", "Inf", "1e999", "+1", ".5", "1.", "0x1", "1_0", "1,2", "1 2", "1;", strings.Repeat("9", 400)} {
		_, err := TuningFromHeaders(http.Header{HeaderStrength: {value}})
		wantError(t, err, HeaderStrength, CodeInvalidHeader, "must be a finite number of at least 0")
	}
	for _, value := range []string{"", "chat", "chat=", "=1", "chat=x", "chat=-1", "chat=NaN", "chat=1,", ",chat=1", "chat=1;safe=2", "chat==1", "a=1=2", "\xff=1"} {
		_, err := TuningFromHeaders(http.Header{HeaderExperts: {value}})
		wantError(t, err, HeaderExperts, CodeInvalidHeader, "must be a list such as chat=1.0,safe=0.5")
	}
	for name, c := range map[string]struct {
		header         http.Header
		param, message string
	}{
		"strength twice":            {http.Header{HeaderStrength: {"1", "1"}}, HeaderStrength, "more than once"},
		"strength in two spellings": {http.Header{HeaderStrength: {"1"}, "x-tuning-strength": {"1"}}, HeaderStrength, "more than once"},
		"an expert twice":           {http.Header{HeaderExperts: {"a=1,a=2"}}, HeaderExperts, `names "a" twice`},
		"an expert in two lines":    {http.Header{HeaderExperts: {"a=1", "a=2"}}, HeaderExperts, `names "a" twice`},
		"a knob misspelt":           {http.Header{"X-Tuning-Stength": {"1"}}, "X-Tuning-Stength", "is not a known header"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := TuningFromHeaders(c.header)
			wantError(t, err, c.param, CodeInvalidHeader, c.message)
		})
	}
}

func TestModelNamesMayEndInAStrength(t *testing.T) {
	for model, want := range map[string]struct {
		name     string
		strength Optional[float64]
	}{
		"demo":     {"demo", Optional[float64]{}},
		"demo@0.5": {"demo", Some(0.5)},
		"demo@0":   {"demo", Some(0.0)},
		"a/b@1e-1": {"a/b", Some(0.1)},
	} {
		name, strength, err := SplitModel(model)
		if err != nil || name != want.name || strength != want.strength {
			t.Errorf("%s: %q %v %v", model, name, strength, err)
		}
	}
	for _, model := range []string{"@", "@1", "demo@", "demo@x", "demo@-1", "demo@NaN", "demo@1@2", "demo@1e999", "demo@0x1"} {
		_, _, err := SplitModel(model)
		wantError(t, err, "model", CodeInvalidValue, "as in demo@0.5, got "+quote(model))
	}
}

func TestTheBodyWinsOverHeadersAndThoseOverTheModelsName(t *testing.T) {
	header := http.Header{HeaderStrength: {"0.2"}, HeaderExperts: {"chat=2"}}
	all := Tuning{
		Strength: Some(0.0), Experts: map[string]float64{}, Base: Some(1.0), Plausibility: Some(0.5), Draft: Some(DraftBase), Explain: Some(false),
	}
	for name, c := range map[string]struct {
		model  string
		header http.Header
		body   Tuning
		want   Tuning
	}{
		"nothing":                 {"demo", nil, Tuning{}, Tuning{}},
		"the name":                {"demo@0.3", nil, Tuning{}, Tuning{Strength: Some(0.3)}},
		"the header":              {"demo@0.3", header, Tuning{}, Tuning{Strength: Some(0.2), Experts: map[string]float64{"chat": 2}}},
		"the body's explicit 0":   {"demo@0.3", header, Tuning{Strength: Some(0.0)}, Tuning{Strength: Some(0.0), Experts: map[string]float64{"chat": 2}}},
		"each field for itself":   {"demo@0.3", nil, Tuning{Base: Some(2.0)}, Tuning{Strength: Some(0.3), Base: Some(2.0)}},
		"the body's in all of it": {"demo@0.3", header, all, all},
	} {
		model, got, err := ResolveTuning(c.model, c.header, c.body)
		if err != nil || model != "demo" || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q %+v %v, want %+v", name, model, got, err, c.want)
		}
	}
	if got := (Tuning{}).Merge(all); !reflect.DeepEqual(got, all) {
		t.Errorf("got %+v", got)
	}
}

func TestMalformedKnobsAreRefusedEvenWhereTheBodyWins(t *testing.T) {
	body := Tuning{Strength: Some(1.0)}
	_, _, err := ResolveTuning("demo", http.Header{HeaderStrength: {"x"}}, body)
	wantError(t, err, HeaderStrength, CodeInvalidHeader, "")
	_, _, err = ResolveTuning("demo@x", nil, body)
	wantError(t, err, "model", CodeInvalidValue, "")
}

func TestBoundsAreCheckedAndSaid(t *testing.T) {
	for _, c := range []struct {
		b    Bounds
		v    float64
		want string // empty for a value within
	}{
		{Bounds{Min: 0, Max: 2}, 0, ""},
		{Bounds{Min: 0, Max: 2}, 2, ""},
		{Bounds{Min: 0, Max: 2}, 2.5, "x must be between 0 and 2, got 2.5"},
		{Bounds{Min: 0, Max: 2}, math.NaN(), "x must be between 0 and 2, got NaN"},
		{Bounds{Min: 0, Max: 2}, math.Inf(-1), "x must be between 0 and 2, got -Inf"},
		{Bounds{Min: 0, Max: 1, Open: true}, 0, "x must be above 0 and at most 1, got 0"},
		{Bounds{Min: 0, Max: 1, Open: true}, 1, ""},
		{Bounds{Min: 0, Max: math.MaxFloat64}, math.Inf(1), "x must be a finite number of at least 0, got +Inf"},
		{Bounds{Min: 0, Max: math.MaxFloat64, Open: true}, 0, "x must be a finite number above 0, got 0"},
	} {
		err := c.b.Check("x", c.v)
		if c.want == "" {
			if err != nil {
				t.Errorf("%v of %v: %v", c.v, c.b, err)
			}
			continue
		}
		wantError(t, err, "x", CodeInvalidValue, c.want)
	}
}
