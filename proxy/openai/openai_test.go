package openai

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
	"github.com/graft-gateway/graft/proxy/dialecttest"
	"github.com/graft-gateway/graft/proxy/openai/openaitest"
)

const scored = 40 // ids that the model scores; the vocabulary has fewer

// tiny is a model of hashed logits.
func tiny(prefix []eft.Token) []float32 {
	logits := dialecttest.Hashed(prefix, scored)
	for i := 37; i < scored; i++ {
		logits[i] -= 6
	}
	return logits
}

// pieces has words with and without a space, parts of characters, what is left of one,
// and two tokens that are spelt alike.
func pieces() [][]byte {
	p := [][]byte{[]byte("</s>")}
	for _, word := range []string{"red", "blue", "green", "river", "stone", "harbour", "mill"} {
		p = append(p, []byte(word), []byte(" "+word))
	}
	for len(p) < 30 {
		p = append(p, []byte{byte('a' + len(p) - 15)})
	}
	for _, odd := range []string{" ", "\xe2\x80", " \xe2", "\x99", "same", "same", "é"} {
		p = append(p, []byte(odd))
	}
	return p
}

// unclear are the ids that text cannot tell, and those that bytes cannot.
var unclear = map[proxy.TokenForm][]eft.Token{
	proxy.TokenText:  {30, 31, 32, 33, 34, 35, 37, 38, 39},
	proxy.TokenBytes: {34, 35, 37, 38, 39},
}

// truth is the row behind a prefix.
func truth(prefix []eft.Token) []float64 { return dialecttest.Truth(tiny(prefix)) }

// ranked are the k best ids behind a prefix.
func ranked(prefix []eft.Token, k int) []eft.Token { return dialecttest.Ranked(truth(prefix), k) }

// written is the text that a server writes for a token.
func written(id eft.Token, options openaitest.Options) string {
	if id >= 37 {
		return ""
	}
	piece := string(pieces()[id])
	switch options.Tokens {
	case openaitest.Escaped:
		return piece
	case openaitest.Ignored:
		return strings.ToValidUTF8(piece, "")
	}
	return strings.ToValidUTF8(piece, "\uFFFD")
}

// check compares a row, or what there was in place of one, with the truth: the k best
// down to the first that the form cannot tell.
func check(t *testing.T, row eft.Row, err error, prefix []eft.Token, k int, form proxy.TokenForm, options openaitest.Options) {
	t.Helper()
	want := ranked(prefix, k)
	names := map[string]bool{}
	for _, id := range want {
		names[written(id, options)] = true
	}
	merged := len(names) < k && !options.Chat && form != proxy.TokenIDs
	if at := slices.IndexFunc(want, func(id eft.Token) bool { return slices.Contains(unclear[form], id) }); at >= 0 {
		want = want[:at]
	}
	want = slices.DeleteFunc(want, func(id eft.Token) bool { return id >= 37 })
	if merged && len(want) > 1 {
		want = want[:1]
	}
	if len(want) == 0 {
		if !errors.Is(err, proxy.ErrNotOneToken) {
			t.Fatalf("behind %v: row %v, error %v, though the best cannot be told", prefix, row, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("behind %v: %v", prefix, err)
	}
	if !slices.Equal(row.IDs, want) || row.Best != len(want) {
		t.Fatalf("behind %v: ids %v, want %v", prefix, row.IDs, want)
	}
	for i, id := range row.IDs {
		if math.Abs(float64(row.LogProbs[i])-truth(prefix)[id]) > 1e-4 {
			t.Fatalf("behind %v: id %d has %v, want %v", prefix, id, row.LogProbs[i], truth(prefix)[id])
		}
	}
}

func start(t *testing.T, options openaitest.Options) (*openaitest.Server, *proxy.Client) {
	t.Helper()
	options.Pieces = pieces()
	s := openaitest.New(tiny, options)
	return s, dialecttest.Serve(t, s)
}

func recognise(client *proxy.Client, t *testing.T, k int) (proxy.Server, error) {
	return Dialect{}.Recognise(t.Context(), client, proxy.Want{TopLogprobs: k, Vocabulary: eft.NewVocabulary(pieces())})
}

var kinds = []struct {
	name    string
	options openaitest.Options
	k       int // asked for
	want    proxy.Caps
}{
	{"OpenAI", openaitest.Options{Strict: true, Most: 5, Tokens: openaitest.Escaped, Lists: true}, 0,
		proxy.Caps{TopLogprobs: 5, Tokens: proxy.TokenBytes, Batch: true, Stream: true}},
	{"OpenAI with more of them", openaitest.Options{Strict: true, Tokens: openaitest.Escaped, Lists: true}, 20,
		proxy.Caps{TopLogprobs: 20, Tokens: proxy.TokenBytes, Batch: true, Stream: true}},
	{"vLLM behind a proxy", openaitest.Options{AsIDs: true, Most: 20, Lists: true}, 0,
		proxy.Caps{TopLogprobs: 20, Tokens: proxy.TokenIDs, Batch: true, Stream: true}},
	{"Fireworks", openaitest.Options{Chat: true, IDs: true, Bytes: true, Most: 5, Lists: true, Reverse: true}, 0,
		proxy.Caps{TopLogprobs: 5, Tokens: proxy.TokenIDs, Batch: true, Stream: true}},
	{"llama-server by this dialect", openaitest.Options{Chat: true, IDs: true, Bytes: true, Lists: true, CountFirst: true, TellEnds: true}, 10,
		proxy.Caps{TopLogprobs: 10, Tokens: proxy.TokenIDs, Batch: true, Stream: true}},
	{"a cap that nobody else has", openaitest.Options{Chat: true, IDs: true, Most: 14, Lists: true}, 0,
		proxy.Caps{TopLogprobs: 14, Tokens: proxy.TokenIDs, Batch: true, Stream: true}},
	{"bytes in the chat shape", openaitest.Options{Chat: true, Bytes: true, Strict: false, Most: 8, Clamp: true}, 0,
		proxy.Caps{TopLogprobs: 8, Tokens: proxy.TokenBytes, Stream: true}},
	{"Together", openaitest.Options{BareList: true, Most: 1, Lists: true}, 0,
		proxy.Caps{TopLogprobs: 1, Tokens: proxy.TokenText, Batch: true, Stream: true}},
	{"text with parts left out", openaitest.Options{Tokens: openaitest.Ignored, Most: 10}, 10,
		proxy.Caps{TopLogprobs: 10, Tokens: proxy.TokenText, Stream: true}},
	{"after temperature", openaitest.Options{AsIDs: true, Divided: true, Lists: true, Most: 6}, 6,
		proxy.Caps{TopLogprobs: 6, Tokens: proxy.TokenIDs, Batch: true}},
	{"streams without rows", openaitest.Options{AsIDs: true, SilentStream: true, Biased: true}, 7,
		proxy.Caps{TopLogprobs: 7, Tokens: proxy.TokenIDs}},
}

func TestCapsByKindOfServer(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			_, client := start(t, kind.options)
			s, err := recognise(client, t, kind.k)
			if err != nil {
				t.Fatal(err)
			}
			got := s.Caps()
			if got.TopLogprobs != kind.want.TopLogprobs || got.Tokens != kind.want.Tokens || got.Batch != kind.want.Batch || got.Stream != kind.want.Stream || got.Context != 512 || got.Model != "tiny" {
				t.Errorf("caps %+v, want %+v", got, kind.want)
			}
			if len(got.Notes) == 0 {
				t.Error("no note")
			}
			if id, err := s.Identify(t.Context()); err != nil || id != got.Identity {
				t.Errorf("identity %q, %v, want %q", id, err, got.Identity)
			}
		})
	}
}

func TestRowsAreTheModels(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			_, client := start(t, kind.options)
			s, err := recognise(client, t, kind.k)
			if err != nil {
				t.Fatal(err)
			}
			text := s.Begin("tenant")
			defer text.Close()
			form := kind.want.Tokens
			if kind.options.Tokens == openaitest.Escaped && s.(*server).naming.exact {
				form = proxy.TokenBytes
			}
			for i := range 40 {
				prefix := []eft.Token{eft.Token(i % 37), eft.Token(i * 7 % 37)}
				rows, err := text.Rows(t.Context(), prefix, nil)
				check(t, append(rows, eft.Row{})[0], err, prefix, kind.want.TopLogprobs, form, kind.options)
			}
			prefix, path := []eft.Token{3, 1}, []eft.Token{4, 36, 5}
			rows, err := text.Rows(t.Context(), prefix, path)
			if errors.Is(err, proxy.ErrNotOneToken) {
				return
			}
			if err != nil || len(rows) != 4 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			for i, row := range rows {
				check(t, row, nil, slices.Concat(prefix, path[:i]), kind.want.TopLogprobs, form, kind.options)
			}
		})
	}
}

func TestContinueIsTheBasesOwnText(t *testing.T) {
	for _, kind := range kinds {
		if !kind.want.Stream {
			continue
		}
		t.Run(kind.name, func(t *testing.T) {
			_, client := start(t, kind.options)
			s, err := recognise(client, t, kind.k)
			if err != nil {
				t.Fatal(err)
			}
			form := kind.want.Tokens
			if s.(*server).naming.exact {
				form = proxy.TokenBytes
			}
			for first := range eft.Token(20) {
				text := []eft.Token{first}
				stream, err := s.Begin("").Continue(t.Context(), text, 8)
				if err != nil {
					t.Fatal(err)
				}
				for n := 0; ; n++ {
					row, token, err := stream.Next()
					if err == io.EOF {
						if n != 8 {
							t.Errorf("%d tokens", n)
						}
						break
					}
					check(t, row, err, text, kind.want.TopLogprobs, form, kind.options)
					if err != nil {
						break
					}
					if want := ranked(text, 1)[0]; token != want {
						t.Fatalf("token %d, want %d", token, want)
					}
					text = append(text, token)
				}
				stream.Close()
			}
		})
	}
}

// endBehind finds a prefix behind which an id is the best.
func endBehind(t *testing.T, end eft.Token) []eft.Token {
	t.Helper()
	for a := range eft.Token(37) {
		for b := range eft.Token(37) {
			if prefix := []eft.Token{a, b}; ranked(prefix, 1)[0] == end {
				return prefix
			}
		}
	}
	t.Fatalf("id %d is nowhere the best", end)
	return nil
}

func TestEndTokensAreRowsToo(t *testing.T) {
	prefix := endBehind(t, 0)
	for name, test := range map[string]struct {
		options openaitest.Options
		says    string
	}{
		"told":                       {openaitest.Options{AsIDs: true, TellEnds: true, Unbiased: true}, ""},
		"not told, by another token": {openaitest.Options{AsIDs: true}, ""},
		"not told, by text":          {openaitest.Options{Tokens: openaitest.Ignored}, ""},
		"not told, bias is ignored":  {openaitest.Options{AsIDs: true, Unbiased: true}, "ended the text"},
		"not told, by ignore_eos":    {openaitest.Options{AsIDs: true, Unbiased: true, Ignores: true}, ""},
		"not told, forbidden":        {openaitest.Options{AsIDs: true, Unbiased: true, Forbids: true}, "ended the text"},
		"not told, bias is shown":    {openaitest.Options{AsIDs: true, Biased: true}, "ended the text"},
	} {
		t.Run(name, func(t *testing.T) {
			test.options.Ends = []eft.Token{0}
			_, client := start(t, test.options)
			s, err := recognise(client, t, 5)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := s.Begin("").Rows(t.Context(), prefix, nil)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("rows %v, error %v", rows, err)
				}
				return
			}
			check(t, append(rows, eft.Row{})[0], err, prefix, 5, s.Caps().Tokens, test.options)
		})
	}
}

func TestATokenThatIsNotToldIsPinnedAway(t *testing.T) {
	prefix := endBehind(t, 31)
	for _, unbiased := range []bool{false, true} {
		_, client := start(t, openaitest.Options{AsIDs: true, Mute: true, Unbiased: unbiased})
		s, err := recognise(client, t, 5)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := s.Begin("").Rows(t.Context(), prefix, nil)
		if unbiased {
			if err == nil || !strings.Contains(err.Error(), "without log-probs") {
				t.Errorf("rows %v, error %v", rows, err)
			}
			continue
		}
		check(t, append(rows, eft.Row{})[0], err, prefix, 5, proxy.TokenIDs, openaitest.Options{})
	}
}

func TestTextPromptsOnlyWhereTheServerShowsItsTokens(t *testing.T) {
	_, client := start(t, openaitest.Options{TextOnly: true, Cutter: true, AsIDs: true, First: []eft.Token{0}})
	s, err := recognise(client, t, 5)
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Caps(); c.Batch || !strings.Contains(strings.Join(c.Notes, "\n"), "prompts are text") {
		t.Errorf("caps %+v", c)
	}
	for _, test := range []struct {
		prefix []eft.Token
		says   string
	}{
		{[]eft.Token{0, 1, 4, 36}, ""},
		{[]eft.Token{0, 1}, ""},
		{[]eft.Token{1, 4}, "cuts this one into other tokens"},            // the server begins with 0
		{[]eft.Token{0, 30, 1}, "cuts this one into other tokens"},        // " red" is one token
		{[]eft.Token{0, 1, 31}, "within a character"},                     // half of one
		{[]eft.Token{0, 0, 1}, ""},                                        // "</s>" twice, the first by the server
		{[]eft.Token{0, 1, 35}, "cuts this one into other tokens: from "}, // spelt like 34
	} {
		rows, err := s.Begin("").Rows(t.Context(), test.prefix, nil)
		if test.says == "" {
			check(t, append(rows, eft.Row{})[0], err, test.prefix, 5, proxy.TokenIDs, openaitest.Options{})
		} else if err == nil || !strings.Contains(err.Error(), strings.Split(test.says, ":")[0]) {
			t.Errorf("prefix %v: rows %v, error %v, want %q", test.prefix, rows, err, test.says)
		}
	}
}

func TestRecogniseRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		options openaitest.Options
		want    proxy.Want
		says    string
	}{
		"chat only":              {openaitest.Options{ChatOnly: true}, proxy.Want{}, "chat endpoint puts a template"},
		"text that nobody cuts":  {openaitest.Options{TextOnly: true}, proxy.Want{}, "no endpoint that tells how it cuts text"},
		"tokens are added":       {openaitest.Options{First: []eft.Token{0}, FirstToIDs: true}, proxy.Want{}, "counts as 6 tokens"},
		"nothing is counted":     {openaitest.Options{NoUsage: true}, proxy.Want{}, "usage.prompt_tokens"},
		"several models":         {openaitest.Options{Models: []map[string]any{{"id": "b"}, {"id": "a"}}}, proxy.Want{}, "a, b"},
		"more than it gives":     {openaitest.Options{Most: 5}, proxy.Want{TopLogprobs: 50}, "set top_logprobs: 5"},
		"more than it clamps to": {openaitest.Options{Most: 7, Clamp: true, AsIDs: true}, proxy.Want{TopLogprobs: 30}, "set top_logprobs: 7"},
		"all":                    {openaitest.Options{}, proxy.Want{TopLogprobs: -1}, "ask for a number"},
		"spaces are stripped":    {openaitest.Options{Tokens: openaitest.Stripped}, proxy.Want{TopLogprobs: 20}, `writes "red" for id 2`},
		"stripped, without bias": {openaitest.Options{Tokens: openaitest.Stripped, Unbiased: true}, proxy.Want{TopLogprobs: 20}, "strip it"},
		"a key is wanted":        {openaitest.Options{Key: "secret"}, proxy.Want{}, "api_key_env"},
		"no list and no name":    {openaitest.Options{NoList: true}, proxy.Want{}, "no model is named"},
		"a model it has not":     {openaitest.Options{}, proxy.Want{Model: "huge"}, "does not exist"},
		"another vocabulary":     {openaitest.Options{Tokens: openaitest.Escaped}, proxy.Want{Vocabulary: eft.NewVocabulary(slices.Concat([][]byte{[]byte("</s>"), []byte("blue"), []byte(" red"), []byte("red")}, pieces()[4:]))}, "another vocabulary"},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := start(t, test.options)
			if test.want.Vocabulary == nil {
				test.want.Vocabulary = eft.NewVocabulary(pieces())
			}
			_, err := Dialect{}.Recognise(t.Context(), client, test.want)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %q", err, test.says)
			}
		})
	}
}

func TestServersWithoutLogprobs(t *testing.T) {
	client := dialecttest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fmt.Fprint(w, `{"data":[{"id":"tgi"}]}`)
			return
		}
		fmt.Fprint(w, `{"model":"tgi","choices":[{"index":0,"text":"x","logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":5}}`)
	}))
	_, err := recognise(client, t, 0)
	if err == nil || !strings.Contains(err.Error(), "no log-probs") {
		t.Errorf("error %v", err)
	}
}

func TestARouteWithoutExpertsNeedsNoRows(t *testing.T) {
	_, client := start(t, openaitest.Options{ChatOnly: true, Name: "chatty"})
	s, err := Dialect{}.Recognise(t.Context(), client, proxy.Want{})
	if err != nil || s.Caps().Model != "chatty" {
		t.Fatalf("%v", err)
	}
	if id, err := s.Identify(t.Context()); err != nil || id != s.Caps().Identity {
		t.Errorf("identity %q, %v", id, err)
	}
}

func TestAnotherModelIsNoticed(t *testing.T) {
	server, client := start(t, openaitest.Options{AsIDs: true, Answers: "tiny-0101"})
	s, err := recognise(client, t, 3)
	if err != nil {
		t.Fatal(err)
	}
	server.Restart(openaitest.Options{AsIDs: true, Answers: "tiny-0202", Pieces: pieces()})
	_, err = s.Begin("").Rows(t.Context(), []eft.Token{1, 2}, nil)
	if failure := (*proxy.Error)(nil); !errors.As(err, &failure) || failure.Fault != proxy.Changed {
		t.Errorf("error %v", err)
	}
	server.Restart(openaitest.Options{AsIDs: true, Models: []map[string]any{{"id": "tiny", "owned_by": "somebody else"}}, Pieces: pieces()})
	if id, err := s.Identify(t.Context()); err != nil || id == s.Caps().Identity {
		t.Errorf("identity %q, %v", id, err)
	}
}

func TestAnUnlistedModelIsKnownByItsAnswers(t *testing.T) {
	server, client := start(t, openaitest.Options{AsIDs: true, NoList: true, Answers: "one"})
	s, err := Dialect{}.Recognise(t.Context(), client, proxy.Want{Model: "tiny", TopLogprobs: 2, Vocabulary: eft.NewVocabulary(pieces())})
	if err != nil {
		t.Fatal(err)
	}
	if id, err := s.Identify(t.Context()); err != nil || id != s.Caps().Identity {
		t.Errorf("identity %q, %v, want %q", id, err, s.Caps().Identity)
	}
	server.Restart(openaitest.Options{AsIDs: true, NoList: true, Answers: "two", Pieces: pieces()})
	if id, err := s.Identify(t.Context()); err != nil || id == s.Caps().Identity {
		t.Errorf("identity %q, %v", id, err)
	}
}

func TestRequestsHoldNothingStrange(t *testing.T) {
	server, client := start(t, openaitest.Options{Strict: true, Lists: true, Tokens: openaitest.Escaped})
	s, err := recognise(client, t, 5)
	if err != nil {
		t.Fatal(err)
	}
	server.Requests()
	_, _ = s.Begin("ann").Rows(t.Context(), []eft.Token{1, 2}, []eft.Token{3})
	sent := server.Requests()
	want := `{"model":"tiny","prompt":[[1,2],[1,2,3]],"max_tokens":1,"temperature":0,"top_p":1,"logprobs":5}`
	if len(sent) != 1 || string(sent[0]) != want {
		t.Errorf("sent %s, want %s", sent, want)
	}
}
