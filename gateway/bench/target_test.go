package bench

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// clock gives a time further on by a second at each look.
func clock() func() time.Duration {
	var now time.Duration
	return func() time.Duration { now += time.Second; return now }
}

func TestStreamsOfServersAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		stream string
		want   answer
		err    string
	}{
		"a chat of ours": {
			stream: `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}` + "\n\n" +
				`data: {"choices":[{"index":0,"delta":{"content":"Of"}}],"usage":null}` + "\n\n" +
				": a comment\n\n" +
				`data: {"choices":[{"index":0,"delta":{"content":" course"}}],"usage":null}` + "\n\n" +
				`data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3},"tuning":{"drafted_tokens":5,"agreed_tokens":2,"base_calls":1}}` + "\n\n" +
				"data: [DONE]\n\n",
			want: answer{prompt: 12, tokens: 3, drafted: 5, agreed: 2, baseCall: 1, first: time.Second, last: 2 * time.Second, gaps: []float64{1}},
		},
		"completions with spaces, as Python writes them": {
			stream: "data: {\"choices\": [{\"index\": 0, \"text\": \"a\"}]}\r\n\r\ndata: {\"choices\": [{\"text\": \"\"}]}\n\ndata:{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n",
			want:   answer{prompt: 1, tokens: 2, first: time.Second, last: time.Second},
		},
		"an error":        {stream: `data: {"error":{"message":"the base left"}}` + "\n\n", err: "the base left"},
		"nobody counted":  {stream: "data: [DONE]\n\n", err: "usage"},
		"cut off":         {stream: `data: {"choices":[{"text":"a"}]}` + "\n\n", err: io.ErrUnexpectedEOF.Error()},
		"not JSON":        {stream: `data: {"usage"` + "\n\n", err: "not understood"},
		"an endless line": {stream: "data: " + strings.Repeat("a", longestLine+1), err: "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readStream(strings.NewReader(c.stream), clock())
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("%v, want %q", err, c.err)
				}
				return
			}
			if err != nil || !slices.Equal(got.gaps, c.want.gaps) {
				t.Fatalf("%v, gaps %v", err, got.gaps)
			}
			got.gaps, c.want.gaps = nil, nil
			if a, b := got, c.want; a.prompt != b.prompt || a.tokens != b.tokens || a.drafted != b.drafted || a.agreed != b.agreed || a.baseCall != b.baseCall || a.first != b.first || a.last != b.last {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func FuzzStreams(f *testing.F) {
	f.Add("data: {\"choices\":[{\"text\":\"a\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n")
	f.Add("data: {\"error\":{}}\n")
	f.Add(":\r\n\ndata:\"usage\"\"content\" : \"")
	f.Fuzz(func(t *testing.T, stream string) {
		a, err := readStream(strings.NewReader(stream), clock())
		if err == nil && !strings.Contains(stream, "[DONE]") {
			t.Error("an answer that did not end was taken")
		}
		if a.last < a.first || len(a.gaps) > 0 && a.first == 0 {
			t.Errorf("%+v", a)
		}
	})
}

func TestWhatIsSaidToGatewaysAndToBases(t *testing.T) {
	p := prompt{text: "Who?", tokens: []eft.Token{5, 6}}
	for want, a := range map[string]ask{
		`{"model":"m","messages":[{"role":"user","content":"Who?"}],"stream":true,"stream_options":{"include_usage":true},"max_tokens":256,"temperature":0,"seed":7,"tuning":{"strength":0,"draft":"auto"}}`: {prompt: p, seed: 7, knob: &knob{0, "auto"}},
		`{"model":"m","prompt":[5,6],"stream":true,"stream_options":{"include_usage":true},"max_tokens":9,"ignore_eos":true,"temperature":0.8,"seed":0}`:                                                     {prompt: p, length: 9, temperature: .8},
	} {
		if got, err := json.Marshal(a.body("m")); err != nil || string(got) != want {
			t.Errorf("%s, %v\nwant %s", got, err, want)
		}
	}
}
