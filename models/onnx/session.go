package onnx

// Invariants:
//   - Whoever leads the loop alone runs the graph and touches the frames.
//   - Close ends the loop before anything native is released, in the order
//     caches, frames, run options, session.
//   - manner and together are settled when the session is open.

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/graft-gateway/graft/eft"
)

// ErrClosed says that the session or the sequence is closed.
var ErrClosed = errors.New("onnx: closed")

// Options say how to run a model.
type Options struct {
	Provider Provider    // empty: Auto
	Device   int         // which GPU
	Threads  int         // threads of one run on CPU; 0: 1 for a small model, else half the processors
	Context  int         // the most tokens that a sequence can have; must be set
	Trial    []eft.Token // what a new session is tried on; empty, or none of the graph's ids: the first few ids
	Chunk    int         // how many tokens of a prompt one run takes; 0: defaultChunk, less where rows are wide

	// ExactShapes makes rows on CPU independent of how tokens were grouped into
	// calls, to the last bit, by never running a product of a single row (see
	// Epsilon). A step of one token then costs as much as one of two: 7 to 22 %
	// more after 40 tokens of text and 40 % after 1,000 (BenchmarkStep). Paths of
	// two or more tokens cost nothing more. Graphs that compute in half precision or
	// with dynamic quantisation, and others that turn out to when they are tried at
	// opening, round by what else is in the run: there every token gets a run of its
	// own, prompts included.
	ExactShapes bool

	// For tests.
	pretend   bool   // treat the host's memory as a GPU's
	optimized string // file that the graph is written to as it is run; empty: none
	profile   string // how the files begin that tell of each operator's runs; empty: none
}

// defaultChunk is Options.Chunk where rows are not too wide for it.
const defaultChunk = 256

// smallModel is the size in bytes up to which one thread is as fast as two: a
// step is then over before a second thread has woken up. Above it half of the
// processors work, for the two models of a pair run side by side.
const smallModel = 64 << 20

// defaultThreads is Options.Threads for a model of this many bytes.
func defaultThreads(size int64, processors int) int {
	if size <= smallModel {
		return 1
	}
	return max(1, processors/2)
}

// widestLogits bounds the memory that the rows of one run take.
const widestLogits = 64 << 20

// Session is a loaded graph. Its methods may be called from many goroutines.
type Session struct {
	env       *Environment
	options   Options
	graph     *graph
	native    *native
	file      *file // what the model's file says; nil once the session is open
	layout    *layout
	facts     Facts
	names     []name          // of every slot's past and present
	named     map[string]name // all names that are bound
	frame     *frame          // of runs of one row
	wide      *frame          // of runs of several, and of those with holes; nil before the first
	manner    manner          // how caches are laid out
	together  bool            // steps of several texts may share a run
	one       [1]int          // the past of a run of one row
	seat      [1]*seat        // and whose it is
	twice     [2]eft.Token    // the tokens of an exact step
	warm      bool            // a run has succeeded
	signature string          // LayoutFingerprint
	pool      pool
	loop      *loop
	tally     tally

	closing  sync.Once
	closeErr error
}

// OpenSession loads a model and tries it on a few tokens. The session belongs to
// the caller, who closes it before the environment.
func OpenSession(env *Environment, src Source, o Options) (*Session, error) {
	if err := src.check(); err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("onnx: %s: %w", src, err)
	}
	f, err := readFile(src)
	if err != nil {
		return nil, fmt.Errorf("onnx: %s: %w", src, err)
	}
	if err := f.dismiss(src.String()); err != nil {
		return nil, err
	}
	if why := f.unfit(); why != "" {
		return nil, &RefusedError{Model: src.String(), Why: why}
	}
	size, err := src.measure(f)
	if err != nil {
		return nil, fmt.Errorf("onnx: %s: %w", src, err)
	}
	if o.Threads == 0 {
		o.Threads = defaultThreads(size, runtime.NumCPU())
	}
	g, err := openGraph(env, src, o, f)
	if err != nil {
		return nil, fmt.Errorf("onnx: load %s: %w", src, f.explainLoading(err, env.version))
	}
	s := &Session{env: env, options: o, graph: g, native: g.native, file: f, named: make(map[string]name)}
	s.pool = newPool(&env.stats)
	if err := s.prepare(src); err != nil {
		return nil, errors.Join(err, s.release())
	}
	s.loop = startLoop(s)
	s.loop.pace.fixed = s.roundsByShape()
	if err := s.probe(src); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.probeTogether(context.Background())
	if err := s.sign(context.Background(), src); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.facts, s.file = s.learn(), nil
	return s, nil
}

// complete puts in the defaults and checks the rest.
func (o *Options) complete() error {
	if o.Provider == "" {
		o.Provider = Auto
	}
	if o.Chunk == 0 {
		o.Chunk = defaultChunk
	}
	if o.Context <= 0 {
		return fmt.Errorf("Options.Context is %d: say how many tokens a sequence can have", o.Context)
	}
	if o.Threads < 0 || o.Chunk < 0 || o.Device < 0 {
		return fmt.Errorf("Options has a negative number: %+v", *o)
	}
	return nil
}

// prepare reads the layout and makes the scratch memory.
func (s *Session) prepare(src Source) error {
	inputs, err := s.native.ports(false)
	if err != nil {
		return fmt.Errorf("onnx: read the inputs of %s: %w", src, err)
	}
	outputs, err := s.native.ports(true)
	if err != nil {
		return fmt.Errorf("onnx: read the outputs of %s: %w", src, err)
	}
	if s.layout, err = understand(src.String(), inputs, outputs, s.file); err != nil {
		return err
	}
	// A run that gives its last row only cannot take a token twice.
	s.layout.alone = s.options.ExactShapes && (s.layout.last || s.Provider() == CPU && (s.file.halfArithmetic() || s.file.roundsByRun()))
	if s.layout.strategy == Shared {
		s.manner = inPlace
	}
	for _, slot := range s.layout.slots {
		past, present := s.nameOf(slot.past), s.nameOf(slot.present)
		s.names = append(s.names, past, present)
		s.native.caches[past], s.native.caches[present] = true, true
	}
	if at := s.file.ropeSwitch(); at > 0 {
		s.options.Context = min(s.options.Context, at)
	}
	row := s.layout.vocab * s.layout.logits.Type.Size()
	s.options.Chunk = min(s.options.Chunk, s.options.Context, max(1, widestLogits/row))
	// chunkOf and ExactShapes may add one token to a run.
	if s.frame, err = s.newFrame(1, s.options.Chunk+1, true); err != nil {
		return fmt.Errorf("onnx: %s: there is no memory for runs in a context of %d tokens: say a shorter one as context: TOKENS in the configuration: %w", src, s.options.Context, err)
	}
	return nil
}

// nameOf keeps a name as a C string until the session is released.
func (s *Session) nameOf(text string) name {
	n, ok := s.named[text]
	if !ok {
		n = newName(text)
		s.named[text] = n
	}
	return n
}

// Provider is what computes the session.
func (s *Session) Provider() Provider { return s.graph.provider }

// ProviderNote says why Auto did not take CUDA; empty if it did or was not asked.
func (s *Session) ProviderNote() string { return s.graph.note }

// Strategy is how the graph keeps keys and values.
func (s *Session) Strategy() Strategy { return s.layout.strategy }

// Vocabulary is the number of scores in a row.
func (s *Session) Vocabulary() int { return s.layout.vocab }

// Context is the most tokens that a sequence can have: Options.Context, less the
// room for the second row of an exact step.
func (s *Session) Context() int {
	if s.options.ExactShapes {
		return s.options.Context - 1
	}
	return s.options.Context
}

// onDevice says whether keys, values and scores are in a GPU's memory.
func (s *Session) onDevice() bool { return s.native.device != noDevice }

// Open begins an empty sequence. It belongs to the caller, who closes it.
func (s *Session) Open(ctx context.Context) (*Sequence, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.loop.isClosed() {
		return nil, ErrClosed
	}
	q := &Sequence{session: s}
	q.job = newJob(nil)
	q.job.sequence = q
	return q, nil
}

// Close waits for the run that is under way, refuses what waits with ErrClosed,
// and releases everything, the caches of sequences that are still open too. It
// is idempotent.
func (s *Session) Close() error {
	s.closing.Do(func() {
		s.loop.close()
		s.closeErr = s.release()
	})
	return s.closeErr
}

// Check verifies the session's books between two runs, or when it is closed; an error is
// a defect of this package.
func (s *Session) Check() error {
	j := newJob(func() (more bool, err error) { return false, s.pool.check() })
	j.ctx = context.Background()
	if err := s.loop.do(&j); !errors.Is(err, ErrClosed) {
		return err
	}
	return s.pool.check()
}

// release frees everything native.
func (s *Session) release() error {
	s.pool.close()
	for _, f := range []*frame{s.frame, s.wide} {
		if f != nil {
			f.free()
		}
	}
	err := s.graph.close()
	for _, n := range s.named {
		freeName(n)
	}
	clear(s.named)
	return err
}

// manner is how a session lays out its caches and runs on them.
type manner int

const (
	dense    manner = iota // past and present are two regions that change roles
	inPlace                // past and present are one region
	gathered               // past is gathered for every run, and what is new put back
)

// run computes tokens of one row after past, and returns how many rows of logits the
// graph gave and where they are. Only whoever leads the loop may call it.
func (s *Session) run(seat *seat, past int, tokens []eft.Token, rows int) (f *frame, given int, err error) {
	s.one[0] = past
	if s.manner != gathered {
		given, err = s.runRows(s.frame, seat.cache, seat.row, s.one[:], tokens, rows)
		return s.frame, given, err
	}
	held := past
	f = s.frame
	if len(tokens) == 1 && past > 0 {
		// As it is in a run with others.
		held = roundUp(past)
		if f, err = s.frameOf(1, held); err != nil {
			return nil, 0, err
		}
	}
	s.seat[0] = seat
	given, err = s.runGathered(f, s.seat[:], s.one[:], held, tokens, rows)
	s.seat[0] = nil
	return f, given, err
}

// runRows computes len(past) rows at once, on the rows of a cache from first on.
func (s *Session) runRows(f *frame, c *cache, first int, past []int, tokens []eft.Token, rows int) (given int, err error) {
	given = f.set(past, slices.Max(past), tokens, rows)
	var b binding
	if c.spaced {
		b, err = c.bind(s, span{first, len(past)})
	} else {
		b, err = c.bindDense(s, past[0], past[0]+len(tokens))
	}
	if err != nil {
		return 0, err
	}
	if err := b.bind(f.tensors); err != nil {
		return 0, err
	}
	if err := s.start(b); err != nil {
		return 0, err
	}
	c.current = c.next()
	return given, nil
}

// start runs what is bound.
func (s *Session) start(b binding) (err error) {
	if s.onDevice() && !s.warm {
		// CUDA loads much of itself in the first run, handlers included.
		err = keepSignals(func() error { return b.run() })
	} else {
		err = b.run()
	}
	s.warm = s.warm || err == nil
	return err
}
