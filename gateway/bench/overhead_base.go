package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Instant is a base server that answers at once: what a gateway before it takes is the
// gateway's own. It speaks as the server behind it does, asks it once for each kind of
// request, and from then on repeats what it heard with as many tokens as are wanted, one
// event each, every one the same. A list of prompts gets the same row for each.
//
// Invariant: until Prepared is set everything goes to the server behind, so that what a
// gateway finds out at its start is true of it.
type Instant struct {
	behind   http.Handler
	opening  int
	prepared atomic.Bool
	pace     atomic.Int64 // nanoseconds between tokens

	mu    sync.Mutex // guards what follows
	kinds map[kind]*recorded
	gets  map[string]*heard
	texts map[string]begun // by their opening, since the last call of Prepare
}

// begun is when a text was first asked for, and how many tokens it had then.
type begun struct {
	at     time.Time
	tokens int
}

// kind is what makes answers alike but for their length.
type kind struct {
	path     string
	stream   bool
	logprobs string
	ids      bool
	usage    bool
	list     bool // of prompts
}

// recorded is an answer of two tokens in parts. Of one that does not stream all is tail.
type recorded struct {
	header http.Header
	head   []byte // before the first token
	token  []byte // one token's event, to be repeated
	tail   []byte // the last token, and what follows

	// Of an answer to a list head and tail stand round the choices, and each is choice
	// behind its index.
	choice []byte
}

// NewInstant stands before a server that speaks a base's protocol. Requests whose prompts
// have the first tokens in common, so many as opening says, are of one text; with 0 each
// request is of its own.
func NewInstant(behind http.Handler, opening int) *Instant {
	return &Instant{behind: behind, opening: opening, kinds: map[kind]*recorded{}, gets: map[string]*heard{}, texts: map[string]begun{}}
}

// Prepare says whether answers are prepared ones, and how far a text's tokens are apart:
// 0 is at once. Token i, counted from one, goes out i times as much after its text was
// first asked for, in however many requests it is read: what a gateway's own requests take
// on the way delays the token that they ask for, and not all that follow.
func (b *Instant) Prepare(on bool, pace time.Duration) {
	b.prepared.Store(on)
	b.pace.Store(int64(pace))
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.texts)
}

// since is when the tokens of a request's text count from.
func (b *Instant) since(prompt json.RawMessage, arrived time.Time, pace time.Duration) time.Time {
	opening, tokens := cutOpening(prompt, b.opening)
	if opening == "" || pace == 0 {
		return arrived
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t, known := b.texts[opening]
	if !known {
		t = begun{arrived, tokens}
		b.texts[opening] = t
	}
	return t.at.Add(time.Duration(tokens-t.tokens) * pace)
}

// cutOpening returns the first tokens of one prompt of token ids, as they are written, and
// how many it has in all; the opening of anything else is empty.
func cutOpening(prompt json.RawMessage, opening int) (string, int) {
	ids := bytes.Trim(prompt, "[] ")
	if opening == 0 || bytes.ContainsAny(ids, "[\"") {
		return "", 0
	}
	tokens := bytes.Count(ids, []byte(",")) + 1
	if tokens < opening {
		return "", 0
	}
	end := 0
	for range opening {
		at := bytes.IndexByte(ids[end:], ',')
		if at < 0 {
			return string(ids), tokens
		}
		end += at + 1
	}
	return string(ids[:end-1]), tokens
}

// wanted is what matters of a request's body.
type wanted struct {
	Prompt        json.RawMessage `json:"prompt"`
	MaxTokens     int             `json:"max_tokens"`
	Stream        bool            `json:"stream"`
	Logprobs      json.RawMessage `json:"logprobs"`
	TokenIDs      bool            `json:"return_tokens_as_token_ids"`
	Names         json.RawMessage `json:"logprob_token_ids"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

// ServeHTTP repeats, or asks the server behind.
func (b *Instant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	switch {
	case !b.prepared.Load():
		b.behind.ServeHTTP(w, r)
		return
	case r.Method == http.MethodGet:
		b.get(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var in wanted
	if err := json.Unmarshal(body, &in); err != nil || !repeats(r.URL.Path, in) {
		b.pass(w, r, body)
		return
	}
	prompts := in.prompts()
	k := kind{r.URL.Path, in.Stream, string(in.Logprobs), in.TokenIDs, in.StreamOptions.IncludeUsage, len(prompts) > 1}
	answer, err := b.answer(r, k, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	if k.list {
		answer = answer.repeat(len(prompts))
	}
	pace := time.Duration(b.pace.Load())
	answer.write(w, r, in.MaxTokens, b.since(in.Prompt, arrived, pace), pace)
}

// prompts are those of a list of lists, nil for one prompt.
func (in wanted) prompts() []json.RawMessage {
	var lists []json.RawMessage
	if json.Unmarshal(in.Prompt, &lists) != nil || len(lists) == 0 || !bytes.HasPrefix(bytes.TrimSpace(lists[0]), []byte("[")) {
		return nil
	}
	return lists
}

// repeats says whether a request can be answered by repeating: of one text, whose length
// is known, or of one token behind each of several.
func repeats(path string, in wanted) bool {
	if in.Names != nil || in.MaxTokens < 1 || !in.Stream && in.MaxTokens > 1 {
		return false
	}
	switch path {
	case "/v1/chat/completions":
		return true
	case "/v1/completions":
		return !in.Stream || len(in.prompts()) < 2
	}
	return false
}

func (b *Instant) pass(w http.ResponseWriter, r *http.Request, body []byte) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	b.behind.ServeHTTP(w, r)
}

// get answers what never changes.
func (b *Instant) get(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known, ok := b.gets[r.URL.String()]
	if !ok {
		known = newHeard()
		b.behind.ServeHTTP(known, r)
		b.gets[r.URL.String()] = known
	}
	copyHeader(w.Header(), known.header)
	w.WriteHeader(known.code)
	_, _ = w.Write(known.body.Bytes()) // the client may have left
}

func copyHeader(dst, src http.Header) {
	for name, values := range src {
		if name != "Content-Length" && name != "Date" {
			dst[name] = values
		}
	}
}

// answer is the recorded answer of a kind, asked for if it is the first.
func (b *Instant) answer(r *http.Request, k kind, body []byte) (*recorded, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.kinds[k]; ok {
		return known, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, err
	}
	if k.stream {
		fields["max_tokens"] = json.RawMessage("2")
	}
	if k.list {
		var in wanted
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		fields["prompt"] = slices.Concat(json.RawMessage("["), in.prompts()[0], json.RawMessage("]"))
	}
	fields["ignore_eos"] = json.RawMessage("true")
	asked, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	told := newHeard()
	b.pass(told, r.Clone(r.Context()), asked)
	if told.code != http.StatusOK {
		return nil, fmt.Errorf("the server behind answers %d: %s", told.code, &told.body)
	}
	known := &recorded{header: http.Header{}, tail: told.body.Bytes()}
	copyHeader(known.header, told.header)
	if k.stream {
		err = known.part()
	}
	if k.list {
		err = known.open()
	}
	if err != nil {
		return nil, err
	}
	b.kinds[k] = known
	return known, nil
}

// heard is an answer of the server behind, as it is written.
type heard struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func newHeard() *heard { return &heard{header: http.Header{}, code: http.StatusOK} }

func (h *heard) Header() http.Header                  { return h.header }
func (h *heard) WriteHeader(code int)                 { h.code = code }
func (h *heard) Write(data []byte) (n int, err error) { return h.body.Write(data) }

// Flush has nothing to do; streams want it.
func (h *heard) Flush() {}

// open cuts the answer to a list of one prompt where more choices go.
func (a *recorded) open() error {
	var whole map[string]json.RawMessage
	var choices []map[string]json.RawMessage
	err := json.Unmarshal(a.tail, &whole)
	if err == nil {
		err = json.Unmarshal(whole["choices"], &choices)
	}
	if err != nil || len(choices) != 1 {
		return fmt.Errorf("one prompt has %d choices, and one is needed (%v): %q", len(choices), err, a.tail)
	}
	delete(whole, "choices")
	delete(choices[0], "index")
	choice, err := json.Marshal(choices[0])
	if err != nil {
		return err
	}
	rest, err := json.Marshal(whole)
	if err != nil {
		return err
	}
	a.choice = append([]byte(","), choice[1:]...)
	a.head, a.tail = []byte(`{"choices":[`), append([]byte("],"), rest[1:]...)
	if len(choices[0]) == 0 || len(whole) == 0 {
		return fmt.Errorf("an answer has nothing but its choices: %q", a.tail)
	}
	return nil
}

// repeat is the answer to so many prompts.
func (a *recorded) repeat(prompts int) *recorded {
	all := bytes.Clone(a.head)
	for i := range prompts {
		if i > 0 {
			all = append(all, ',')
		}
		all = append(strconv.AppendInt(append(all, `{"index":`...), int64(i), 10), a.choice...)
	}
	return &recorded{header: a.header, tail: append(all, a.tail...)}
}

// part cuts a stream of two tokens.
func (a *recorded) part() error {
	const end = "\n\n"
	all := strings.SplitAfter(string(a.tail), end)
	var at []int // events with a token
	for i, event := range all {
		if hasText([]byte(event)) {
			at = append(at, i)
		}
	}
	if len(at) != 2 {
		return fmt.Errorf("a stream of two tokens has %d events with text, and two are needed: %q", len(at), a.tail)
	}
	a.head = []byte(strings.Join(all[:at[0]], ""))
	a.token = []byte(strings.Join(all[at[0]:at[1]], ""))
	a.tail = []byte(strings.Join(all[at[1]:], ""))
	return nil
}

// write repeats an answer of so many tokens, each flushed by itself.
func (a *recorded) write(w http.ResponseWriter, r *http.Request, tokens int, since time.Time, pace time.Duration) {
	copyHeader(w.Header(), a.header)
	if a.token == nil {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.tail)))
	}
	control := http.NewResponseController(w)
	var due *alarm
	if pace > 0 {
		var err error
		if due, err = newAlarm(r.Context(), since.Add(pace), pace); err != nil {
			panic(http.ErrAbortHandler) // the client sees that tokens are missing
		}
		defer due.close()
	}
	piece := a.head
	for i := 1; i <= tokens; i++ {
		if due != nil && due.wait() != nil {
			return // the client left
		}
		next := a.token
		if i == tokens {
			next = a.tail
		}
		if len(piece) > 0 { // the head goes with the first token
			next, piece = append(bytes.Clone(piece), next...), nil
		}
		if _, err := w.Write(next); err != nil {
			return
		}
		if a.token != nil && control.Flush() != nil {
			return
		}
	}
}
