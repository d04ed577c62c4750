package onnx

import (
	"fmt"
	"strings"
)

// Strategy is how a graph keeps keys and values between runs.
type Strategy string

// Shared writes in place into one buffer; Grow makes present from past.
const (
	Shared Strategy = "shared"
	Grow   Strategy = "grow"
)

// RefusedError says which input or output of a graph is not understood, and why.
type RefusedError struct {
	Model string
	Port  string // as Port.String shows it; empty if something is missing
	Why   string
}

func (e *RefusedError) Error() string {
	if e.Port == "" {
		return fmt.Sprintf("onnx: %s is not a decoder that can be run: %s", e.Model, e.Why)
	}
	return fmt.Sprintf("onnx: %s is not a decoder that can be run: %s: %s", e.Model, e.Port, e.Why)
}

// slot is one cache tensor: a layer's keys or values, [batch, heads, tokens, width].
type slot struct {
	past, present string
	heads, width  int
}

// layout is what a graph takes and gives.
type layout struct {
	strategy  Strategy
	ids       Port  // [batch, tokens]
	mask      *Port // [batch, past + tokens], ones where there is a token
	positions *Port // [batch, tokens]
	keep      *Port // how many rows at the end of logits are wanted
	logits    Port  // [batch, tokens, vocabulary]
	slots     []slot
	kv        ElementType
	vocab     int
}

// The names that decoder exports agree on.
const (
	nameIDs       = "input_ids"
	nameMask      = "attention_mask"
	namePositions = "position_ids"
	nameKeep      = "num_logits_to_keep"
	nameLogits    = "logits"
	prefixPast    = "past_key_values."
	prefixPresent = "present."
)

// understand reads a layout from what the session declares and what the graph
// computes its attention with. The error is a *RefusedError.
func understand(model string, inputs, outputs []Port, nodes []attention) (*layout, error) {
	l := &layout{}
	presents := make(map[string]Port)
	for _, p := range outputs {
		if why := l.takeOutput(p, presents); why != "" {
			return nil, &RefusedError{Model: model, Port: "output " + p.String(), Why: why}
		}
	}
	for _, p := range inputs {
		if why := l.takeInput(p, presents); why != "" {
			return nil, &RefusedError{Model: model, Port: "input " + p.String(), Why: why}
		}
	}
	for _, p := range outputs {
		if _, left := presents[p.Name]; left {
			return nil, &RefusedError{Model: model, Port: "output " + p.String(), Why: "there is no input " + pastOf(p.Name) + " for it"}
		}
	}
	l.strategy = Grow
	if sharesAll(l.slots, nodes) {
		l.strategy = Shared
	}
	if why := l.missing(); why != "" {
		return nil, &RefusedError{Model: model, Why: why}
	}
	return l, nil
}

// missing says what a decoder must have and this graph has not.
func (l *layout) missing() string {
	switch {
	case l.ids.Name == "":
		return "it has no input " + nameIDs
	case l.logits.Name == "":
		return "it has no output " + nameLogits
	case len(l.slots) == 0:
		return "it has no inputs " + prefixPast + "N.key and .value: export it with its cache"
	case l.strategy == Shared && l.mask == nil:
		return "it uses GroupQueryAttention but has no input " + nameMask + ", from which the lengths are computed"
	}
	return ""
}

// takeOutput files one output; why says what is not understood about it.
func (l *layout) takeOutput(p Port, presents map[string]Port) (why string) {
	switch {
	case p.Name == nameLogits:
		if len(p.Dims) != 3 || p.Dims[2] <= 0 {
			return "needs the shape [batch, tokens, vocabulary] with a fixed vocabulary"
		}
		if p.Type != Float32 && p.Type != Float16 {
			return "needs float32 or float16"
		}
		l.logits, l.vocab = p, int(p.Dims[2])
	case strings.HasPrefix(p.Name, prefixPresent):
		presents[p.Name] = p
	default:
		return "nothing is known about an output of this name"
	}
	return ""
}

// takeInput files one input; why says what is not understood about it.
func (l *layout) takeInput(p Port, presents map[string]Port) (why string) {
	switch {
	case p.Name == nameIDs:
		l.ids = p
		return integers(p, 2)
	case p.Name == nameMask:
		l.mask = &p
		return integers(p, 2)
	case p.Name == namePositions:
		l.positions = &p
		return integers(p, 2)
	case p.Name == nameKeep:
		l.keep = &p
		return integers(p, 0)
	case strings.HasPrefix(p.Name, prefixPast):
		return l.takePast(p, presents)
	}
	return "nothing is known about an input of this name"
}

// takePast pairs one cache input with its output.
func (l *layout) takePast(p Port, presents map[string]Port) (why string) {
	name := presentOf(p.Name)
	present, ok := presents[name]
	if !ok {
		return "there is no output " + name + " for it"
	}
	delete(presents, name)
	if len(p.Dims) != 4 || p.Dims[1] <= 0 || p.Dims[3] <= 0 || p.Dims[2] >= 0 {
		return "needs the shape [batch, heads, tokens, width] with fixed heads and width and an open number of tokens"
	}
	if len(present.Dims) != 4 || present.Type != p.Type {
		return "differs in kind from its output " + present.String()
	}
	for _, i := range []int{1, 3} {
		// A dimension that shape inference left open is taken on trust: a run checks it.
		if d := present.Dims[i]; d >= 0 && d != p.Dims[i] {
			return "differs in shape from its output " + present.String()
		}
	}
	if p.Type != Float32 && p.Type != Float16 {
		return "needs float32 or float16"
	}
	if len(l.slots) > 0 && p.Type != l.kv {
		return fmt.Sprintf("the other cache inputs are %s", l.kv)
	}
	l.kv = p.Type
	l.slots = append(l.slots, slot{past: p.Name, present: present.Name, heads: int(p.Dims[1]), width: int(p.Dims[3])})
	return ""
}

func presentOf(past string) string { return prefixPresent + strings.TrimPrefix(past, prefixPast) }
func pastOf(present string) string { return prefixPast + strings.TrimPrefix(present, prefixPresent) }

// integers checks for whole numbers of a rank; a rank of 0 may be written as [1].
func integers(p Port, rank int) (why string) {
	if p.Type != Int64 && p.Type != Int32 {
		return "needs int64 or int32"
	}
	if rank == 0 && len(p.Dims) == 1 && p.Dims[0] == 1 {
		return ""
	}
	if !p.Tensor || len(p.Dims) != rank {
		return fmt.Sprintf("needs %d dimensions", rank)
	}
	return ""
}

// sharesAll says whether every cache tensor goes into and comes out of one
// GroupQueryAttention, which alone writes a shared buffer in place. One that
// passes through anything else would be read and written at the same time.
func sharesAll(slots []slot, nodes []attention) bool {
	joined := make(map[slot]bool)
	for _, n := range nodes {
		joined[slot{past: n.pastKey, present: n.presentKey}] = true
		joined[slot{past: n.pastValue, present: n.presentValue}] = true
	}
	for _, s := range slots {
		if !joined[slot{past: s.past, present: s.present}] {
			return false
		}
	}
	return len(slots) > 0
}
