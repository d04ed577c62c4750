package vllm

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/graft-gateway/graft/eft"
)

const (
	engineVocabulary = 50
	engineLimit      = 20 // --max-logprobs
	engineNames      = 128
	engineStep       = 2 * time.Millisecond
)

// engine computes as vLLM does: what is under way at a step is one batch. Its sampler is
// that of one of vLLM's model runners. Invariant: a sequence is in running until its
// last token is told.
type engine struct {
	v1    bool // names spoil the rest of the batch
	holds bool // streams are sent when they are done, as by a proxy in front
	// streams, if not nil, answers streams.
	streams func(http.ResponseWriter)
	wake    chan struct{}

	mu      sync.Mutex // guards what follows
	running []*sequence
	spoilt  int // rows
}

type sequence struct {
	prefix []eft.Token
	in     request
	left   int
	out    chan string // an entry's tokens and log-probs
}

func (e *engine) start(t *testing.T) (url string) {
	t.Helper()
	e.wake = make(chan struct{}, 1)
	over := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		e.loop(over)
	}()
	server := httptest.NewServer(e)
	t.Cleanup(func() {
		server.Close()
		close(over)
		<-stopped
	})
	return server.URL
}

// loop steps while there is something to compute.
func (e *engine) loop(over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case <-e.wake:
		}
		for ticker := time.NewTicker(engineStep); ; {
			<-ticker.C
			if !e.step() {
				ticker.Stop()
				break
			}
		}
	}
}

// step computes a token of everything that runs, as one batch.
func (e *engine) step() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	widest := 0
	for _, s := range e.running {
		widest = max(widest, len(s.in.Names))
	}
	for _, s := range e.running {
		row := engineRow(s.prefix)
		sampled := row[0]
		columns := []eft.Scored{sampled}
		switch {
		case s.in.Names != nil:
			for _, id := range s.in.Names {
				columns = append(columns, row[slices.IndexFunc(row, func(s eft.Scored) bool { return s.ID == id })])
			}
		case e.v1 && widest > 0:
			e.spoilt++
			for range min(widest, s.in.Logprobs) {
				columns = append(columns, eft.Scored{LogProb: float32(math.Inf(-1))})
			}
		default:
			columns = append(columns, row[:s.in.Logprobs]...)
		}
		s.prefix, s.left = append(s.prefix, sampled.ID), s.left-1
		s.out <- enginePosition(columns, s.left == 0)
	}
	e.running = slices.DeleteFunc(e.running, func(s *sequence) bool { return s.left == 0 })
	return len(e.running) > 0
}

// enginePosition writes a choice's log-probs of a token; of an id that comes twice the
// last value counts, as in a Python dict.
func enginePosition(columns []eft.Scored, last bool) string {
	var order []eft.Token
	values := map[eft.Token]float32{}
	for _, c := range columns {
		if _, ok := values[c.ID]; !ok {
			order = append(order, c.ID)
		}
		values[c.ID] = c.LogProb
	}
	var top []string
	for _, id := range order {
		top = append(top, fmt.Sprintf(`"token_id:%d":%v`, id, max(float64(values[id]), -9999)))
	}
	finish := "null"
	if last {
		finish = `"length"`
	}
	return fmt.Sprintf(`{"tokens":["token_id:%d"],"top_logprobs":[{%s}]},"finish_reason":%s}`, columns[0].ID, strings.Join(top, ","), finish)
}

// engineRow is the whole row behind a prefix, best first.
func engineRow(prefix []eft.Token) []eft.Scored {
	h := fnv.New64a()
	fmt.Fprint(h, prefix)
	random := rand.New(rand.NewPCG(h.Sum64(), 1))
	logits, sum := make([]float64, engineVocabulary), 0.0
	for i := range logits {
		logits[i] = 3 * random.NormFloat64()
		sum += math.Exp(logits[i])
	}
	row := make([]eft.Scored, len(logits))
	for i, l := range logits {
		row[i] = eft.Scored{ID: eft.Token(i), LogProb: float32(l - math.Log(sum))}
	}
	return sortedBest(row)
}

func sortedBest(row []eft.Scored) []eft.Scored {
	canonical := eft.Canonical(row, len(row))
	out := make([]eft.Scored, len(canonical.IDs))
	for i := range out {
		out[i] = eft.Scored{ID: canonical.IDs[i], LogProb: canonical.LogProbs[i]}
	}
	return out
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case modelsPath:
		_, _ = io.WriteString(w, strings.Replace(fmt.Sprintf(oneModel, 5), "64", "2048", 1))
	case "/version":
		_, _ = io.WriteString(w, `{"version":"0.32.0"}`)
	case completions:
		e.complete(w, r)
	default:
		http.NotFound(w, r)
	}
}

// spoiltRows is how many there were so far.
func (e *engine) spoiltRows() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.spoilt
}

func (e *engine) complete(w http.ResponseWriter, r *http.Request) {
	var in request
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if refused := engineRefusal(in); refused != "" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":{"message":%q,"code":400}}`, refused)
		return
	}
	if in.Stream && e.streams != nil {
		e.streams(w)
		return
	}
	sequences := make([]*sequence, len(in.Prompt))
	for i, prompt := range in.Prompt {
		sequences[i] = &sequence{prefix: slices.Clone(prompt), in: in, left: in.MaxTokens, out: make(chan string, in.MaxTokens)}
	}
	e.mu.Lock()
	e.running = append(e.running, sequences...)
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
	if in.Stream {
		e.stream(w, sequences[0])
		return
	}
	choices := make([]string, len(sequences))
	for i, s := range sequences {
		choices[i] = s.choice(i)
	}
	_, _ = io.WriteString(w, whole(choices...))
}

func engineRefusal(in request) string {
	switch {
	case in.Logprobs < 0:
		return fmt.Sprintf("Requested sample logprobs of %d, which is greater than max allowed: %d", engineVocabulary, engineLimit)
	case in.Logprobs > engineLimit:
		return fmt.Sprintf("Requested sample logprobs of %d, which is greater than max allowed: %d", in.Logprobs, engineLimit)
	case len(in.Names) > engineNames:
		return fmt.Sprintf("Requested logprob_token_ids of length %d, which is greater than max allowed: %d", len(in.Names), engineNames)
	case in.Salt != nil && *in.Salt == "":
		return "Parameter 'cache_salt' must be a non-empty string if provided."
	}
	return ""
}

// choice waits for a whole answer to a prompt.
func (s *sequence) choice(index int) string {
	var tokens, tops []string
	for range s.in.MaxTokens {
		var position struct {
			Tokens []json.RawMessage `json:"tokens"`
			Top    []json.RawMessage `json:"top_logprobs"`
		}
		text, _, _ := strings.Cut(<-s.out, `,"finish_reason"`)
		if json.Unmarshal([]byte(text), &position) == nil {
			tokens, tops = append(tokens, string(position.Tokens[0])), append(tops, string(position.Top[0]))
		}
	}
	return fmt.Sprintf(`{"index":%d,"logprobs":{"tokens":[%s],"top_logprobs":[%s]},"finish_reason":"length"}`, index, strings.Join(tokens, ","), strings.Join(tops, ","))
}

func (e *engine) stream(w http.ResponseWriter, s *sequence) {
	w.Header().Set("Content-Type", "text/event-stream")
	var held strings.Builder
	for range s.in.MaxTokens {
		held.WriteString(event(`{"choices":[{"index":0,"logprobs":` + <-s.out + `]}`))
		if !e.holds {
			_, _ = io.WriteString(w, held.String())
			w.(http.Flusher).Flush()
			held.Reset()
		}
	}
	_, _ = io.WriteString(w, held.String()+done)
}
