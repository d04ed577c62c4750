package openai

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
)

// pieceBytes is how much an encoder holds before it writes.
const pieceBytes = 64 << 10

// encoder appends JSON to a buffer that it writes whenever it is full. After an error
// it writes no more; the first one is flush's.
type encoder struct {
	w   io.Writer
	buf []byte
	err error
}

func (e *encoder) raw(s string) { e.buf = append(e.buf, s...) }

func (e *encoder) text(s string) {
	e.buf = appendString(e.buf, s)
	e.spill()
}

// comma stands before every element of a list or object but the first.
func (e *encoder) comma(i int) {
	if i > 0 {
		e.buf = append(e.buf, ',')
	}
}

// value marshals what is small.
func (e *encoder) value(v any) {
	data, err := json.Marshal(v)
	if err != nil {
		e.fail(err)
	}
	e.buf = append(e.buf, data...)
}

// logprob writes the shortest number that reads back as the same float32, which is
// what rows are made of: half the bytes of a float64's. −∞ is written as −9999.
func (e *encoder) logprob(l float32) {
	if v := float64(l); math.IsNaN(v) || math.IsInf(v, 1) {
		e.fail(fmt.Errorf("openai: %v is no log-prob", v))
		return
	}
	e.buf = strconv.AppendFloat(e.buf, float64(max(l, minLogprob)), 'g', -1, 32)
	e.spill()
}

// spill writes a piece if there is one.
func (e *encoder) spill() {
	if len(e.buf) >= pieceBytes {
		_ = e.flush() // told by the last flush
	}
}

func (e *encoder) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// flush writes what is held.
func (e *encoder) flush() error {
	if e.err == nil && len(e.buf) > 0 {
		_, e.err = e.w.Write(e.buf)
	}
	e.buf = e.buf[:0]
	return e.err
}
