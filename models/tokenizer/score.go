package tokenizer

import (
	"fmt"
	"math"
	"strconv"
)

// score reads a number as the reference's JSON library does: all digits as one
// integer, divided or multiplied by one power of ten. That rounds twice, so the
// result may differ from the nearest float64 in its last bit, and ties between
// sums of scores depend on it.
func (c *cursor) score() (float64, error) {
	c.next()
	start := c.at
	negative := c.acceptByte('-')
	digits, exponent, ok := uint64(0), 0, false
	fraction, full := false, false
	for ; c.at < len(c.text); c.at++ {
		b := c.text[c.at]
		if b == '.' && !fraction {
			fraction = true
			continue
		}
		if b < '0' || b > '9' {
			break
		}
		ok = true
		d := uint64(b - '0')
		full = full || digits > (math.MaxUint64-d)/10
		switch {
		case !full && fraction:
			digits, exponent = digits*10+d, exponent-1
		case !full:
			digits = digits*10 + d
		case !fraction:
			exponent++
		}
	}
	if c.acceptByte('e') || c.acceptByte('E') {
		e := c.at
		for c.at < len(c.text) && (c.text[c.at] == '-' || c.text[c.at] == '+' || c.text[c.at] >= '0' && c.text[c.at] <= '9') {
			c.at++
		}
		n, err := strconv.ParseInt(c.text[e:c.at], 10, 16)
		ok = ok && err == nil
		exponent += int(n)
	}
	value := scaled(float64(digits), exponent)
	if !ok || math.IsInf(value, 0) {
		c.at = start
		return 0, fmt.Errorf("%s where a score should be", c.rest())
	}
	if negative {
		value = -value
	}
	return value, nil
}

func (c *cursor) acceptByte(b byte) bool {
	if c.at < len(c.text) && c.text[c.at] == b {
		c.at++
		return true
	}
	return false
}

// scaled is f times ten to the power of exponent.
func scaled(f float64, exponent int) float64 {
	const most = 308 // 1e308 is the greatest power of ten
	for ; exponent < -most && f != 0; exponent += most {
		f /= 1e308
	}
	if exponent < 0 {
		return f / powerOfTen(min(-exponent, most))
	}
	return f * powerOfTen(exponent)
}

// powerOfTen is the float64 nearest to it, which math.Pow10 gives for small
// exponents only.
func powerOfTen(n int) float64 {
	if n < 32 {
		return math.Pow10(n)
	}
	p, err := strconv.ParseFloat("1e"+strconv.Itoa(n), 64)
	if err != nil {
		return math.Inf(1)
	}
	return p
}
