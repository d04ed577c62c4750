package synthetic

import (
	"encoding/binary"
	"math"
)

// message is a protocol buffer's message as it is being written. A field may be
// written several times, which makes it a list.
type message []byte

// Kinds of fields on the wire.
const (
	kindVarint = 0
	kindBytes  = 2
	kindFixed4 = 5
)

func (m *message) key(number, kind int) {
	*m = binary.AppendUvarint(*m, uint64(number)<<3|uint64(kind))
}

// whole writes a number.
func (m *message) whole(number int, value int64) {
	m.key(number, kindVarint)
	*m = binary.AppendUvarint(*m, uint64(value))
}

// bytes writes bytes, or a message inside this one.
func (m *message) bytes(number int, value []byte) {
	m.key(number, kindBytes)
	*m = append(binary.AppendUvarint(*m, uint64(len(value))), value...)
}

// text writes a string.
func (m *message) text(number int, value string) { m.bytes(number, []byte(value)) }

// float writes a number in single precision.
func (m *message) float(number int, value float32) {
	m.key(number, kindFixed4)
	*m = binary.LittleEndian.AppendUint32(*m, math.Float32bits(value))
}
