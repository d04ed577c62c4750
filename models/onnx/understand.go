package onnx

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// understand reads a layout from what the session declares and what the file says
// of its nodes. The error is a *RefusedError.
func understand(model string, inputs, outputs []Port, f *file) (*layout, error) {
	u := &understanding{model: model, file: f, nodes: f.attentions(), inputs: inputs, outputs: outputs}
	l := &layout{}
	for _, step := range []func(*layout) error{u.outline, u.takeLogits, u.takeCaches, u.takeInputs} {
		if err := step(l); err != nil {
			return nil, err
		}
	}
	l.strategy = Grow
	if l.sharesAll(u.nodes) {
		l.strategy = Shared
	}
	if l.strategy == Shared && l.has(roleMask) == nil && (l.has(roleLast) == nil || l.has(roleTotal) == nil) {
		return nil, u.refuse("it uses GroupQueryAttention but has no input " + nameMask + ", from which the lengths are computed")
	}
	return l, nil
}

// understanding is what is being read into a layout.
type understanding struct {
	model           string
	file            *file
	nodes           []attention
	inputs, outputs []Port
}

func (u *understanding) refuse(why string) error { return &RefusedError{Model: u.model, Why: why} }

func (u *understanding) refuseInput(p Port, why string) error {
	return &RefusedError{Model: u.model, Port: "input " + p.String(), Why: why}
}

func (u *understanding) refuseOutput(p Port, why string) error {
	return &RefusedError{Model: u.model, Port: "output " + p.String(), Why: why}
}

// dismiss refuses what is certainly no decoder by what its file declares, before
// gigabytes of it are loaded.
func (f *file) dismiss(model string) error {
	u := &understanding{model: model, file: f}
	weights := make(map[string]bool, len(f.tensors))
	for _, t := range f.tensors {
		weights[t.name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(f.inputs)) {
		if !weights[name] { // old files declare their weights as inputs
			u.inputs = append(u.inputs, f.inputs[name].port(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.outputs)) {
		u.outputs = append(u.outputs, f.outputs[name].port(name))
	}
	return u.outline(nil)
}

// outline refuses graphs whose inputs tell that they are something else, and those
// that lack what a decoder must have.
func (u *understanding) outline(*layout) error {
	cached := false
	for _, p := range u.inputs {
		if _, ok := inputRoles[p.Name]; ok {
			continue
		}
		if parseCacheName(p.Name).known {
			cached = true
			continue
		}
		if why := alien(p.Name); why != "" {
			return u.refuseInput(p, why)
		}
	}
	named := func(ports []Port, name string) bool {
		return slices.ContainsFunc(ports, func(p Port) bool { return p.Name == name })
	}
	switch {
	case !named(u.inputs, nameIDs):
		return u.refuse("it has no input " + nameIDs)
	case !named(u.outputs, nameLogits):
		return u.refuse("it has no output " + nameLogits + ": it is an encoder, or was exported without its head; export it with the task text-generation-with-past")
	case !cached:
		return u.refuse(noCache)
	}
	return nil
}

// mostIDs bounds a vocabulary: eight times what any model has.
const mostIDs = 1 << 21

// takeLogits reads the output of scores.
func (u *understanding) takeLogits(l *layout) error {
	p := u.outputs[slices.IndexFunc(u.outputs, func(p Port) bool { return p.Name == nameLogits })]
	if p.Type != Float32 && p.Type != Float16 {
		return u.refuseOutput(p, "needs float32 or float16")
	}
	if !p.Tensor || len(p.Dims) != 3 && len(p.Dims) != 2 {
		return u.refuseOutput(p, "needs the shape [batch, tokens, vocabulary]")
	}
	vocab := p.Dims[len(p.Dims)-1]
	if vocab < 0 {
		vocab = u.file.index().columns(nameLogits)
	}
	if vocab <= 0 || vocab > mostIDs {
		return u.refuseOutput(p, "needs the shape [batch, tokens, vocabulary] with a fixed vocabulary")
	}
	if p.Dims[0] >= 0 {
		return u.refuseOutput(p, "its batch is fixed; "+hintDynamic)
	}
	l.last = len(p.Dims) == 2 || p.Dims[1] == 1
	if len(p.Dims) == 3 && p.Dims[1] >= 0 && !l.last {
		return u.refuseOutput(p, "its number of tokens is fixed; "+hintDynamic)
	}
	l.logits, l.vocab = p, int(vocab)
	return nil
}

// layerKind is what pairs a cache's input with its output.
type layerKind struct {
	layer int
	kind  kind
}

// takeCaches pairs the inputs and the outputs of the cache. Outputs that are no
// caches are not asked for and cost nothing.
func (u *understanding) takeCaches(l *layout) error {
	presents := make(map[layerKind]Port)
	for _, p := range u.outputs {
		c := parseCacheName(p.Name)
		if !c.known {
			continue
		}
		key := layerKind{c.layer, c.kind}
		if other, twice := presents[key]; twice {
			return u.refuseOutput(p, "it and the output "+other.Name+" are of the same layer: which belongs to which input cannot be told")
		}
		presents[key] = p
	}
	taken := make(map[layerKind]string)
	for _, p := range u.inputs {
		c := parseCacheName(p.Name)
		if _, other := inputRoles[p.Name]; other || !c.known || c.out {
			continue
		}
		key := layerKind{c.layer, c.kind}
		if other, twice := taken[key]; twice {
			return u.refuseInput(p, "it and the input "+other+" are of the same layer: which belongs to which output cannot be told")
		}
		taken[key] = p.Name
		present, ok := presents[key]
		if !ok {
			return u.refuseInput(p, "there is no output "+presentOf(p.Name)+" for it: which output continues it cannot be told")
		}
		if err := u.takeCache(l, p, present, c.kind); err != nil {
			return err
		}
	}
	if len(l.slots) == 0 {
		return u.refuse(noCache)
	}
	for _, p := range u.outputs {
		c := parseCacheName(p.Name)
		if _, paired := taken[layerKind{c.layer, c.kind}]; c.known && !paired {
			return u.refuseOutput(p, "there is no input "+pastOf(p.Name)+" for it")
		}
	}
	return nil
}

const noCache = "it has no inputs past_key_values.N.key and .value, so each token would cost as much as the whole text: " +
	"export it with its cache (optimum-cli export onnx --task text-generation-with-past)"

// takeCache reads one pair.
func (u *understanding) takeCache(l *layout, past, present Port, k kind) error {
	var node attention
	if i := slices.IndexFunc(u.nodes, func(a attention) bool { return past.Name == a.pastKey || past.Name == a.pastValue }); i >= 0 {
		node = u.nodes[i]
	}
	s, why := newSlot(past, present, k, u.file.inputs[past.Name].dims, node)
	if why != "" {
		return u.refuseInput(past, why)
	}
	if past.Type != Float32 && past.Type != Float16 {
		return u.refuseInput(past, "needs float32 or float16: export the model with keys and values of one of these")
	}
	if len(l.slots) > 0 && past.Type != l.kv {
		return u.refuseInput(past, fmt.Sprintf("the other cache inputs are %s", l.kv))
	}
	if presentOf(past.Name) != present.Name || !s.usual {
		l.inferred = true
	}
	l.kv = past.Type
	l.slots = append(l.slots, s)
	return nil
}

// The names of a layer's past and present that nearly all exports have.
const (
	prefixPast    = "past_key_values."
	prefixPresent = "present."
)

func presentOf(past string) string {
	if rest, ok := strings.CutPrefix(past, prefixPast); ok {
		return prefixPresent + rest
	}
	return strings.Replace(past, "past", "present", 1)
}

func pastOf(present string) string {
	if rest, ok := strings.CutPrefix(present, prefixPresent); ok {
		return prefixPast + rest
	}
	return strings.Replace(present, "present", "past", 1)
}

// takeInputs files the inputs besides the cache.
func (u *understanding) takeInputs(l *layout) error {
	for _, p := range u.inputs {
		known, ok := inputRoles[p.Name]
		if !ok {
			if c := parseCacheName(p.Name); c.known && !c.out {
				continue
			}
			return u.refuseInput(p, "nothing is known about an input of this name; export the model for the task text-generation-with-past, with no inputs of its own")
		}
		if !slices.Contains(known.types, p.Type) {
			return u.refuseInput(p, "needs "+joinTypes(known.types))
		}
		if why := shaped(p, known.rank); why != "" {
			return u.refuseInput(p, why)
		}
		if known.role != rolePositions && l.has(known.role) != nil {
			return u.refuseInput(p, "another input says the same")
		}
		if known.role > roleKeep || known.role == roleMask && !slices.Contains(wholes, p.Type) || p.Name == "cache_position" {
			l.inferred = true
		}
		l.inputs = append(l.inputs, input{role: known.role, port: p})
	}
	return nil
}

// shaped checks an input's dimensions: one of the ranks, all open. A single number
// may be written as [1].
func shaped(p Port, ranks []int) (why string) {
	if p.Tensor && slices.Contains(ranks, 0) && len(p.Dims) == 1 && p.Dims[0] == 1 {
		return ""
	}
	if !p.Tensor || !slices.Contains(ranks, len(p.Dims)) {
		return fmt.Sprintf("needs %d dimensions", ranks[0])
	}
	if slices.ContainsFunc(p.Dims, func(d int64) bool { return d >= 0 }) {
		return "its batch or its number of tokens is fixed; " + hintDynamic
	}
	return ""
}

func joinTypes(types []ElementType) string {
	text := ""
	for i, t := range types {
		if i > 0 {
			text += " or "
		}
		text += t.String()
	}
	return text
}
