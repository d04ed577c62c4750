package onnx

// Keys and values of a stretch of tokens leave a cache and enter another one as
// bytes, laid out independently of either:
//
//	slot 0: row 0: token from, from+1, … to−1;  row 1: token from, … ;  …
//	slot 1: …
//
// Slots are in the order of the graph's inputs, rows and tokens as slot tells. There
// is no header: what the bytes mean is LayoutFingerprint's to say, and whether they
// are whole is their keeper's to check.
//
// Invariants:
//   - Bytes move on the loop's goroutine, never beside a run.
//   - A failed Import leaves length as it was, and the tokens before it in the cache.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unsafe"
)

// TokenBytes is the size of one token's keys and values in all layers. It is never 0:
// graphs with states that cannot be cut by tokens are refused when they are loaded.
func (s *Session) TokenBytes() int {
	n := 0
	for i := range s.layout.slots {
		n += s.layout.slots[i].size() * s.layout.kv.Size()
	}
	return n
}

// BlockError says that bytes cannot be the keys and values of so many tokens.
type BlockError struct {
	Tokens int
	Bytes  int
	Want   int // bytes of so many tokens
}

func (e *BlockError) Error() string {
	return fmt.Sprintf("onnx: %d bytes are no keys and values of %d tokens, which take %d: they are cut off, or of another model", e.Bytes, e.Tokens, e.Want)
}

// transfer is what an Export or an Import under way has to do.
type transfer struct {
	job    job
	in     bool
	from   int
	tokens int // of all pieces
	pieces [][]byte
}

// Export appends to dst the keys and values of tokens [from, to): TokenBytes bytes for
// each. Import takes them, of the same stretch whole.
func (q *Sequence) Export(ctx context.Context, from, to int, dst []byte) ([]byte, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return dst, ErrClosed
	}
	if from < 0 || to < from || to > q.length {
		return dst, fmt.Errorf("onnx: export tokens %d to %d of %d", from, to, q.length)
	}
	if from == to {
		return dst, ctx.Err()
	}
	n := (to - from) * q.session.TokenBytes()
	out := slices.Grow(dst, n)[:len(dst)+n]
	if err := q.carry(ctx, false, from, to-from, out[len(dst):]); err != nil {
		return dst, err
	}
	return out, nil
}

// Import makes the sequence longer by tokens whose keys and values src holds: what an
// Export of so many gave, in a session of the same LayoutFingerprint and model, of
// tokens that stood at the same place behind the same text. Rows that follow are then
// the same to the last bit. After an error the sequence is as it was.
func (q *Sequence) Import(ctx context.Context, tokens int, src []byte) error {
	return q.ImportAll(ctx, tokens, src)
}

// ImportAll imports tokens in several pieces of one token or more, one behind the other,
// or none of them. It costs less than as many calls of Import.
func (q *Sequence) ImportAll(ctx context.Context, tokens int, pieces ...[]byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	if tokens < 0 {
		return fmt.Errorf("onnx: import %d tokens", tokens)
	}
	if err := fit(tokens, q.session.TokenBytes(), pieces); err != nil {
		return err
	}
	if n := q.length + tokens; n > q.session.Context() {
		return &ContextError{Tokens: n, Context: q.session.Context()}
	}
	if tokens == 0 {
		return ctx.Err()
	}
	if err := q.carry(ctx, true, q.length, tokens, pieces...); err != nil {
		return err
	}
	q.length += tokens
	return nil
}

// fit fails unless all pieces together hold so many tokens of so many bytes each, and each
// of them one whole token or more.
func fit(tokens, size int, pieces [][]byte) error {
	all := 0
	for _, piece := range pieces {
		all += len(piece)
	}
	if all != tokens*size {
		return &BlockError{Tokens: tokens, Bytes: all, Want: tokens * size}
	}
	for _, piece := range pieces {
		if tokens > 0 && (len(piece) == 0 || len(piece)%size > 0) {
			return fmt.Errorf("onnx: import %d bytes in a piece, where a token takes %d", len(piece), size)
		}
	}
	return nil
}

// carry has the loop move bytes.
func (q *Sequence) carry(ctx context.Context, in bool, from, tokens int, pieces ...[]byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.transfer == nil {
		q.transfer = &transfer{job: newJob(q.move)}
	}
	t := q.transfer
	t.job.ctx, t.in, t.from, t.tokens = ctx, in, from, tokens
	t.pieces = append(t.pieces[:0], pieces...)
	err := q.session.loop.do(&t.job)
	t.job.ctx = nil
	clear(t.pieces)
	return err
}

// move does what the transfer says. It runs on the loop's goroutine.
func (q *Sequence) move() (more bool, err error) {
	t := q.transfer
	if !t.in {
		if err := q.session.readBlock(q.seat, t.from, t.tokens, t.pieces[0]); err != nil {
			return false, fmt.Errorf("onnx: export %d tokens: %w", t.tokens, err)
		}
		return false, nil
	}
	if err := q.widen(t.from, t.tokens); err != nil {
		return false, fmt.Errorf("onnx: import %d tokens: cache of %d tokens: %w", t.tokens, t.from+t.tokens, err)
	}
	at := t.from
	for _, piece := range t.pieces {
		tokens := len(piece) / q.session.TokenBytes()
		if err := q.session.writeBlock(q.seat, at, tokens, piece); err != nil {
			return false, fmt.Errorf("onnx: import %d tokens: %w", t.tokens, err)
		}
		at += tokens
	}
	return false, nil
}

// widen makes room in the cache for more tokens behind the past, and lays a growing
// cache out for all of them.
func (q *Sequence) widen(past, more int) error {
	s := q.session
	if err := q.reach(past, past+more); err != nil {
		return err
	}
	if s.manner == dense {
		c := q.seat.cache
		for i := range s.layout.slots {
			slot := &s.layout.slots[i]
			token := slot.token() * s.layout.kv.Size()
			err := s.native.copyRows(s.onDevice(), c.at(c.next(), i, 0), (past+more)*token, c.at(c.current, i, 0), past*token, past*token, slot.rows())
			if err != nil {
				return err
			}
		}
		c.current = c.next()
	}
	q.seat.used = past + more
	return nil
}

// readBlock copies tokens of a seat to dst.
func (s *Session) readBlock(from *seat, first, tokens int, dst []byte) error {
	return s.eachRow(from, first, tokens, dst, s.native.download)
}

// writeBlock copies src to tokens of a seat.
func (s *Session) writeBlock(to *seat, first, tokens int, src []byte) error {
	return s.eachRow(to, first, tokens, src, func(ours unsafe.Pointer, pitch int, theirs unsafe.Pointer, theirPitch, width, rows int) error {
		return s.native.upload(theirs, theirPitch, ours, pitch, width, rows)
	})
}

// eachRow calls carry for every slot of a block with its place in ours and in the cache.
func (s *Session) eachRow(seat *seat, first, tokens int, ours []byte,
	carry func(ours unsafe.Pointer, pitch int, theirs unsafe.Pointer, theirPitch, width, rows int) error) error {
	if s.onDevice() {
		s.native.stats.caches.Add(int64(len(ours)))
	}
	c, at := seat.cache, 0
	for i := range s.layout.slots {
		slot := &s.layout.slots[i]
		token := slot.token() * s.layout.kv.Size()
		width := tokens * token
		theirs := unsafe.Add(c.at(c.current, i, seat.row), first*token)
		if err := carry(unsafe.Pointer(&ours[at]), width, theirs, c.stride(seat.used)*token, width, slot.rows()); err != nil {
			return errors.Join(err, s.native.settle())
		}
		at += width * slot.rows()
	}
	return s.native.settle()
}
