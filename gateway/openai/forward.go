package openai

import (
	"cmp"
	"slices"
	"strings"
)

// ForwardRequest is a body that goes on to another server as it is, but for the
// model's name and the knob.
//
// Invariant: model and tuning are what they replace or take out of body, and do not
// overlap; an end of 0 is a member that body has not.
type ForwardRequest struct {
	Model  string // as the client wrote it; empty if not given
	Tuning Tuning
	Tuned  bool // there was a "tuning", null included

	body          []byte
	first         int // just behind the opening brace
	members       int
	model, tuning span
}

// span is body[start:end).
type span struct{ start, end int }

// DecodeForward reads a body for what the gateway must know of it. Everything else
// may be anything, as long as it is JSON without a key twice, and without the model's name
// in other letters: servers that do not tell "Model" from "model" would take that one,
// which no route allowed. An error is an *Error with status 400.
func DecodeForward(body []byte) (*ForwardRequest, error) {
	f := &ForwardRequest{body: body, first: slices.Index(body, '{') + 1}
	before := f.first // the end of the member before
	err := document(body, func(r *reader, key string) error {
		r.space()
		start := r.pos
		err := f.read(r, key)
		switch key {
		case "model":
			f.model = span{start, r.pos}
		case "tuning":
			f.tuning, f.Tuned = span{before, r.pos}, true
			if f.members == 0 {
				f.tuning.end = behindComma(*r)
			}
		}
		f.members, before = f.members+1, r.pos
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (f *ForwardRequest) read(r *reader, key string) error {
	switch key {
	case "model":
		return stringField(r, &f.Model)
	case "tuning":
		return optional(r, func() error { return f.Tuning.read(r) })
	}
	for _, own := range []string{"model", "tuning"} {
		if strings.EqualFold(key, own) {
			return BadRequest(key, CodeUnknown, "%q is not a known parameter; write it as %q", key, own)
		}
	}
	return r.skip()
}

// behindComma is where the comma that follows a member ends, or the member if none
// does. It looks ahead in a reader of its own.
func behindComma(r reader) int {
	end := r.pos
	if r.space(); r.take(',') {
		return r.pos
	}
	return end
}

// Body returns the body for a server that knows the model by another name: the name
// in place of the client's (in front if there was none), no "tuning", and every other
// byte as it came.
func (f *ForwardRequest) Body(model string) []byte {
	type edit struct {
		span
		with []byte
	}
	name := appendString(nil, model)
	edits := []edit{{f.model, name}}
	if f.model.end == 0 {
		member := append([]byte(`"model":`), name...)
		if f.members > 1 || f.members == 1 && !f.Tuned {
			member = append(member, ',')
		}
		edits = []edit{{span{f.first, f.first}, member}}
	}
	if f.Tuned {
		edits = append(edits, edit{f.tuning, nil})
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	out, at := make([]byte, 0, len(f.body)+len(name)+len(`"model":,`)), 0
	for _, e := range edits {
		out, at = append(append(out, f.body[at:e.start]...), e.with...), e.end
	}
	return append(out, f.body[at:]...)
}
