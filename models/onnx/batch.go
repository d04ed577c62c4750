package onnx

import (
	"errors"
	"fmt"

	"github.com/graft-gateway/graft/eft"
)

// batch is a run of single steps: row i of it is job jobs[k] where places[k] is i, or
// nobody's. It is used again and again by the leader of a loop.
type batch struct {
	jobs   []*job
	places []int
	errs   []error // of each job
	alone  bool    // one job, by the way that sequences run by themselves

	cache  *cache // of which rows [first, first+len(past)) are run; nil: gathered
	first  int
	past   []int // of every row
	tokens []eft.Token
	seats  []*seat // gathered: of every row
	held   int     // gathered: what pasts are laid out for
}

func (b *batch) reset() {
	b.jobs, b.places, b.errs, b.past, b.tokens, b.seats = b.jobs[:0], b.places[:0], b.errs[:0], b.past[:0], b.tokens[:0], b.seats[:0]
	b.alone, b.cache, b.first, b.held = false, nil, 0, 0
}

// add puts a step into the next row.
func (b *batch) add(j *job) {
	q := j.sequence
	j.chosen = true
	b.jobs, b.places, b.errs = append(b.jobs, j), append(b.places, len(b.past)), append(b.errs, nil)
	b.past, b.tokens = append(b.past, q.length), append(b.tokens, q.work.tokens[0])
}

// pad puts a row in between that nobody has asked for. It writes one token behind those
// of its seat.
func (b *batch) pad(seat *seat) {
	n := 0
	if seat != nil {
		n = seat.used
	}
	b.past, b.tokens = append(b.past, n), append(b.tokens, 0)
}

// assemble takes the first step out of the queue, and those that can be run with it.
// Steps whose context has ended, or for which there is no memory, are finished.
func (l *loop) assemble() {
	s, b := l.session, &l.batch
	b.reset()
	ready := l.steps[:0]
	for _, j := range l.steps {
		err := j.ctx.Err()
		if err == nil && s.together {
			err = j.sequence.makeRoom()
		}
		if err != nil {
			l.finish(j, err)
			continue
		}
		ready = append(ready, j)
	}
	clear(l.steps[len(ready):])
	l.steps = ready
	if len(ready) == 0 {
		return
	}
	s.choose(b, ready, l.pace.gap())
	rest := l.steps[:0]
	for _, j := range ready {
		if !j.chosen {
			rest = append(rest, j)
		}
		j.chosen = false
	}
	clear(l.steps[len(rest):])
	l.steps = rest
}

// makeRoom readies the sequence's cache for one more token.
func (q *Sequence) makeRoom() error {
	if err := q.reach(q.length, q.length+1); err != nil {
		return fmt.Errorf("onnx: cache of %d tokens: %w", q.length+1, err)
	}
	return nil
}

// choose puts the first of some steps into a batch, and as many of the others as one run
// can take. Whoever leads may call it.
func (s *Session) choose(b *batch, ready []*job, gap int) {
	switch {
	case !s.together:
		b.alone = true
		b.add(ready[0])
	case s.manner == inPlace:
		s.chooseRows(b, ready, gap)
	default:
		s.chooseGathered(b, ready)
	}
}

// chooseRows takes the steps around the first one's row, in the same cache, as far as no
// two of them are parted by more than gap rows or by one that has no room for a token.
func (s *Session) chooseRows(b *batch, ready []*job, gap int) {
	head := ready[0].sequence.seat
	if err := s.pool.narrow(s, head.cache); err != nil {
		gap = mostGap // the rows stay where they are, far apart
	}
	s.pool.mu.Lock() // seats are given back at any time
	defer s.pool.mu.Unlock()
	c := head.cache
	for _, j := range ready {
		if seat := j.sequence.seat; seat.cache == c {
			c.wanted[seat.row] = j
		}
	}
	first, last := c.edge(head.row, -1, gap), c.edge(head.row, 1, gap)
	b.cache, b.first = c, first
	for row := first; row <= last; row++ {
		if j := c.wanted[row]; j != nil {
			b.add(j)
		} else {
			b.pad(c.seats[row])
		}
	}
	clear(c.wanted)
}

// edge is the last wanted row in a direction from a wanted one.
func (c *cache) edge(row, direction, gap int) int {
	edge := row
	for row += direction; row >= 0 && row < c.batch && (row-edge)*direction <= gap+1; row += direction {
		if c.wanted[row] != nil {
			edge = row
		} else if seat := c.seats[row]; seat != nil && seat.used >= c.capacity {
			break
		}
	}
	return edge
}

// chooseGathered takes steps whose texts are about as long as the first one's: every row
// of a run costs as much as the longest.
func (s *Session) chooseGathered(b *batch, ready []*job) {
	head := ready[0].sequence.length
	for _, j := range ready {
		held := max(b.held, roundUp(j.sequence.length))
		if !alike(j.sequence.length, head) || len(b.jobs) > 0 && (len(b.jobs) == mostRows || (len(b.jobs)+1)*held*s.TokenBytes() > gatherBytes) {
			continue
		}
		b.add(j)
		b.seats, b.held = append(b.seats, j.sequence.seat), held
	}
}

// alike says whether neither of two lengths is more than twice the other. All short ones
// are alike: there a run's other work counts for more.
func alike(a, b int) bool {
	const short = 64
	a, b = max(a, short), max(b, short)
	return a <= 2*b && b <= 2*a
}

// runBatch runs the steps of a batch. Where a run of several fails, each is run by
// itself, so that only those fail that would have failed alone.
func (s *Session) runBatch(b *batch) {
	if b.alone {
		_, _, b.errs[0] = b.jobs[0].sequence.advance(1)
		return
	}
	err := s.runTogether(b)
	if err == nil {
		return
	}
	if len(b.past) == 1 {
		b.errs[0] = fmt.Errorf("onnx: run 1 token after %d: %w", b.past[0], err)
		return
	}
	for k, j := range b.jobs {
		_, _, b.errs[k] = j.sequence.advance(1)
	}
}

// runTogether runs a batch in one run and hands out its rows.
func (s *Session) runTogether(b *batch) error {
	f, err := s.frameOf(len(b.past), b.held)
	if err != nil {
		return err
	}
	if b.cache != nil {
		_, err = s.runRows(f, b.cache, b.first, b.past, b.tokens, 1)
	} else {
		_, err = s.runGathered(f, b.seats, b.past, b.held, b.tokens, 1)
	}
	if err != nil {
		return err
	}
	for k, j := range b.jobs {
		if j.sequence.work.last > 0 {
			err = errors.Join(err, f.fetch(b.places[k], 1))
		}
	}
	if err := errors.Join(err, f.arrive()); err != nil {
		return fmt.Errorf("fetch rows: %w", err)
	}
	for k, j := range b.jobs {
		q, row := j.sequence, b.places[k]
		q.seat.used = b.past[row] + 1
		q.work.done = 1
		if q.work.last > 0 {
			f.read(q.rows[0].Scores, row)
		}
	}
	return nil
}

// frameOf is the scratch memory for a run of so many single steps.
func (s *Session) frameOf(rows, held int) (*frame, error) {
	if rows == 1 && held == 0 {
		return s.frame, nil
	}
	if s.wide != nil && s.wide.batch >= rows {
		return s.wide, nil
	}
	batch := 1
	for batch < rows {
		batch *= 2
	}
	f, err := s.newFrame(batch, 1, false)
	if err != nil {
		return nil, err
	}
	if s.wide != nil {
		s.wide.free()
	}
	s.wide = f
	return f, nil
}
