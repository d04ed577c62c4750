package openai

import (
	"math"
	"strconv"
)

// Bounds is the closed interval [Min, Max] of numbers, or (Min, Max] if Open.
type Bounds struct {
	Min, Max float64
	Open     bool
}

// Has says whether v lies within; NaN never does.
func (b Bounds) Has(v float64) bool {
	return v <= b.Max && (v > b.Min || !b.Open && v == b.Min)
}

// String says the bounds as a message does: "between 0 and 2".
func (b Bounds) String() string {
	lo, hi := formatNumber(b.Min), formatNumber(b.Max)
	switch {
	case b.Max == math.MaxFloat64 && b.Open:
		return "a finite number above " + lo
	case b.Max == math.MaxFloat64:
		return "a finite number of at least " + lo
	case b.Open:
		return "above " + lo + " and at most " + hi
	}
	return "between " + lo + " and " + hi
}

// Check is a 400 about param if v is out of bounds.
func (b Bounds) Check(param string, v float64) error {
	if b.Has(v) {
		return nil
	}
	return BadRequest(param, CodeInvalidValue, "%s must be %s, got %s", param, b, formatNumber(v))
}

func formatNumber(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// numeral reads a number and returns it as it is written.
func (r *reader) numeral() (string, error) {
	if err := r.expect(kindNumber); err != nil {
		return "", err
	}
	n := scanNumber(r.data[r.pos:])
	if n == 0 {
		return "", r.syntax(r.pos, "%s where a number should be", r.found())
	}
	s := string(r.data[r.pos : r.pos+n])
	r.pos += n
	return s, nil
}

// number reads a number within bounds.
func (r *reader) number(b Bounds) (float64, error) {
	s, err := r.numeral()
	if err != nil {
		return 0, err
	}
	v, ok := parseNumber(s, b)
	if !ok {
		return 0, r.fail(CodeInvalidValue, "%s must be %s, got %s", r.where(), b, clip(s))
	}
	return v, nil
}

// parseNumber converts a number that scanNumber has accepted, and says whether
// it lies within bounds.
func parseNumber(s string, b Bounds) (float64, bool) {
	// Out of float64's range it is ±Inf, which no bounds have.
	v, _ := strconv.ParseFloat(s, 64)
	if v == 0 {
		v = 0 // −0 too
	}
	return v, b.Has(v)
}

// integer reads an integer in [lo, hi].
func (r *reader) integer(lo, hi int64) (int64, error) {
	s, err := r.numeral()
	if err != nil {
		return 0, err
	}
	for _, c := range []byte(s) {
		if c == '.' || c == 'e' || c == 'E' {
			return 0, r.fail(CodeInvalidType, "%s must be an integer, got %s", r.where(), clip(s))
		}
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err == nil && v >= lo && v <= hi {
		return v, nil
	}
	if hi == math.MaxInt32 {
		// The bound of a machine word tells a client nothing.
		return 0, r.fail(CodeInvalidValue, "%s must be an integer of at least %d (and below 2^31), got %s", r.where(), lo, clip(s))
	}
	return 0, r.fail(CodeInvalidValue, "%s must be an integer between %d and %d, got %s", r.where(), lo, hi, clip(s))
}

// scanNumber returns the length of the JSON number at the start of s, 0 if
// there is none.
func scanNumber[S []byte | string](s S) int {
	i := 0
	digits := func() bool {
		start := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i > start
	}
	if i < len(s) && s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if !digits() {
		return 0
	}
	if i < len(s) && s[i] == '.' {
		if i++; !digits() {
			return 0
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		if i++; i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return 0
		}
	}
	return i
}
