package vllm

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// older answers like a server before --max-logprobs -1: V asks are refused by a text of
// its own, names and salts are not known and ignored, usage has no details.
func older(limit int, refusal string) func(request) (int, string) {
	return func(in request) (int, string) {
		if in.Logprobs < 0 {
			return 400, `{"object":"error","message":"` + "`logprobs` must be a positive value." + `","code":400}`
		}
		if in.Logprobs > limit {
			return 400, fmt.Sprintf(`{"object":"error","message":"`+refusal+`","code":400}`, limit)
		}
		choices := make([]string, len(in.Prompt))
		for i := range choices {
			top := []string{`"token_id:900":-0.5`}
			for id := range in.Logprobs {
				top = append(top, fmt.Sprintf(`"token_id:%d":%d`, 100+id, -5-id))
			}
			choices[i] = row(i, "token_id:900", "{"+strings.Join(top[:max(1, in.Logprobs)], ",")+"}")
		}
		return 200, whole(choices...)
	}
}

func TestOlderServersAreUnderstood(t *testing.T) {
	for _, refusal := range []string{
		"Requested sample logprobs of 1073741824, which is greater than max allowed: %d", // V1
		"Cannot request more than %d logprobs.",                                          // V0
	} {
		s := &script{models: fmt.Sprintf(oneModel, 5), version: `{"version":"0.8.5"}`, answer: older(20, refusal)}
		caps := recognise(t, s.start(t), proxy.Want{}).Caps()
		if caps.TopLogprobs != 20 || caps.TopLogprobsCap != 20 || caps.VocabSize != 0 || caps.Names != 0 || caps.Isolation != "" ||
			caps.PrefixCache != "unknown" || caps.Version != "0.8.5" || len(caps.Notes) != 2 {
			t.Errorf("%s: %+v", refusal, caps)
		}
		if _, err := (Dialect{}).Recognise(t.Context(), client(t, s.start(t)), proxy.Want{TopLogprobs: -1}); err == nil || !strings.Contains(err.Error(), "at most 20") {
			t.Errorf("the whole vocabulary: %v", err)
		}
	}
}

func TestServersThatGiveNoLogprobsSayHow(t *testing.T) {
	s := &script{models: fmt.Sprintf(oneModel, 5), version: `{"version":"0.8.5"}`, answer: older(0, "max allowed: %d")}
	_, err := Dialect{}.Recognise(t.Context(), client(t, s.start(t)), proxy.Want{})
	if err == nil || !strings.Contains(err.Error(), "--max-logprobs 100") {
		t.Errorf("got %v", err)
	}
}

func TestOtherServersAreOfAnotherDialect(t *testing.T) {
	for name, s := range map[string]*script{
		"no models":       {},
		"no JSON":         {models: "<html>"},
		"another owner":   {models: `{"data":[{"id":"m","owned_by":"llamacpp","meta":{}}]}`},
		"an empty list":   {models: `{"data":[]}`},
		"no version":      {models: `{"data":[{"id":"m","owned_by":"sglang","max_model_len":64}]}`},
		"another version": {models: `{"data":[{"id":"m","owned_by":"organization"}]}`, version: `{"version":"1"}`},
	} {
		if _, err := (Dialect{}).Recognise(t.Context(), client(t, s.start(t)), proxy.Want{}); !errors.Is(err, proxy.ErrOtherDialect) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServersThatCannotBeAskedAreNotTakenForOthers(t *testing.T) {
	for _, status := range []int{401, 403, 429, 500, 503} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		_, err := Dialect{}.Recognise(t.Context(), client(t, server.URL), proxy.Want{})
		server.Close()
		if fault := (*proxy.Error)(nil); errors.Is(err, proxy.ErrOtherDialect) || !errors.As(err, &fault) || fault.Status != status {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestARouterBeforeVLLMsIsRecognised(t *testing.T) {
	s := &script{models: `{"data":[{"id":"m","owned_by":"router","max_model_len":64}]}`, version: `{"version":"0.20.1"}`, answer: older(20, "max allowed: %d")}
	if caps := recognise(t, s.start(t), proxy.Want{TopLogprobs: 3}).Caps(); caps.Version != "0.20.1" || caps.TopLogprobs != 3 {
		t.Errorf("caps %+v", caps)
	}
}

func TestModels(t *testing.T) {
	alias := model{ID: "b", Root: "/m"}
	for name, c := range map[string]struct {
		list []model
		ask  string
		want string // id, or what the error says
	}{
		"the only one":         {[]model{{ID: "a", Root: "/m"}}, "", "a"},
		"by name":              {[]model{{ID: "a", Root: "/m"}, {ID: "x/y", Root: "/n"}}, "x/y", "x/y"},
		"names of one model":   {[]model{{ID: "a", Root: "/m"}, alias}, "", "a"},
		"an adapter beside it": {[]model{{ID: "a", Root: "/m"}, {ID: "l", Root: "/l", Parent: "a"}}, "", "must name one: a, l"},
		"roots that are not":   {[]model{{ID: "a"}, {ID: "b"}}, "", "must name one: a, b"},
		"missing":              {[]model{{ID: "a"}, {ID: "b"}}, "c", `no model "c"; it has a, b`},
		"none":                 {nil, "", "lists no model"},
	} {
		got, err := modelList{Data: c.list}.choose(c.ask)
		if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && got.ID != c.want {
			t.Errorf("%s: %+v, %v, want %s", name, got, err, c.want)
		}
	}
}

func TestIdentityIsTheModels(t *testing.T) {
	s := &script{models: fmt.Sprintf(oneModel, 5)}
	server := &Server{client: client(t, s.start(t)), caps: proxy.Caps{Model: "m"}}
	identify := func() string {
		t.Helper()
		identity, err := server.Identify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return identity
	}
	first := identify()
	if s.models = fmt.Sprintf(oneModel, 6); identify() != first {
		t.Error("the identity changes with the time")
	}
	for _, change := range [][2]string{{`"/m"`, `"/n"`}, {"64", "65"}, {"null", `"p"`}} {
		if s.models = strings.Replace(fmt.Sprintf(oneModel, 5), change[0], change[1], 1); identify() == first {
			t.Errorf("the identity stays with %s", change[1])
		}
	}
	s.models = strings.Replace(fmt.Sprintf(oneModel, 5), `"m"`, `"n"`, 1)
	_, err := server.Identify(t.Context())
	if fault := (*proxy.Error)(nil); !errors.As(err, &fault) || fault.Fault != proxy.Changed || !strings.Contains(err.Error(), "it has n") {
		t.Errorf("another model: %v", err)
	}
}

// graft is another Graft, which refuses what it does not know and tells of its models.
func graft(t *testing.T, one string, answer func(request) (int, string)) string {
	t.Helper()
	s := &script{answer: func(in request) (int, string) {
		if in.Bias != nil {
			t.Error("a Graft is sent a bias")
		}
		return answer(in)
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/models":
			_, _ = w.Write([]byte(`{"object":"list","data":[{"id":"big","object":"model","created":1,"owned_by":"graft"},{"id":"other","owned_by":"graft"}]}`))
		case "/v1/models/big":
			_, _ = w.Write([]byte(one))
		default:
			s.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func graftAnswer(in request) (int, string) {
	if len(in.Names) > 0 {
		return echo(in)
	}
	choices := make([]string, len(in.Prompt))
	for i := range choices {
		choices[i] = row(i, "token_id:1", `{"token_id:1":-0.2231436,"token_id:0":-1.6094379,"token_id:2":-9999}`)
	}
	return 200, whole(choices...)
}

func TestAnotherGraftTellsOfItself(t *testing.T) {
	const one = `{"id":"big","owned_by":"graft","vocab_size":3,"max_model_len":2048,"max_logprobs":%d,"fingerprint":"%s"}`
	url := graft(t, fmt.Sprintf(one, 3, "f00"), graftAnswer)
	server := recognise(t, url, proxy.Want{Model: "big", TopLogprobs: -1})
	want := proxy.Caps{
		Dialect: "vllm", Version: "graft", Model: "big", Identity: `graft "big" fingerprint f00`, Context: 2048, VocabSize: 3,
		TopLogprobs: 3, TopLogprobsCap: -1, CapFlag: "logprobs.completions", Dense: true, Names: 3, Tokens: proxy.TokenIDs, Batch: true,
		Scoring: proxy.ScoringList, Stream: true, PrefixCache: "unknown", Isolation: "cache_salt",
	}
	if got := server.Caps(); !reflect.DeepEqual(got, want) {
		t.Errorf("caps\n%+v, want\n%+v", got, want)
	}
	rows, err := server.Begin("").Rows(t.Context(), []eft.Token{1}, []eft.Token{2})
	if err != nil || len(rows) != 2 || len(rows[1].Scores) != 3 {
		t.Errorf("rows %+v, %v", rows, err)
	}
	if identity, err := server.Identify(t.Context()); err != nil || identity != want.Identity {
		t.Errorf("identity %q, %v", identity, err)
	}

	url = graft(t, fmt.Sprintf(one, 2, "f00"), graftAnswer)
	if caps := recognise(t, url, proxy.Want{Model: "big"}).Caps(); caps.TopLogprobs != 2 || caps.Dense {
		t.Errorf("caps %+v", caps)
	}
	if _, err := (Dialect{}).Recognise(t.Context(), client(t, url), proxy.Want{Model: "big", TopLogprobs: -1}); err == nil || !strings.Contains(err.Error(), "set logprobs.completions of its route to 3") {
		t.Errorf("the whole vocabulary: %v", err)
	}
	url = graft(t, fmt.Sprintf(one, 2, ""), graftAnswer)
	if _, err := (Dialect{}).Recognise(t.Context(), client(t, url), proxy.Want{Model: "big"}); err == nil || !strings.Contains(err.Error(), "no fingerprint") {
		t.Errorf("no fingerprint: %v", err)
	}
}
