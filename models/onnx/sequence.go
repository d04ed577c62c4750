package onnx

// Invariants:
//   - length tokens are in the cache; what lies behind them there is rubbish.
//   - A failed Extend leaves length as it was. A dense cache that went ahead in the
//     meantime is cut back before anything else happens.

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/graft-gateway/graft/eft"
)

// ContextError says that a sequence would get longer than its session allows.
type ContextError struct {
	Tokens  int // how long it would get
	Context int // how long it may get
}

func (e *ContextError) Error() string {
	return fmt.Sprintf("onnx: %d tokens do not fit into a context of %d", e.Tokens, e.Context)
}

// TokenError says that a token is not in a model's vocabulary.
type TokenError struct {
	Token      eft.Token
	Vocabulary int
}

func (e *TokenError) Error() string {
	return fmt.Sprintf("onnx: token %d is not in a vocabulary of %d", e.Token, e.Vocabulary)
}

// Sequence is a text that a session has read so far. Calls on one sequence
// take turns; different sequences of a session may be used at the same time.
type Sequence struct {
	session *Session

	mu       sync.Mutex // guards all below, and is held while a job is out
	length   int
	seat     *seat // nil before the first token
	job      job
	work     extension
	transfer *transfer // nil before the first Export or Import
	rows     []eft.Row
	scores   []float32
	closed   bool
}

// extension is what an Extend under way has to do and has done.
type extension struct {
	tokens []eft.Token
	last   int // rows wanted from the end
	done   int // tokens computed
}

// Len is the number of tokens.
func (q *Sequence) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.length
}

// Extend appends tokens and returns the dense rows of the last of them: row i
// scores the token after the one it belongs to. A prompt needs one row; a path
// needs as many as it has tokens. The rows are valid until the next call.
//
// After an error the sequence is as it was. When ctx ends, the run under way
// is stopped and the error is ctx's.
func (q *Sequence) Extend(ctx context.Context, tokens []eft.Token, last int) ([]eft.Row, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.session
	if q.closed {
		return nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if last < 0 || last > len(tokens) {
		return nil, fmt.Errorf("onnx: %d rows of %d tokens", last, len(tokens))
	}
	if n := q.length + len(tokens); n > s.Context() {
		return nil, &ContextError{Tokens: n, Context: s.Context()}
	}
	for _, id := range tokens {
		if id < 0 || int(id) >= s.layout.vocab {
			return nil, &TokenError{Token: id, Vocabulary: s.layout.vocab}
		}
	}
	if len(tokens) == 0 {
		return nil, nil
	}
	q.room(last)
	q.job.ctx, q.work = ctx, extension{tokens: tokens, last: last}
	q.job.step = len(tokens) == 1 && q.length > 0
	err := s.loop.do(&q.job)
	q.job.ctx, q.work = nil, extension{}
	if err != nil {
		return nil, err
	}
	q.length += len(tokens)
	return q.rows, nil
}

// room makes rows for n positions, over memory that is used again.
func (q *Sequence) room(n int) {
	vocab := q.session.layout.vocab
	if cap(q.scores) < n*vocab {
		q.scores = make([]float32, n*vocab)
	}
	if cap(q.rows) < n {
		q.rows = make([]eft.Row, n)
	}
	q.rows = q.rows[:n]
	for i := range q.rows {
		q.rows[i] = eft.Row{Scores: q.scores[:cap(q.scores)][i*vocab : (i+1)*vocab : (i+1)*vocab]}
	}
}

// advance computes the next chunk of the extension, of about limit tokens at most, and
// returns how many it took; more says that others are left. Only whoever leads the loop
// may call it.
func (q *Sequence) advance(limit int) (tokens int, more bool, err error) {
	s, w := q.session, &q.work
	past := q.length + w.done
	begin := len(w.tokens) - w.last // the first token whose row is wanted
	end := w.done + s.layout.chunk(past, w.done, begin, chunkOf(len(w.tokens)-w.done, limit))
	chunk := w.tokens[w.done:end]
	first := max(w.done, begin)
	wanted := max(0, end-first)
	ids, dummies := chunk, 0
	if s.options.ExactShapes && len(chunk) == 1 && !s.layout.alone && !s.layout.stepwise {
		// A row is never alone: the token comes with a copy of itself, whose own
		// row and place in the cache are rubbish.
		s.twice = [2]eft.Token{chunk[0], chunk[0]}
		ids, dummies = s.twice[:], 1
	}
	if err := q.reach(past, past+len(ids)); err != nil {
		return 0, false, fmt.Errorf("onnx: cache of %d tokens: %w", past+len(ids), err)
	}
	f, given, err := s.run(q.seat, past, ids, wanted+dummies)
	if err != nil {
		return 0, false, fmt.Errorf("onnx: run %d tokens after %d: %w", len(ids), past, err)
	}
	q.seat.used = past + len(ids)
	if err := errors.Join(f.fetch(given-dummies-wanted, wanted), f.arrive()); err != nil {
		return 0, false, fmt.Errorf("onnx: fetch %d rows: %w", wanted, err)
	}
	for i := range wanted {
		f.read(q.rows[first-begin+i].Scores, given-dummies-wanted+i)
	}
	w.done = end
	return len(chunk), end < len(w.tokens), nil
}

// chunkOf is how many of the tokens left the next run takes, limit or one more. It never
// leaves a single one behind: kernels sum a product of one row in another order, and the
// rows of a prompt should not depend on where it was cut.
func chunkOf(left, limit int) int {
	if left <= limit+1 {
		return left
	}
	return limit
}

// reach makes the cache hold exactly the past and have room for need tokens. Only
// whoever leads the loop may call it.
func (q *Sequence) reach(past, need int) error {
	s := q.session
	switch {
	case q.seat == nil:
		seat, err := s.lease(need)
		if err != nil {
			return err
		}
		q.seat = seat
	case q.seat.cache.capacity < need:
		seat, err := s.lease(need)
		if err != nil {
			return err
		}
		if err := s.move(seat.cache, seat.cache.current, seat.row, q.seat.cache, q.seat.row, q.seat.used, past); err != nil {
			s.pool.giveBack(seat)
			return err
		}
		s.pool.giveBack(q.seat)
		q.seat = seat
	case s.manner == dense && q.seat.used != past:
		c := q.seat.cache
		if err := s.move(c, c.next(), 0, c, 0, q.seat.used, past); err != nil {
			return err
		}
		c.current = c.next()
	}
	q.seat.used = past
	return nil
}

// Truncate drops the tokens behind the first n. It costs nothing until the next
// Extend.
func (q *Sequence) Truncate(n int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	if n < 0 || n > q.length {
		return fmt.Errorf("onnx: truncate %d tokens to %d", q.length, n)
	}
	q.length = n
	return nil
}

// Close gives the cache back to the session, after an Extend under way has
// ended. It is idempotent.
func (q *Sequence) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	q.closed = true
	if q.seat != nil {
		q.session.pool.giveBack(q.seat)
		q.seat = nil
	}
	q.rows, q.scores = nil, nil
	return nil
}
