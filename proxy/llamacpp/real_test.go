package llamacpp

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// realServer serves the embedded base in single precision, under the name in
// GRAFT_LLAMACPP_MODEL where it has several.
func realServer(t *testing.T, k int) proxy.Server {
	t.Helper()
	return realAt(t, realURL(t), k)
}

func realAt(t *testing.T, url string, k int) proxy.Server {
	t.Helper()
	return recognise(t, proxy.Endpoint{URL: url}, proxy.Want{
		Model: os.Getenv("GRAFT_LLAMACPP_MODEL"), TopLogprobs: k, Vocabulary: demoVocabulary(t),
	})
}

func recognise(t *testing.T, endpoint proxy.Endpoint, want proxy.Want) proxy.Server {
	t.Helper()
	client := newClient(t, endpoint)
	s, err := Dialect{}.Recognise(t.Context(), client, want)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newClient(t *testing.T, endpoint proxy.Endpoint) *proxy.Client {
	t.Helper()
	endpoint.Name = "test"
	client, err := proxy.NewClient(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// once asks nothing twice, so that tests see what is asked.
func once(url string) proxy.Endpoint { return proxy.Endpoint{URL: url, Retries: -1} }

// truth is a row of the embedded base by PyTorch; testdata/truth.py wrote them.
type truth struct {
	Prefix   []eft.Token `json:"prefix"`
	IDs      []eft.Token `json:"ids"`
	LogProbs []float32   `json:"logprobs"`
}

func truths(t *testing.T) []truth {
	t.Helper()
	data, err := os.ReadFile("testdata/truth.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []truth
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// epsilon is ten times what different shapes of computation come to with these weights,
// where the server is started with --cache-type-k f32 --cache-type-v f32 --flash-attn off.
const epsilon = 2e-4

func ask(t *testing.T, text proxy.Text, prefix []eft.Token, path ...eft.Token) []eft.Row {
	t.Helper()
	rows, err := text.Rows(t.Context(), prefix, path)
	if err != nil {
		t.Fatalf("rows behind %d tokens along %v: %v", len(prefix), path, err)
	}
	if len(rows) != len(path)+1 {
		t.Fatalf("%d rows along a path of %d", len(rows), len(path))
	}
	return rows
}

func TestRealRowsAreTheModelsOwn(t *testing.T) {
	url := realURL(t)
	for _, k := range []int{20, 100, -1} {
		s := realAt(t, url, k)
		text := s.Begin("")
		worst := 0.0
		for _, want := range truths(t) {
			row := ask(t, text, want.Prefix)[0]
			if row.Dense() != (k < 0) || k > 0 && row.Best != k || k < 0 && len(row.Scores) != 1024 {
				t.Fatalf("k %d: a row of %d best and %d scores", k, row.Best, len(row.Scores))
			}
			worst = max(worst, apart(eft.Row{IDs: want.IDs, LogProbs: want.LogProbs, Best: 20}, row))
		}
		text.Close()
		t.Logf("k %d: ε to PyTorch %.2g nats over %d prefixes", k, worst, len(truths(t)))
		if worst > epsilon {
			t.Errorf("k %d: rows are %.3g nats from PyTorch's", k, worst)
		}
	}
}

// follow reads a continuation to its end.
func follow(t *testing.T, text proxy.Text, prefix []eft.Token, limit int) (rows []eft.Row, tokens []eft.Token) {
	t.Helper()
	stream, err := text.Continue(t.Context(), prefix, limit)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for {
		row, id, err := stream.Next()
		if err == io.EOF {
			return rows, tokens
		}
		if err != nil {
			t.Fatal(err)
		}
		rows, tokens = append(rows, row), append(tokens, id)
	}
}

func TestRealPathsStreamsAndSinglesAgree(t *testing.T) {
	s := realServer(t, 20)
	if c := s.Caps(); c.Scoring != proxy.ScoringGrammar || !c.Stream || c.PrefixCache != "yes" {
		t.Fatalf("%+v", c)
	}
	text := s.Begin("")
	defer text.Close()
	alone := 0.0
	streamed, tokensSeen := 0.0, 0
	for _, want := range truths(t) {
		rows, tokens := follow(t, text, want.Prefix, 12)
		if len(tokens) == 0 {
			t.Fatalf("no continuation behind %v", want.Prefix)
		}
		tokensSeen += len(tokens)
		path := tokens[:len(tokens)-1]
		forced := ask(t, text, want.Prefix, path...)
		streamed = max(streamed, furthest(rows, forced))
		for i := range forced {
			one := ask(t, text, slices.Concat(want.Prefix, path[:i]))
			alone = max(alone, apart(one[0], forced[i]))
		}
	}
	t.Logf("%d rows: ε grammar to one by one %.2g, grammar to stream %.2g nats", tokensSeen, alone, streamed)
	if max(alone, streamed) > epsilon {
		t.Error("ways to a row differ by more than shapes of computation do")
	}
}

// TestRealTextsAtOnce has more texts than slots: rows are computed together with other
// texts', and prefixes again and again.
func TestRealTextsAtOnce(t *testing.T) {
	s := realServer(t, 20)
	all := truths(t)
	worst := make([]float64, 8)
	var running sync.WaitGroup
	for n := range worst {
		running.Go(func() {
			text := s.Begin(fmt.Sprint("tenant", n%2))
			defer text.Close()
			for i := range all {
				want := all[(i*7+n*11)%len(all)]
				rows, err := text.Rows(t.Context(), want.Prefix, []eft.Token{36, 37})
				if err != nil {
					t.Error(err)
					return
				}
				worst[n] = max(worst[n], apart(eft.Row{IDs: want.IDs, LogProbs: want.LogProbs, Best: 20}, rows[0]))
			}
		})
	}
	running.Wait()
	t.Logf("8 texts at once: ε to PyTorch %.2g nats", slices.Max(worst))
	if slices.Max(worst) > epsilon {
		t.Error("rows differ by who else asks")
	}
	if err := s.(*server).pool.check(); err != nil {
		t.Error(err)
	}
}

func TestRealEveryIDCanBeInAPath(t *testing.T) {
	s := realServer(t, 20)
	text, other := s.Begin(""), s.Begin("")
	defer text.Close()
	defer other.Close()
	prefix := truths(t)[9].Prefix
	worst := 0.0
	for id := eft.Token(0); int(id) < s.Caps().VocabSize; id++ {
		path := []eft.Token{68, id, 69, id}
		rows := ask(t, text, prefix, path...)
		for i := range rows {
			one := ask(t, other, slices.Concat(prefix, path[:i]))
			worst = max(worst, apart(one[0], rows[i]))
		}
	}
	refused := len(s.(*server).forcing.refused)
	t.Logf("1,024 ids twice in a path of 4: ε %.2g nats, %d ids that only the server knew to be unforceable", worst, refused)
	if worst > epsilon || refused != 0 {
		t.Error("some id in a path gave another row than behind a prefix")
	}
}

// TestRealTokens compares with what the family's tokenizer.json gives by the official
// library; testdata/tokens.py wrote them.
func TestRealTokens(t *testing.T) {
	s := realServer(t, 5)
	data, err := os.ReadFile("testdata/tokens.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Text string      `json:"text"`
		IDs  []eft.Token `json:"ids"`
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for _, want := range all {
		ids, err := s.Tokenize(t.Context(), want.Text)
		if err != nil || !slices.Equal(ids, want.IDs) {
			t.Errorf("%q: %v, %v, want %v", want.Text, ids, err, want.IDs)
		}
		text, err := s.Detokenize(t.Context(), want.IDs)
		if err != nil || text != want.Text {
			t.Errorf("%v: %q, %v, want %q", want.IDs, text, err, want.Text)
		}
	}
	t.Logf("%d strings", len(all))
}

// TestRealGatewaysAtOneServer has several clients that know nothing of each other, with
// more texts than slots, which leave streams in the middle: a server that is told which
// slot to take spoils what is going on there.
func TestRealGatewaysAtOneServer(t *testing.T) {
	url := realURL(t)
	single := realAt(t, url, 20)
	var running sync.WaitGroup
	type streamed struct {
		prefix []eft.Token
		row    eft.Row
	}
	seen := make([][]streamed, 6)
	for n := range seen {
		gateway := realAt(t, url, 20)
		running.Go(func() {
			all := truths(t)
			for i := range all {
				text := gateway.Begin("")
				prefix := all[(i*5+n*7)%len(all)].Prefix
				stream, err := text.Continue(t.Context(), prefix, 16)
				for j := 0; err == nil && j < 3+(i+n)%12; j++ {
					var row eft.Row
					var id eft.Token
					if row, id, err = stream.Next(); err == nil {
						seen[n] = append(seen[n], streamed{prefix, row})
						prefix = append(slices.Clone(prefix), id)
					}
				}
				if err != nil && err != io.EOF {
					t.Error(err)
				}
				text.Close()
			}
		})
	}
	running.Wait()
	alone, worst, rows := single.Begin(""), 0.0, 0
	defer alone.Close()
	for _, some := range seen {
		for _, s := range some {
			worst, rows = max(worst, apart(s.row, ask(t, alone, s.prefix)[0])), rows+1
		}
	}
	t.Logf("%d rows of %d gateways at once: ε to one alone %.2g nats", rows, len(seen), worst)
	if worst > epsilon || rows == 0 {
		t.Error("rows differ by who else asks")
	}
}
