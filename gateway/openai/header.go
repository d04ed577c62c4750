package openai

import (
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// The headers that carry the knob for clients that can set no body field.
const (
	HeaderStrength = "X-Tuning-Strength" // 0.8
	HeaderExperts  = "X-Tuning-Experts"  // chat=1.0,safe=0.5
	HeaderPrefix   = "X-Tuning-"         // of all of them
)

// ResolveTuning gathers the knob from the three places where a client can set
// it. Each field is taken from the first that has it:
//
//  1. the body's "tuning"
//  2. the headers
//  3. the model's name, "demo@0.5", for the strength alone
//
// A place that is malformed is a 400 even if another one wins. name is the
// model without its suffix.
func ResolveTuning(model string, h http.Header, body Tuning) (name string, t Tuning, err error) {
	header, err := TuningFromHeaders(h)
	if err != nil {
		return "", Tuning{}, err
	}
	name, strength, err := SplitModel(model)
	if err != nil {
		return "", Tuning{}, err
	}
	return name, body.Merge(header).Merge(Tuning{Strength: strength}), nil
}

// SplitModel splits "demo@0.5" into the route's name and its strength, which is
// absent without an "@". No route's name may therefore contain one.
func SplitModel(model string) (name string, strength Optional[float64], err error) {
	name, suffix, found := strings.Cut(model, "@")
	if !found {
		return model, strength, nil
	}
	v, ok := headerNumber(suffix)
	if name == "" || !ok {
		return "", strength, BadRequest("model", CodeInvalidValue,
			"model must be a name, or a name, '@' and a strength of at least 0 as in demo@0.5, got %s", quote(model))
	}
	return name, Some(v), nil
}

// TuningFromHeaders reads X-Tuning-Strength and X-Tuning-Experts. A strength
// may be given once; the lists of several X-Tuning-Experts are one list, as
// HTTP has it. Any other X-Tuning- header is refused: it is a knob misspelt.
func TuningFromHeaders(h http.Header) (Tuning, error) {
	var t Tuning
	for _, name := range tuningHeaders(h) {
		var err error
		switch http.CanonicalHeaderKey(name) {
		case HeaderStrength:
			err = t.setStrength(h[name])
		case HeaderExperts:
			err = t.addExperts(h[name])
		default:
			err = BadRequest(keyName(name), CodeInvalidHeader, "%s is not a known header; the knob's are %s and %s",
				keyName(name), HeaderStrength, HeaderExperts)
		}
		if err != nil {
			return Tuning{}, err
		}
	}
	return t, nil
}

// tuningHeaders lists the knob's headers in order, so that of two errors always
// the same one is told.
func tuningHeaders(h http.Header) []string {
	var names []string
	for name, values := range h {
		isOurs := len(name) >= len(HeaderPrefix) && strings.EqualFold(name[:len(HeaderPrefix)], HeaderPrefix)
		if isOurs && len(values) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (t *Tuning) setStrength(values []string) error {
	if t.Strength.Set || len(values) > 1 {
		return BadRequest(HeaderStrength, CodeInvalidHeader, "%s is given more than once", HeaderStrength)
	}
	v, ok := headerNumber(values[0])
	if !ok {
		return BadRequest(HeaderStrength, CodeInvalidHeader, "%s must be %s, got %s", HeaderStrength, weight(), quote(values[0]))
	}
	t.Strength = Some(v)
	return nil
}

func (t *Tuning) addExperts(values []string) error {
	if t.Experts == nil {
		t.Experts = make(map[string]float64)
	}
	for item := range strings.SplitSeq(strings.Join(values, ","), ",") {
		name, number, _ := strings.Cut(item, "=")
		name = strings.Trim(name, " \t")
		v, ok := headerNumber(number)
		if !ok || name == "" || !utf8.ValidString(name) {
			return BadRequest(HeaderExperts, CodeInvalidHeader,
				"%s must be a list such as chat=1.0,safe=0.5 with weights of at least 0, got %s", HeaderExperts, quote(item))
		}
		if _, twice := t.Experts[name]; twice {
			return BadRequest(HeaderExperts, CodeInvalidHeader, "%s names %s twice", HeaderExperts, quote(name))
		}
		t.Experts[name] = v
	}
	return nil
}

// headerNumber reads a weight written as in JSON, with blanks around it.
func headerNumber(s string) (float64, bool) {
	s = strings.Trim(s, " \t")
	if n := scanNumber(s); n == 0 || n != len(s) {
		return 0, false
	}
	return parseNumber(s, weight())
}
