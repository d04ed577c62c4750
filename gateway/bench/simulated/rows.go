// The true rows. The simulated engine computes the same rows many times, for each prefix
// of a list anew; here each is computed once, by sequences that follow the texts.
// Invariants:
//
//   - kept has at most keptRows rows, by what they are behind; order has them, the one
//     used last in front;
//   - a follower is used by one goroutine at a time, busy meanwhile, and holds no more
//     tokens than its sequence does;
//   - there are at most followersMost, with followedMost tokens in all when none is busy.

package simulated

import (
	"cmp"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math"
	"slices"
	"sync"

	"github.com/graft-gateway/graft/eft"
)

const (
	keptRows      = 1 << 14
	followersMost = 192
	followedMost  = 1 << 16
	// strayMost is how many of its last tokens a follower gives up to follow another text:
	// a path that was not taken. A text that differs by more may still go on.
	strayMost = 32
	// gapMost is how many rows nobody asked for are computed where one wanted text
	// continues another.
	gapMost = 32
)

// wanted asks for the rows behind the first from tokens of a text, behind one more, and
// so on to all of them.
type wanted struct {
	tokens []eft.Token
	from   int
	rows   []*Row // the answer
	err    error
}

// rows computes and keeps rows.
type rows struct {
	open func() Sequence

	mu        sync.Mutex // guards what follows
	kept      map[prefixKey]*list.Element
	order     *list.List // of *keptRow
	followers []*follower
	uses      uint64
}

// prefixKey is a hash of a text.
type prefixKey [sha256.Size]byte

type keptRow struct {
	key prefixKey
	row *Row
}

// follower is a sequence, with the text that it is at.
type follower struct {
	sequence Sequence
	tokens   []eft.Token
	busy     bool
	used     uint64
}

func newRows(open func() Sequence) *rows {
	return &rows{open: open, kept: map[prefixKey]*list.Element{}, order: list.New()}
}

// close ends all sequences. None may be in use.
func (r *rows) close() {
	for _, f := range r.followers {
		f.sequence.Close()
	}
	r.followers = nil
}

// answer fills in the rows of all that is wanted, side by side.
func (r *rows) answer(ctx context.Context, all []*wanted) {
	var side sync.WaitGroup
	for _, group := range grouped(all) {
		side.Go(func() { r.answerGroup(ctx, group) })
	}
	side.Wait()
	r.thin()
}

// grouped joins texts that continue one another, the longest first: one path has all of
// their rows. A list of prefixes is one group.
func grouped(all []*wanted) [][]*wanted {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b *wanted) int {
		return cmp.Or(slices.Compare(b.tokens, a.tokens), cmp.Compare(a.from, b.from))
	})
	// What begins another text follows it directly, or others that it begins, too.
	var groups [][]*wanted
	for _, w := range sorted {
		if n := len(groups); n > 0 {
			last := groups[n-1]
			least := last[0].from
			for _, other := range last {
				least = min(least, other.from)
			}
			if begins(w.tokens, last[0].tokens) && least-len(w.tokens) <= gapMost {
				groups[n-1] = append(last, w)
				continue
			}
		}
		groups = append(groups, []*wanted{w})
	}
	return groups
}

func begins(short, long []eft.Token) bool {
	return len(short) <= len(long) && slices.Equal(short, long[:len(short)])
}

// answerGroup answers texts that all begin the first.
func (r *rows) answerGroup(ctx context.Context, group []*wanted) {
	whole := wanted{tokens: group[0].tokens, from: group[0].from}
	for _, w := range group {
		whole.from = min(whole.from, w.from)
	}
	r.along(ctx, &whole)
	for _, w := range group {
		if w.err = whole.err; w.err == nil {
			w.rows = whole.rows[w.from-whole.from : len(w.tokens)-whole.from+1]
		}
	}
}

// along fills in the rows along one text: those that are kept, and from the first that is
// not on, computed ones.
func (r *rows) along(ctx context.Context, w *wanted) {
	keys := prefixKeys(w.tokens, w.from)
	w.rows = r.find(keys)
	missing := slices.Index(w.rows, nil)
	if missing < 0 {
		return
	}
	at := w.from + missing
	f := r.follow(w.tokens)
	defer r.release(f)
	computed, err := f.sequence.Rows(ctx, w.tokens[:at], w.tokens[at:])
	if err != nil {
		f.tokens, w.err = f.tokens[:0], err // what the sequence holds is not known
		return
	}
	f.tokens = append(f.tokens[:0], w.tokens...)
	for i, row := range computed {
		if w.rows[missing+i], err = checked(row); err != nil {
			w.err = err
			return
		}
	}
	r.keep(keys[missing:], w.rows[missing:])
}

// checked takes a row of the model over, which must be dense and of numbers.
func checked(row eft.Row) (*Row, error) {
	if !row.Dense() {
		return nil, fmt.Errorf("the model gives truncated rows")
	}
	if sum := eft.LogSumExp(row.Scores); math.IsNaN(sum) || math.IsInf(sum, 0) {
		return nil, fmt.Errorf("the model gives a row whose sum is %v", sum)
	}
	return newRow(row.Scores), nil
}

// prefixKeys are the keys of a text's prefixes from a length on.
func prefixKeys(tokens []eft.Token, from int) []prefixKey {
	h := sha256.New()
	write(h, tokens[:from])
	keys := make([]prefixKey, 0, len(tokens)-from+1)
	for at := from; ; at++ {
		var key prefixKey
		h.Sum(key[:0])
		keys = append(keys, key)
		if at == len(tokens) {
			return keys
		}
		write(h, tokens[at:at+1])
	}
}

func write(h hash.Hash, tokens []eft.Token) {
	data := make([]byte, 0, 4*len(tokens))
	for _, t := range tokens {
		data = binary.LittleEndian.AppendUint32(data, uint32(t))
	}
	h.Write(data)
}

// find returns the rows that are kept, nil where none is.
func (r *rows) find(keys []prefixKey) []*Row {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := make([]*Row, len(keys))
	for i, key := range keys {
		if at, ok := r.kept[key]; ok {
			r.order.MoveToFront(at)
			found[i] = at.Value.(*keptRow).row
		}
	}
	return found
}

// keep keeps rows. Where one is kept already, it takes the place of the new one: a prefix
// has one row.
func (r *rows) keep(keys []prefixKey, computed []*Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, key := range keys {
		if at, known := r.kept[key]; known {
			computed[i] = at.Value.(*keptRow).row
			continue
		}
		r.kept[key] = r.order.PushFront(&keptRow{key, computed[i]})
	}
	for r.order.Len() > keptRows {
		oldest := r.order.Back()
		delete(r.kept, oldest.Value.(*keptRow).key)
		r.order.Remove(oldest)
	}
}

// follow takes the follower that has most of a text's first tokens and few others, or a
// new one.
func (r *rows) follow(tokens []eft.Token) *follower {
	r.mu.Lock()
	defer r.mu.Unlock()
	var best, oldest *follower
	longest := 0
	for _, f := range r.followers {
		if f.busy {
			continue
		}
		if oldest == nil || f.used < oldest.used {
			oldest = f
		}
		if common := shared(f.tokens, tokens); common > longest && len(f.tokens)-common <= strayMost {
			best, longest = f, common
		}
	}
	switch {
	case best != nil:
	case len(r.followers) >= followersMost && oldest != nil:
		best = oldest
	default:
		best = &follower{sequence: r.open()}
		r.followers = append(r.followers, best)
	}
	r.uses++
	best.busy, best.used = true, r.uses
	return best
}

func shared(a, b []eft.Token) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func (r *rows) release(f *follower) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.busy = false
}

// thin ends the sequences that were used longest ago, while there is too much. None is in
// use.
func (r *rows) thin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.followers, func(a, b *follower) int { return cmp.Compare(b.used, a.used) })
	tokens := 0
	for i, f := range r.followers {
		if tokens += len(f.tokens); i > 0 && tokens > followedMost || i >= followersMost {
			for _, old := range r.followers[i:] {
				old.sequence.Close()
			}
			r.followers = slices.Delete(r.followers, i, len(r.followers))
			return
		}
	}
}
