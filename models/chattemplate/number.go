package chattemplate

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// whole returns v as a big integer; a boolean is 0 or 1, as in Python.
func whole(v value) (*big.Int, bool) {
	switch v := v.(type) {
	case boolean:
		if v {
			return big.NewInt(1), true
		}
		return new(big.Int), true
	case integer:
		return big.NewInt(int64(v)), true
	case *big.Int:
		return v, true
	}
	return nil, false
}

// small returns v if it is an integer or boolean that fits an int64.
func small(v value) (int64, bool) {
	switch v := v.(type) {
	case boolean:
		if v {
			return 1, true
		}
		return 0, true
	case integer:
		return int64(v), true
	}
	return 0, false
}

// index returns v as a position in a sequence; integers beyond int64 are
// clamped, since no sequence is that long.
func index(v value) (int64, bool) {
	if i, ok := small(v); ok {
		return i, true
	}
	if b, ok := v.(*big.Int); ok {
		if b.Sign() < 0 {
			return math.MinInt64, true
		}
		return math.MaxInt64, true
	}
	return 0, false
}

// real returns v as a float64 if it is a number; ok is false for other types,
// and an integer too large for a float is an OverflowError.
func real(v value) (f float64, ok bool, err error) {
	switch v := v.(type) {
	case float:
		return float64(v), true, nil
	case boolean:
		if v {
			return 1, true, nil
		}
		return 0, true, nil
	case integer:
		return float64(v), true, nil
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		if math.IsInf(f, 0) {
			return 0, true, fail(overflowError, "int too large to convert to float")
		}
		return f, true, nil
	}
	return 0, false, nil
}

func isNumber(v value) bool {
	switch v.(type) {
	case boolean, integer, *big.Int, float:
		return true
	}
	return false
}

// normal gives b the type that its size asks for.
func normal(b *big.Int) (value, error) {
	if b.IsInt64() {
		return integer(b.Int64()), nil
	}
	if b.BitLen() > maxBits {
		return nil, &LimitError{What: "bits in an integer", Max: maxBits}
	}
	return b, nil
}

// floatText is Python's repr of a float: the shortest digits that read back the
// same, with an exponent below 1e-4 and from 1e16.
func floatText(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// intText is Python's str of an integer beyond int64.
func intText(b *big.Int) (string, error) {
	s := b.String()
	if len(strings.TrimPrefix(s, "-")) > maxDigits {
		return "", fail(valueError, "Exceeds the limit (%d digits) for integer string conversion; use sys.set_int_max_str_digits() to increase the limit", maxDigits)
	}
	return s, nil
}

// parseInt is Python's int(text, base): blanks around, a sign, underscores
// between digits, and a prefix where the base allows one.
func parseInt(text string, base int) (value, bool) {
	s := strip(text, nil)
	neg := strings.HasPrefix(s, "-")
	if neg || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	s, base = intPrefix(s, base)
	digits, ok := plainDigits(s)
	if !ok || base == 0 {
		return nil, false
	}
	if len(digits) > maxDigits && base&(base-1) != 0 {
		return nil, false
	}
	b, ok := new(big.Int).SetString(digits, base)
	if !ok {
		return nil, false
	}
	if neg {
		b.Neg(b)
	}
	v, err := normal(b)
	return v, err == nil
}

// intPrefix cuts 0x, 0o or 0b where base allows it; base 0 is told by it.
func intPrefix(s string, base int) (string, int) {
	for prefix, b := range map[string]int{"0x": 16, "0o": 8, "0b": 2} {
		if len(s) > 2 && strings.EqualFold(s[:2], prefix) && (base == b || base == 0) {
			return strings.TrimPrefix(s[2:], "_"), b
		}
	}
	if base != 0 {
		return s, base
	}
	if len(s) > 1 && s[0] == '0' && strings.Trim(s, "0_") != "" {
		return s, 0 // Python refuses 010
	}
	return s, 10
}

// plainDigits drops the underscores that Python allows between digits and turns
// the decimal digits of other scripts into ASCII.
func plainDigits(s string) (string, bool) {
	if s == "" || s[0] == '_' || s[len(s)-1] == '_' || strings.Contains(s, "__") {
		return "", false
	}
	var sb strings.Builder
	for _, c := range s {
		switch d := decimalDigit(c); {
		case c == '_':
		case d >= 0:
			sb.WriteByte(byte('0' + d))
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			sb.WriteRune(c)
		default:
			return "", false
		}
	}
	return sb.String(), true
}

// parseFloat is Python's float(text).
func parseFloat(text string) (float64, bool) {
	s := strip(text, nil)
	unsigned := strings.ToLower(strings.TrimLeft(s, "+-"))
	if len(s)-len(unsigned) > 1 {
		return 0, false
	}
	switch unsigned {
	case "inf", "infinity", "nan":
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil
	}
	for i, c := range unsigned {
		// An underscore must stand between two digits; letters are exponents only.
		if c == '_' && (i == 0 || i == len(unsigned)-1 || !isDigit(unsigned[i-1]) || !isDigit(unsigned[i+1])) {
			return 0, false
		}
		if !strings.ContainsRune("0123456789._e+-", c) {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
