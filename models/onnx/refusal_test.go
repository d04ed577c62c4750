package onnx

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// dims makes dimensions of numbers and names.
func dims(list ...any) (all []dim) {
	for _, d := range list {
		switch d := d.(type) {
		case int:
			all = append(all, dim{size: int64(d)})
		case string:
			all = append(all, dim{size: -1, name: d})
		}
	}
	return all
}

// declared is what a file declares of an input or an output.
type declared struct {
	name string
	kind ElementType
	dims []dim
}

func (d declared) port() Port {
	p := Port{Name: d.name, Type: d.kind, Tensor: true}
	for _, x := range d.dims {
		p.Dims = append(p.Dims, x.size)
	}
	return p
}

// understandDeclared reads a layout from what a file declares.
func understandDeclared(inputs, outputs []declared, nodes ...node) (*layout, error) {
	f := &file{inputs: make(map[string]value), nodes: nodes}
	var in, out []Port
	for _, d := range inputs {
		in = append(in, d.port())
		f.inputs[d.name] = value{kind: d.kind, dims: d.dims}
	}
	for _, d := range outputs {
		out = append(out, d.port())
	}
	return understand("m", in, out, f)
}

var (
	declaredIDs    = declared{"input_ids", Int64, dims("batch_size", "sequence_length")}
	declaredLogits = declared{"logits", Float32, dims("batch_size", "sequence_length", 100)}
)

func TestGraphsAreRefusedWithTheReason(t *testing.T) {
	kv := func(name string, d ...any) declared { return declared{name, Float32, dims(d...)} }
	keys := []declared{declaredIDs, kv("past_key_values.0.key", "batch_size", 2, "past", 8), kv("past_key_values.0.value", "batch_size", 2, "past", 8)}
	given := []declared{declaredLogits, kv("present.0.key", "batch_size", 2, "all", 8), kv("present.0.value", "batch_size", 2, "all", 8)}
	pair := func(d ...any) (in, out []declared) {
		return []declared{declaredIDs, kv("past_key_values.0.key", d...)}, []declared{declaredLogits, kv("present.0.key", d...)}
	}
	type ports = []declared
	with := func(d ...declared) ports { return append(slices.Clone(keys), d...) }
	bloomIn, bloomOut := pair("batch_size x num_heads", 8, "past")
	nameless, namelessOut := pair("", 8, "")
	fixedIn, fixedOut := pair(1, 2, "past", 8)
	headsIn, headsOut := pair("batch_size", "num_heads", 5, 8)
	flatIn, flatOut := pair("batch_size", "past")
	hugeIn, hugeOut := pair("batch_size", 1<<30, "past", 1<<30)
	openIn, openOut := pair("batch_size", "a", "b", "c")
	for _, c := range []struct {
		name    string
		in, out ports
		why     string
	}{
		{"an encoder", ports{declaredIDs, {"token_type_ids", Int64, dims("b", "s")}}, ports{kv("last_hidden_state", "b", "s", 32)}, "it is an encoder"},
		{"an encoder with scores", ports{declaredIDs}, ports{declaredLogits}, "text-generation-with-past"},
		{"a decoder without past", ports{declaredIDs}, given, "text-generation-with-past"},
		{"an encoder-decoder", with(kv("encoder_hidden_states", "b", "s", 32)), given, "encoder-decoder"},
		{"a cache of an encoder", with(kv("past_key_values.0.encoder.key", "b", 2, "s", 8)), given, "encoder-decoder"},
		{"a cross-attention cache", with(kv("past_key_cross_0", "b", 2, "s", 8)), given, "encoder-decoder"},
		{"embeddings", ports{kv("inputs_embeds", "b", "s", 32), keys[1], keys[2]}, given, "embeddings instead of tokens"},
		{"pictures", with(kv("pixel_values", "b", 3, 224, 224)), given, "images"},
		{"convolutions", with(kv("past_conv.1", "b", 32, 4)), append(slices.Clone(given), kv("present_conv.1", "b", 32, 4)), "convolutions"},
		{"a recurrent state", with(kv("past.1.recurrent", "b", 2, 8, 8)), given, "recurrent"},
		{"scales of a cache", with(kv("past_key_values.0.key_scale", "n", "s", 2)), given, "quantised"},
		{"pages", with(declared{"block_table", Int32, dims("b", "n")}), given, "pages"},
		{"beams", with(declared{"cache_indirection", Int32, dims("b", "n", "m")}), given, "beam search"},
		{"a present that goes in", with(kv("present.1.key", "b", 2, "p", 8)), given, "nothing is known"},
		{"something of its own", with(kv("temperature")), given, "nothing is known"},
		{"old Bloom", bloomIn, bloomOut, "batch and its heads are one"},
		{"three nameless dimensions", nameless, namelessOut, "batch and its heads are one"},
		{"a fixed batch", fixedIn, fixedOut, "fixed"},
		{"open heads and fixed tokens", headsIn, headsOut, "heads is left open"},
		{"two dimensions", flatIn, flatOut, "3 to 6 dimensions"},
		{"heads and width beyond reason", hugeIn, hugeOut, "no model has"},
		{"heads, tokens and width open", openIn, openOut, "cannot be told"},
		{"fixed ids", ports{{"input_ids", Int64, dims(1, 1)}, keys[1], keys[2]}, given, "fixed"},
		{"a fixed mask", with(declared{"attention_mask", Int64, dims("b", 128)}), given, "fixed"},
		{"a cache without output", with(kv("past_key_values.1.key", "b", 2, "p", 8)), given, "no output present.1.key"},
		{"an output without cache", keys, append(slices.Clone(given), kv("present.1.key", "b", 2, "p", 8)), "no input past_key_values.1.key"},
		{"two caches of one layer", with(kv("past.0.key", "b", 2, "p", 8)), given, "cannot be told"},
		{"two outputs of one layer", keys, append(slices.Clone(given), kv("new_key_0", "b", 2, "p", 8)), "cannot be told"},
		{"two counts of rows", with(declared{"num_logits_to_keep", Int64, nil}, declared{"logits_to_keep", Int64, nil}), given, "says the same"},
		{"rows by their positions", with(declared{"logits_to_keep", Int64, dims("n")}), given, "0 dimensions"},
		{"scores of a fixed batch", keys, append(ports{kv("logits", 1, "s", 100)}, given[1:]...), "batch is fixed"},
		{"a present of a fixed length", keys, append(ports{given[0], kv("present.0.key", "b", 2, 128, 8)}, given[2:]...), "fixed number of tokens"},
		{"a cache in bfloat16", ports{declaredIDs, {"past_key_values.0.key", BFloat16, dims("b", 2, "p", 8)}},
			ports{declaredLogits, {"present.0.key", BFloat16, dims("b", 2, "p", 8)}}, "float32 or float16"},
	} {
		_, err := understandDeclared(c.in, c.out)
		var refusal *RefusedError
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Why, c.why) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestOperatorsThatNeedAFixedBuffer(t *testing.T) {
	for op, why := range map[string]string{"PagedAttention": "pages", "DecoderMaskedMultiHeadAttention": "past_present_share_buffer"} {
		f := &file{nodes: []node{{op: op, domain: "com.microsoft", numbers: map[string]int64{"past_present_share_buffer": 1}}}}
		if got := f.unfit(); !strings.Contains(got, why) {
			t.Errorf("%s: %q", op, got)
		}
	}
}

func TestCachesArePairedByTheirNames(t *testing.T) {
	for _, c := range []struct{ past, present string }{
		{"past_key_values.3.key", "present.3.key"},
		{"past_key_values.3.value", "present.3.value"},
		{"past_key_values.3.decoder.key", "present.3.decoder.key"},
		{"past_key_values.3.key_value", "present.3.key_value"},
		{"past_key_values_3_key", "present_key_values_3_key"},
		{"past.3.key", "present.3.key"}, {"past.key.3", "present.key.3"},
		{"past_3", "present_3"}, {"past_key_3", "present_key_3"}, {"past_value_3", "present_value_3"}, {"past_key_self_3", "present_key_self_3"},
		{"cache.3.k", "cache_out.3.k"}, {"cache_k_3", "new_cache_k_3"}, {"k_cache_3", "updated_k_cache_3"}, {"past_kv.3", "present_kv.3"},
		{"past_key_values", "present_key_values"}, {"past_keys", "present_keys"},
		{"past_key_values.3.key", "present_key_3"}, {"past_key_3", "past_key_out_3"}, {"past_key_values.3.key", "past_key_values_out.3.key"},
	} {
		in, out := parseCacheName(c.past), parseCacheName(c.present)
		if !in.known || !out.known || in.out || !out.out || in.layer != out.layer || in.kind != out.kind {
			t.Errorf("%s: %+v, %s: %+v", c.past, in, c.present, out)
		}
	}
	for _, name := range []string{
		"input_ids", "attention_mask", "logits", "hidden_states.3", "attentions.3", "position_ids", "past_key_values.3.encoder.key",
		"past_key_values.3.key_scale", "past.3.4.key", "past_conv.3", "key_states.3", "output_3", "", "past_99999999999999999999.key",
	} {
		if c := parseCacheName(name); c.known {
			t.Errorf("%s: %+v", name, c)
		}
	}
	// Values of another layer or kind are not taken for keys.
	for _, c := range [][2]string{{"past_key_values.1.key", "present.11.key"}, {"past_key_values.1.key", "present.1.value"}, {"past_1", "present_key_1"}} {
		in, out := parseCacheName(c[0]), parseCacheName(c[1])
		if in.layer == out.layer && in.kind == out.kind {
			t.Errorf("%v are a pair: %+v %+v", c, in, out)
		}
	}
}

func TestLayersMayDiffer(t *testing.T) {
	kv := func(name string, heads, width int) declared {
		return declared{name, Float16, dims("batch", heads, "tokens", width)}
	}
	// Layers 1 and 3 have no cache of their own; the values are wider than the keys.
	in := []declared{declaredIDs, kv("past_key_values.0.key", 2, 8), kv("past_key_values.0.value", 2, 16), kv("past_key_values.2.key", 4, 8), kv("past_key_values.2.value", 4, 32)}
	out := []declared{kv("present.2.value", 4, 32), kv("present.2.key", 4, 8), kv("present.0.value", 2, 16), kv("present.0.key", 2, 8), declaredLogits}
	l, err := understandDeclared(in, out)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for i := range l.slots {
		size += l.slots[i].size()
		if l.slots[i].present != presentOf(l.slots[i].past) {
			t.Errorf("%+v", l.slots[i])
		}
	}
	if size != 2*8+2*16+4*8+4*32 || l.inferred || l.kv != Float16 {
		t.Errorf("%d numbers a token: %+v", size, l)
	}
}

func TestOpenWidthsComeFromTheNodes(t *testing.T) {
	open := func(name string) declared { return declared{name, Float32, dims("batch", 2, "tokens", "kv_cache_dim")} }
	in := []declared{declaredIDs, {"attention_mask", Int64, dims("b", "t")}, open("past_key_values.0.key"), open("past_key_values.0.value")}
	out := []declared{declaredLogits, open("present.0.key"), open("present.0.value")}
	attention := grouped("past_key_values.0.key", "past_key_values.0.value", "present.0.key", "present.0.value")[0]
	attention.numbers = map[string]int64{"num_heads": 4, "kv_num_heads": 2}
	for name, after := range map[string]node{
		"four bits": {op: "MatMulNBits", domain: "com.microsoft", inputs: []string{"o", "w"}, numbers: map[string]int64{"K": 64, "N": 32}},
		"Bnb":       {op: "MatMulBnb4", domain: "com.microsoft", inputs: []string{"o", "w"}, numbers: map[string]int64{"K": 64, "N": 32}},
	} {
		l, err := understandDeclared(in, out, attention, after)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if heads, width := l.slots[0].headed(); heads != 2 || width != 16 || l.strategy != Shared {
			t.Errorf("%s: %d heads of %d, %s", name, heads, width, l.strategy)
		}
	}
	if _, err := understandDeclared(in, out, attention); err == nil {
		t.Error("no width is written down, and one was found")
	}
	f := &file{
		nodes:   []node{attention, {op: "Cast", inputs: []string{"half"}, outputs: []string{"w"}}, {op: "MatMul", inputs: []string{"o", "w"}}},
		tensors: []stored{{name: "half", dims: []int64{64, 32}}},
	}
	if a := f.attentions(); len(a) != 1 || a[0].width != 16 {
		t.Errorf("%+v", a)
	}
}

func TestSharedBuffersAreSeenByOneNodeOnly(t *testing.T) {
	in, out := plainPorts()
	node0 := grouped("past_key_values.0.key", "past_key_values.0.value", "present.0.key", "present.0.value")[0]
	inner := node0
	inner.depth = 1
	for name, c := range map[string]struct {
		nodes []node
		want  Strategy
	}{
		"alone":                     {[]node{node0}, Shared},
		"its length is asked for":   {[]node{node0, {op: "Shape", inputs: []string{"past_key_values.0.key"}}}, Grow},
		"an inner graph looks":      {[]node{node0, {op: "Shape", inputs: []string{"past_key_values.0.value"}, depth: 1}}, Grow},
		"another layer takes it":    {[]node{node0, {op: "Slice", inputs: []string{"present.0.key"}}}, Grow},
		"in an inner graph":         {[]node{inner}, Grow},
		"keys for values":           {grouped("past_key_values.0.value", "past_key_values.0.key", "present.0.key", "present.0.value"), Grow},
		"of somebody else's domain": {[]node{{op: node0.op, domain: "custom", inputs: node0.inputs, outputs: node0.outputs}}, Grow},
	} {
		l, err := understand("m", in, out, &file{nodes: c.nodes})
		if err != nil || l.strategy != c.want {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
}
