// How a row is stored.
//
//	version  1 byte
//	kind     1 byte: 0 truncated, 1 dense
//	dense      n, n × score
//	truncated  n, n × id, n × log-prob      the best, best first
//	           n, n × id, n × log-prob      asked for by name, by id: differences, less 1
//
// Numbers and ids are varints, scores and log-probs the 4 bytes of a float32, so that
// they come back to the last bit. The bytes come from a tier that vouches for them;
// they are checked all the same, since a mistake here must be a miss and not a token.

package rowcache

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/graft-gateway/graft/eft"
)

const (
	codecVersion  = 1
	kindTruncated = 0
	kindDense     = 1
)

var (
	errVersion   = errors.New("stored by another version")
	errCut       = errors.New("cut short or too long")
	errCanonical = errors.New("not a canonical row")
)

// entry is a row and the names known at its prefix, by rising id.
type entry struct {
	row   eft.Row
	names []eft.Scored
}

// named returns the log-prob of an id, if it is known.
func (e *entry) named(id eft.Token) (float32, bool) {
	if i, ok := slices.BinarySearchFunc(e.names, id, byID); ok {
		return e.names[i].LogProb, true
	}
	if !e.row.Dense() {
		if i := slices.Index(e.row.IDs, id); i >= 0 {
			return e.row.LogProbs[i], true
		}
	}
	return 0, false
}

func byID(s eft.Scored, id eft.Token) int { return int(s.ID) - int(id) }

// storable says whether e comes back as it is. What does not is handed on, and asked
// for again.
func storable(e entry, seen *set) bool {
	if e.row.Dense() {
		return len(e.row.Scores) > 0 && !slices.ContainsFunc(e.row.Scores, isNaN)
	}
	if !canonical(e.row, seen) {
		return false
	}
	for i, s := range e.names {
		if s.ID < 0 || isNaN(s.LogProb) || (i > 0 && s.ID <= e.names[i-1].ID) {
			return false
		}
	}
	return true
}

func isNaN(f float32) bool { return f != f }

// canonical says whether a truncated row's best are finite, in order and each listed
// once.
func canonical(row eft.Row, seen *set) bool {
	if len(row.IDs) == 0 || len(row.IDs) != len(row.LogProbs) || row.Best != len(row.IDs) {
		return false
	}
	seen.reset(len(row.IDs))
	for i, id := range row.IDs {
		p := row.LogProbs[i]
		if id < 0 || isNaN(p) || math.IsInf(float64(p), 0) || !seen.add(id) {
			return false
		}
		if i > 0 && (p > row.LogProbs[i-1] || (p == row.LogProbs[i-1] && id < row.IDs[i-1])) {
			return false
		}
	}
	return true
}

// encode appends a storable entry to dst.
func encode(dst []byte, e entry) []byte {
	if e.row.Dense() {
		dst = append(dst, codecVersion, kindDense)
		dst = binary.AppendUvarint(dst, uint64(len(e.row.Scores)))
		return appendFloats(dst, e.row.Scores)
	}
	dst = append(dst, codecVersion, kindTruncated)
	dst = binary.AppendUvarint(dst, uint64(len(e.row.IDs)))
	for _, id := range e.row.IDs {
		dst = binary.AppendUvarint(dst, uint64(id))
	}
	dst = appendFloats(dst, e.row.LogProbs)
	dst = binary.AppendUvarint(dst, uint64(len(e.names)))
	next := eft.Token(0)
	for _, s := range e.names {
		dst = binary.AppendUvarint(dst, uint64(s.ID-next))
		next = s.ID + 1
	}
	for _, s := range e.names {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(s.LogProb))
	}
	return dst
}

func appendFloats(dst []byte, values []float32) []byte {
	dst = slices.Grow(dst, 4*len(values))
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
	}
	return dst
}

// decoder decodes entries into memory of its own, which lasts until reset.
type decoder struct {
	ids    []eft.Token
	floats []float32
	names  []eft.Scored
	seen   set
}

// reset gives the memory of all entries back.
func (d *decoder) reset() { d.ids, d.floats, d.names = d.ids[:0], d.floats[:0], d.names[:0] }

// decode reads one entry, which must be of the kind asked for, with at most k best.
func (d *decoder) decode(data []byte, dense bool, k int) (entry, error) {
	if len(data) < 2 || data[0] != codecVersion {
		return entry{}, errVersion
	}
	kind, r := data[1], reader{data: data[2:]}
	if kind > kindDense || (kind == kindDense) != dense {
		return entry{}, errCanonical
	}
	var e entry
	if dense {
		e.row.Scores = d.readFloats(&r, r.count(4))
	} else {
		n := r.count(5)
		e.row.IDs, e.row.Best = d.readIDs(&r, n), n
		e.row.LogProbs = d.readFloats(&r, n)
		e.names = d.readNames(&r)
	}
	if r.bad || len(r.data) > 0 {
		return entry{}, errCut
	}
	if (!dense && e.row.Best > k) || !storable(e, &d.seen) {
		return entry{}, errCanonical
	}
	return e, nil
}

func (d *decoder) readIDs(r *reader, n int) []eft.Token {
	from := len(d.ids)
	d.ids = slices.Grow(d.ids, n)
	for range n {
		d.ids = append(d.ids, r.id(0))
	}
	return d.ids[from:len(d.ids):len(d.ids)]
}

func (d *decoder) readFloats(r *reader, n int) []float32 {
	data := r.take(4 * n)
	from := len(d.floats)
	d.floats = slices.Grow(d.floats, n)
	for ; len(data) >= 4; data = data[4:] {
		d.floats = append(d.floats, math.Float32frombits(binary.LittleEndian.Uint32(data)))
	}
	return d.floats[from:len(d.floats):len(d.floats)]
}

func (d *decoder) readNames(r *reader) []eft.Scored {
	from, n, next := len(d.names), r.count(5), eft.Token(0)
	d.names = slices.Grow(d.names, n)
	for range n {
		id := r.id(next)
		d.names = append(d.names, eft.Scored{ID: id})
		// Behind the largest id there is none; another one then fails the order.
		next = min(id, math.MaxInt32-1) + 1
	}
	names := d.names[from:len(d.names):len(d.names)]
	data := r.take(4 * n)
	for i := range len(data) / 4 {
		names[i].LogProb = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return names
}

// reader reads from data until something is bad; from then on all is zero.
type reader struct {
	data []byte
	bad  bool
}

// count reads how many elements follow, of which each takes at least size bytes.
func (r *reader) count(size int) int {
	v := r.varint()
	if v > uint64(len(r.data)/size) {
		r.bad, v = true, 0
	}
	return int(v)
}

// id reads an id that lies so far behind start.
func (r *reader) id(start eft.Token) eft.Token {
	v := r.varint()
	if v > uint64(math.MaxInt32-start) {
		r.bad, v = true, 0
	}
	return start + eft.Token(v)
}

func (r *reader) varint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 || r.bad {
		r.bad = true
		return 0
	}
	r.data = r.data[n:]
	return v
}

// take returns the next n bytes, none of them where there are fewer.
func (r *reader) take(n int) []byte {
	if n > len(r.data) || r.bad {
		r.bad = true
		return nil
	}
	data := r.data[:n]
	r.data = r.data[n:]
	return data
}

// set is a set of ids that is quick to make again: a table with open addressing, of
// id+1, at most half full.
type set struct {
	table []uint32
}

func (s *set) reset(n int) {
	size := 16
	for size < 2*n {
		size *= 2
	}
	if cap(s.table) < size {
		s.table = make([]uint32, size)
		return
	}
	s.table = s.table[:size]
	clear(s.table)
}

// add says whether id is new.
func (s *set) add(id eft.Token) bool {
	mask := uint32(len(s.table) - 1)
	for i := uint32(id) * 0x9e3779b1 & mask; ; i = (i + 1) & mask {
		switch s.table[i] {
		case 0:
			s.table[i] = uint32(id) + 1
			return true
		case uint32(id) + 1:
			return false
		}
	}
}
