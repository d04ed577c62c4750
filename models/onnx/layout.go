package onnx

import "fmt"

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

// role is what an input besides the cache is for.
type role int

const (
	roleIDs       role = iota // [batch, tokens]
	roleMask                  // [batch, past + tokens], ones where there is a token
	rolePositions             // [batch, tokens] or [tokens], counted from the text's first
	roleKeep                  // how many rows at the end of logits are wanted
	roleBranch                // a merged decoder: whether there is a past
	roleLast                  // [batch], the position of each row's last token: its length less one
	roleTotal                 // tokens of the longest row, past and new
	rolePast                  // tokens of the past
)

// input is one input besides the cache.
type input struct {
	role role
	port Port
}

// inputRoles lists the inputs that are understood, by name.
var inputRoles = map[string]struct {
	role  role
	rank  []int // that it may have; 0 is a single number, which may be written as [1]
	types []ElementType
}{
	"input_ids":             {roleIDs, []int{2}, wholes},
	"attention_mask":        {roleMask, []int{2}, []ElementType{Int64, Int32, Bool, Float32, Float16}},
	"position_ids":          {rolePositions, []int{2, 1}, wholes},
	"cache_position":        {rolePositions, []int{1}, wholes},
	"num_logits_to_keep":    {roleKeep, []int{0}, wholes},
	"logits_to_keep":        {roleKeep, []int{0}, wholes},
	"use_cache_branch":      {roleBranch, []int{0}, []ElementType{Bool}},
	"seqlens_k":             {roleLast, []int{1}, wholes},
	"total_sequence_length": {roleTotal, []int{0}, wholes},
	"past_sequence_length":  {rolePast, []int{0}, wholes},
}

var wholes = []ElementType{Int64, Int32}

// The names that messages mention.
const (
	nameIDs    = "input_ids"
	nameMask   = "attention_mask"
	nameLogits = "logits"
)

// layout is what a graph takes and gives.
type layout struct {
	strategy Strategy
	inputs   []input
	logits   Port // [batch, tokens, vocabulary]
	last     bool // logits are of the last token only
	slots    []slot
	kv       ElementType
	vocab    int
	inferred bool // something was told from names and shapes that are not the usual ones
	single   bool // with a past the graph computes one token at a time only
	stepwise bool // tokens of one run see those after them
	alone    bool // rows do not depend on how tokens are grouped if each has a run of its own
}

// has finds the input with a role; nil if the graph has none.
func (l *layout) has(r role) *Port {
	for i := range l.inputs {
		if l.inputs[i].role == r {
			return &l.inputs[i].port
		}
	}
	return nil
}

// chunk is how many of up to most tokens one run takes, when done of an extension's
// are computed, past are in the cache, and rows are wanted from token begin on.
func (l *layout) chunk(past, done, begin, most int) int {
	switch {
	case l.alone, l.stepwise, l.single && past > 0:
		return 1
	case l.last && done+most > begin:
		return max(begin-done, 0) + 1 // a run gives no other row than its last
	}
	return most
}

// ragged says whether the rows of a batch may have pasts of different lengths.
func (l *layout) ragged() bool {
	for _, in := range l.inputs {
		if in.role == rolePast || in.role == rolePositions && len(in.port.Dims) == 1 {
			return false
		}
	}
	return true
}

// sharesAll says whether every cache tensor goes into and comes out of one
// GroupQueryAttention, which alone writes a shared buffer in place. One that
// passes through anything else would be read and written at the same time.
func (l *layout) sharesAll(nodes []attention) bool {
	joined := make(map[[2]string]bool)
	for _, n := range nodes {
		if n.grouped {
			joined[[2]string{n.pastKey, n.presentKey}] = true
			joined[[2]string{n.pastValue, n.presentValue}] = true
		}
	}
	for i := range l.slots {
		s := &l.slots[i]
		if !s.usual || !joined[[2]string{s.past, s.present}] {
			return false
		}
	}
	return len(l.slots) > 0
}
