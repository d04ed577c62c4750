package proxy

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// world is an address with a server behind it, which can be restarted with another
// model at any time, and a pool of connections to it.
type world struct {
	dials atomic.Uint64
	calls atomic.Int64 // requests of any kind
	asked atomic.Int64 // rows that were made, in streams or not
	texts atomic.Int64 // open ones
	open  atomic.Int64 // continuations

	closing bool                 // the server closes its connections behind each answer
	latency func() time.Duration // of half a request; nil for none
	caps    Caps
	words   *spelling // the server's own vocabulary
	hooks   hooks

	mu      sync.Mutex
	process *process
	idle    []*link
}

// hooks change what the server does, by the kind of request; all may be nil.
type hooks struct {
	recognise func() error
	before    func(op string)              // each request, once it has a connection
	after     func(op string)              // each request, once it is answered
	rows      func([]eft.Row) []eft.Row    // what Rows answers
	next      func(row int) error          // of a stream
	identify  func(string) (string, error) // what Identify answers
	proceed   func() error                 // Continue
	gather    func([]Ask) error            // Gather
}

// process is one start of the server.
type process struct {
	identity string
	stopped  chan struct{}
}

// link is a connection.
type link struct {
	to     *process
	number uint64
}

func newWorld(identity string) *world {
	w := &world{caps: Caps{Dialect: "fake", TopLogprobs: 5, Stream: true, Names: 8}, words: alphabet()}
	w.restart(identity)
	return w
}

func (w *world) Dials() uint64 { return w.dials.Load() }

func (w *world) Alive(n uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.idle, func(l *link) bool { return l.number <= n })
}

// down ends the process and its connections; nobody answers until restart.
func (w *world) down() {
	w.restart("")
}

// restart ends the process, and its connections, and starts another.
func (w *world) restart(identity string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.process != nil {
		close(w.process.stopped)
	}
	w.process = &process{identity, make(chan struct{})}
	w.idle = nil
}

// connect takes an idle connection or opens one.
func (w *world) connect() *link {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.idle); n > 0 {
		l := w.idle[n-1]
		w.idle = w.idle[:n-1]
		return l
	}
	if w.process.identity != "" {
		w.dials.Add(1)
	}
	return &link{w.process, w.dials.Load()}
}

func (w *world) release(l *link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closing && l.to == w.process {
		w.idle = append(w.idle, l)
	}
}

func (w *world) travel(ctx context.Context) error {
	if w.latency == nil {
		return ctx.Err()
	}
	select {
	case <-time.After(w.latency()):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// request is one request over one connection, which is tried again if the process ends
// before it answers.
func (w *world) request(ctx context.Context, op string, answer func(identity string)) error {
	for range 3 {
		l := w.connect()
		if l.to.identity == "" {
			break
		}
		w.calls.Add(1)
		if w.hooks.before != nil {
			w.hooks.before(op)
		}
		if err := w.travel(ctx); err != nil {
			return err
		}
		select {
		case <-l.to.stopped:
			continue
		default:
		}
		answer(l.to.identity)
		err := w.travel(ctx) // an answer on its way arrives though the process ends
		if w.hooks.after != nil {
			w.hooks.after(op)
		}
		w.release(l)
		return err
	}
	return &Error{Fault: Unreachable, Base: "b", Op: op}
}

const worldSize = 40

var worldSeed = maphash.MakeSeed()

// truth is the row of a model behind a prefix, dense over all ids and padding, as
// log-probs.
func truth(identity string, prefix []eft.Token) []float32 {
	var h maphash.Hash
	h.SetSeed(worldSeed)
	h.WriteString(identity)
	for _, id := range prefix {
		h.WriteByte(byte(id))
	}
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	scores := make([]float32, worldSize)
	for i := range scores {
		scores[i] = float32(r.NormFloat64() * 2)
	}
	norm := float32(eft.LogSumExp(scores))
	for i := range scores {
		scores[i] -= norm
	}
	return scores
}

func (w *world) row(identity string, prefix []eft.Token) eft.Row {
	w.asked.Add(1)
	scores := truth(identity, prefix)
	if w.caps.Dense {
		return eft.Row{Scores: scores}
	}
	var all []eft.Scored
	for id, s := range scores {
		all = append(all, eft.Scored{ID: eft.Token(id), LogProb: s})
	}
	return eft.Canonical(all, w.caps.TopLogprobs)
}

// server is what fakeDialect recognises.
type fakeServer struct {
	world *world
	caps  Caps
}

func (s *fakeServer) Caps() Caps { return s.caps }

func (s *fakeServer) Identify(ctx context.Context) (identity string, err error) {
	err = s.world.request(ctx, "identify", func(now string) { identity = now })
	if err == nil && s.world.hooks.identify != nil {
		return s.world.hooks.identify(identity)
	}
	return identity, err
}

func (s *fakeServer) Begin(string) Text {
	s.world.texts.Add(1)
	return &fakeText{s.world}
}

func (s *fakeServer) Tokenize(ctx context.Context, text string) (ids []eft.Token, err error) {
	if s.world.words == nil || s.world.words.encode == nil {
		return nil, errors.ErrUnsupported
	}
	err = s.world.request(ctx, "tokenize", func(string) { ids = s.world.words.encode(text) })
	return ids, err
}

func (s *fakeServer) Detokenize(ctx context.Context, ids []eft.Token) (text string, err error) {
	if s.world.words == nil || s.world.words.decode == nil {
		return "", errors.ErrUnsupported
	}
	var broken error
	err = s.world.request(ctx, "detokenize", func(string) { text, broken = s.world.words.decode(ids) })
	return text, errors.Join(err, broken)
}

type fakeText struct{ world *world }

func (t *fakeText) Rows(ctx context.Context, prefix, path []eft.Token) (rows []eft.Row, err error) {
	err = t.world.request(ctx, "rows", func(identity string) {
		rows = nil
		for i := range len(path) + 1 {
			rows = append(rows, t.world.row(identity, slices.Concat(prefix, path[:i])))
		}
	})
	if t.world.hooks.rows != nil {
		rows = t.world.hooks.rows(rows)
	}
	return rows, err
}

// Gather is for worlds whose caps say Batch.
func (s *fakeServer) Gather(ctx context.Context, _ string, asks []Ask) (rows [][]eft.Row, err error) {
	w := s.world
	if w.hooks.gather != nil {
		if err := w.hooks.gather(asks); err != nil {
			return nil, err
		}
	}
	err = w.request(ctx, "gather", func(identity string) {
		rows = nil
		for _, a := range asks {
			var own []eft.Row
			for i := range len(a.Path) + 1 {
				own = append(own, w.row(identity, slices.Concat(a.Prefix, a.Path[:i])))
			}
			rows = append(rows, own)
		}
	})
	return rows, err
}

func (s *fakeServer) Size(a Ask) (prompts, ids int) { return 1, len(a.Prefix) + len(a.Path) }

func (t *fakeText) Named(ctx context.Context, prefix, path []eft.Token, names [][]eft.Token) (named [][]eft.Scored, err error) {
	err = t.world.request(ctx, "named", func(identity string) {
		named = make([][]eft.Scored, len(names))
		for i := range names {
			scores := truth(identity, slices.Concat(prefix, path[:i]))
			for _, id := range names[i] {
				named[i] = append(named[i], eft.Scored{ID: id, LogProb: scores[id]})
			}
		}
	})
	return named, err
}

func (t *fakeText) Continue(ctx context.Context, prefix []eft.Token, limit int) (Continuation, error) {
	w := t.world
	if w.hooks.proceed != nil {
		if err := w.hooks.proceed(); err != nil {
			return nil, err
		}
	}
	l := w.connect()
	if l.to.identity == "" {
		return nil, &Error{Fault: Unreachable, Base: "b", Op: "stream"}
	}
	w.calls.Add(1)
	w.open.Add(1)
	return &fakeContinuation{ctx: ctx, world: w, link: l, prefix: slices.Clone(prefix), left: limit}, nil
}

func (t *fakeText) Close() { t.world.texts.Add(-1) }

type fakeContinuation struct {
	ctx    context.Context
	world  *world
	link   *link
	prefix []eft.Token
	left   int
	given  int
	end    bool
}

func (c *fakeContinuation) Next() (eft.Row, eft.Token, error) {
	if err := c.world.travel(c.ctx); err != nil {
		return eft.Row{}, 0, err
	}
	if err := c.ctx.Err(); err != nil {
		return eft.Row{}, 0, err
	}
	if c.world.hooks.next != nil {
		if err := c.world.hooks.next(c.given); err != nil {
			return eft.Row{}, 0, err
		}
	}
	select {
	case <-c.link.to.stopped:
		return eft.Row{}, 0, &Error{Fault: Unreachable, Base: "b", Op: "stream", Message: "the stream was cut"}
	default:
	}
	if c.left == 0 {
		c.end = true
		return eft.Row{}, 0, io.EOF
	}
	row := c.world.row(c.link.to.identity, c.prefix)
	token := own(c.link.to.identity, c.prefix)
	c.prefix = append(c.prefix, token)
	c.left, c.given = c.left-1, c.given+1
	return row, token, nil
}

func (c *fakeContinuation) Close() {
	c.world.open.Add(-1)
	if c.end {
		c.world.release(c.link)
	}
}

// own is the base's own next token.
func own(identity string, prefix []eft.Token) eft.Token {
	scores := truth(identity, prefix)
	return eft.Token(slices.Index(scores, slices.Max(scores)))
}

// fakeDialect recognises a world.
type fakeDialect struct {
	name  string
	world *world
	err   error
}

func (d fakeDialect) Name() string { return d.name }

func (d fakeDialect) Recognise(ctx context.Context, _ *Client, want Want) (Server, error) {
	if d.err != nil {
		return nil, d.err
	}
	s := &fakeServer{world: d.world, caps: d.world.caps}
	err := d.world.request(ctx, "recognise", func(identity string) { s.caps.Identity = identity })
	if d.world.hooks.recognise != nil {
		err = errors.Join(err, d.world.hooks.recognise())
	}
	if want.TopLogprobs > s.caps.TopLogprobs {
		err = errors.Join(err, fmt.Errorf("the server gives %d log-probs, and %d are wanted", s.caps.TopLogprobs, want.TopLogprobs))
	}
	return s, err
}

// base connects to the world with all its ids as the vocabulary.
func (w *world) base(t testing.TB) *Base {
	t.Helper()
	b, err := connect(t.Context(), w.config(), w)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w *world) config() Config {
	ours := alphabet()
	return Config{Name: "b", Dialects: []Dialect{fakeDialect{name: "fake", world: w}}, Names: 4,
		Want: Want{Vocabulary: ours.vocabulary}, Tokenizer: ours}
}

// checkClosed is the invariant of whatever has ended.
func (w *world) checkClosed(t testing.TB) {
	t.Helper()
	if texts, streams := w.texts.Load(), w.open.Load(); texts != 0 || streams != 0 {
		t.Errorf("%d texts and %d streams left open", texts, streams)
	}
}

// checkRows says whether rows are those of the model with that identity.
func (w *world) checkRows(rows []eft.Row, identity string, prefix, path []eft.Token) error {
	if len(rows) != len(path)+1 {
		return fmt.Errorf("%d rows for a path of %d", len(rows), len(path))
	}
	for i, row := range rows {
		want := truth(identity, slices.Concat(prefix, path[:i]))
		for j, id := range row.IDs {
			if row.LogProbs[j] != want[id] {
				return fmt.Errorf("row %d behind %v: id %d has %v, model %s gives %v", i, prefix, id, row.LogProbs[j], identity, want[id])
			}
		}
		if math.Abs(float64(row.LogProbs[0]-slices.Max(want))) > 0 {
			return fmt.Errorf("row %d behind %v lacks the best", i, prefix)
		}
	}
	return nil
}
