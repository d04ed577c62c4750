package tokenizer

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// byteDecoder is the decoder ByteLevel: it reads tokens through the alphabet
// and joins them. A token with a character outside it, as an added one with a
// space, stands for its own UTF-8 bytes.
type byteDecoder struct{ alphabet *alphabet }

func (d byteDecoder) middle(token string) string { return string(d.append(nil, token)) }

func (d byteDecoder) append(dst []byte, token string) []byte {
	out, ok := d.alphabet.decode(dst, token)
	if !ok {
		return append(dst, token...)
	}
	return out
}

func (d byteDecoder) open(next sink) sink {
	return &byteDecoding{byteDecoder: d, next: next}
}

// byteDecoding holds back the start of a character whose other bytes have not
// come yet: at most 3 bytes, since no sequence is longer than 4.
type byteDecoding struct {
	byteDecoder
	next     sink
	held     []byte
	repaired []byte // reused
	parts    strings.Builder
}

func (d *byteDecoding) token(text string) {
	d.held = d.append(d.held, text)
	var tail []byte
	d.repaired, tail = appendRepaired(d.repaired[:0], d.held)
	d.held = d.held[:copy(d.held, tail)]
	if len(d.repaired) > 0 {
		d.next.write(string(d.repaired))
	}
}

func (d *byteDecoding) write(text string) { d.parts.WriteString(text) }

func (d *byteDecoding) cut() {
	text := d.parts.String()
	d.parts.Reset()
	d.token(text)
}

func (d *byteDecoding) end() {
	if len(d.held) > 0 {
		d.next.write(replacement)
	}
	d.next.cut()
	d.next.end()
}

// byteFallback turns tokens such as <0x0A> into the bytes that they name.
type byteFallback struct{}

func (byteFallback) middle(token string) string {
	if b, ok := namedByte(token); ok {
		return string([]byte{b})
	}
	return token
}

func (byteFallback) open(next sink) sink { return &gathering{stage: &byteRun{}, next: next} }

// namedByte reads <0x0A>, and <0x+A>, which the reference takes too.
func namedByte(token string) (byte, bool) {
	if len(token) != len("<0x00>") || !strings.HasPrefix(token, "<0x") || token[5] != '>' {
		return 0, false
	}
	digits := token[3:5]
	if digits[0] == '+' {
		digits = digits[1:]
	}
	n, err := strconv.ParseUint(digits, 16, 8)
	return byte(n), err == nil
}

// byteRun holds back a run of bytes until it ends: only then is it known
// whether it is UTF-8. If it is not, each of its bytes becomes a U+FFFD.
type byteRun struct{ bytes []byte }

func (r *byteRun) decode(token string, next sink) {
	if b, ok := namedByte(token); ok {
		r.bytes = append(r.bytes, b)
		return
	}
	r.finish(next)
	next.token(token)
}

func (r *byteRun) finish(next sink) {
	switch {
	case len(r.bytes) == 0:
	case utf8.Valid(r.bytes):
		next.token(string(r.bytes))
	default:
		for range r.bytes {
			next.token(replacement)
		}
	}
	r.bytes = r.bytes[:0]
}

func (r *byteRun) middle(token string) string { return byteFallback{}.middle(token) }
