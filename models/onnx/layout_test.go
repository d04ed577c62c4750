package onnx

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// plainPorts are what a plain export with one layer declares.
func plainPorts() (inputs, outputs []Port) {
	kv := []int64{-1, 8, -1, 64}
	inputs = []Port{
		{"input_ids", Int64, true, []int64{-1, -1}},
		{"attention_mask", Int64, true, []int64{-1, -1}},
		{"position_ids", Int64, true, []int64{-1, -1}},
		{"past_key_values.0.key", Float16, true, kv},
		{"past_key_values.0.value", Float16, true, kv},
	}
	outputs = []Port{
		{"logits", Float32, true, []int64{-1, -1, 32000}},
		{"present.0.key", Float16, true, slices.Clone(kv)},
		{"present.0.value", Float16, true, slices.Clone(kv)},
	}
	return inputs, outputs
}

// grouped is a GroupQueryAttention with these tensors.
func grouped(pastKey, pastValue, presentKey, presentValue string) []node {
	return []node{{
		op: "GroupQueryAttention", domain: "com.microsoft",
		inputs:  []string{"q", "k", "v", pastKey, pastValue, "seqlens", "total"},
		outputs: []string{"o", presentKey, presentValue},
	}}
}

func TestLayoutsThatAreUnderstood(t *testing.T) {
	gqa := grouped("past_key_values.0.key", "past_key_values.0.value", "present.0.key", "present.0.value")
	for _, c := range []struct {
		name   string
		nodes  []node
		change func(in, out []Port) []Port
		want   Strategy
	}{
		{"plain", nil, nil, Grow},
		{"grouped", gqa, nil, Shared},
		{"grouped, but not the values", grouped("past_key_values.0.key", "inner", "present.0.key", "inner2"), nil, Grow},
		{"int32 ids, no positions", nil, func(in, _ []Port) []Port { in[0].Type = Int32; return append(in[:2], in[3:]...) }, Grow},
		{"no mask", nil, func(in, _ []Port) []Port { return append(in[:1], in[2:]...) }, Grow},
		{"fewer logits on demand", nil, func(in, _ []Port) []Port { return append(in, Port{"num_logits_to_keep", Int64, true, nil}) }, Grow},
		{"open dimensions of present", nil, func(in, out []Port) []Port { out[1].Dims[1] = -1; return in }, Grow},
	} {
		in, out := plainPorts()
		if c.change != nil {
			in = c.change(in, out)
		}
		l, err := understand("m", in, out, &file{nodes: c.nodes})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if l.strategy != c.want || l.vocab != 32000 || l.kv != Float16 || len(l.slots) != 2 || l.slots[1].dims[1] != 8 {
			t.Errorf("%s: understood as %+v", c.name, l)
		}
	}
}

func TestLayoutsThatAreRefused(t *testing.T) {
	gqa := grouped("past_key_values.0.key", "past_key_values.0.value", "present.0.key", "present.0.value")
	for _, c := range []struct {
		name   string
		nodes  []node
		change func(in, out *[]Port)
		port   string // what the refusal must name
		why    string
	}{
		{"an unknown input", nil, func(in, _ *[]Port) { *in = append(*in, Port{"pixel_values", Float32, true, nil}) }, "input pixel_values: float32[]", "images"},
		{"another unknown input", nil, func(in, _ *[]Port) { *in = append(*in, Port{"token_type_ids", Int64, true, nil}) }, "input token_type_ids: int64[]", "nothing is known"},
		{"ids that are floats", nil, func(in, _ *[]Port) { (*in)[0].Type = Float32 }, "input input_ids: float32[?,?]", "int64 or int32"},
		{"ids of one dimension", nil, func(in, _ *[]Port) { (*in)[0].Dims = []int64{-1} }, "input input_ids: int64[?]", "2 dimensions"},
		{"positions of three dimensions", nil, func(in, _ *[]Port) { (*in)[2].Dims = []int64{3, -1, -1} }, "input position_ids: int64[3,?,?]", "2 dimensions"},
		{"a mask of bytes", nil, func(in, _ *[]Port) { (*in)[1].Type = typeUint8 }, "input attention_mask: uint8[?,?]", "int64 or int32 or bool"},
		{"a mask of four dimensions", nil, func(in, _ *[]Port) { (*in)[1].Dims = []int64{-1, 1, -1, -1} }, "input attention_mask: int64[?,1,?,?]", "2 dimensions"},
		{"a count of four dimensions", nil, func(in, _ *[]Port) { *in = append(*in, Port{"num_logits_to_keep", Int64, true, []int64{2}}) }, "input num_logits_to_keep", "0 dimensions"},
		{"logits without a vocabulary", nil, func(_, out *[]Port) { (*out)[0].Dims[2] = -1 }, "output logits: float32[?,?,?]", "fixed vocabulary"},
		{"logits of one dimension", nil, func(_, out *[]Port) { (*out)[0].Dims = []int64{32000} }, "output logits", "batch, tokens, vocabulary"},
		{"logits of eight positions", nil, func(_, out *[]Port) { (*out)[0].Dims[1] = 8 }, "output logits", "number of tokens is fixed"},
		{"logits in bfloat16", nil, func(_, out *[]Port) { (*out)[0].Type = BFloat16 }, "output logits: bfloat16", "float32 or float16"},
		{"a cache in eight bits", nil, func(in, out *[]Port) { (*in)[3].Type, (*out)[1].Type = 3, 3 }, "input past_key_values.0.key: int8[?,8,?,64]", "float32 or float16"},
		{"a cache of two types", nil, func(in, out *[]Port) { (*in)[4].Type, (*out)[2].Type = Float32, Float32 }, "input past_key_values.0.value", "other cache inputs are float16"},
		{"a cache of three dimensions", nil, func(in, _ *[]Port) { (*in)[3].Dims = []int64{-1, -1, 512} }, "input past_key_values.0.key", "differs in kind"},
		{"a cache with fixed tokens", nil, func(in, _ *[]Port) { (*in)[3].Dims = []int64{-1, 8, 128, 64} }, "input past_key_values.0.key", "open number of tokens"},
		{"a cache with open heads", nil, func(in, out *[]Port) {
			(*in)[3].Dims, (*out)[1].Dims = []int64{-1, -1, -1, 64}, []int64{-1, -1, -1, 64}
		}, "input past_key_values.0.key", "fixed heads"},
		{"a present of another width", nil, func(_, out *[]Port) { (*out)[1].Dims[3] = 32 }, "input past_key_values.0.key", "differs in shape"},
		{"a present of another type", nil, func(_, out *[]Port) { (*out)[1].Type = Float32 }, "input past_key_values.0.key", "differs in kind"},
		{"a past without present", nil, func(_, out *[]Port) { *out = (*out)[:2] }, "input past_key_values.0.value", "no output present.0.value"},
		{"a present without past", nil, func(in, _ *[]Port) { *in = (*in)[:4] }, "output present.0.value", "no input past_key_values.0.value"},
		{"a sequence type", nil, func(in, _ *[]Port) { (*in)[3].Tensor, (*in)[3].Dims = false, nil }, "input past_key_values.0.key: not a tensor", "needs 3 to 6 dimensions"},
		{"no ids", nil, func(in, _ *[]Port) { *in = (*in)[1:] }, "", "no input input_ids"},
		{"no logits", nil, func(_, out *[]Port) { *out = (*out)[1:] }, "", "no output logits"},
		{"no cache", nil, func(in, out *[]Port) { *in, *out = (*in)[:3], (*out)[:1] }, "", "with its cache"},
		{"grouped without a mask", gqa, func(in, _ *[]Port) { *in = slices.Delete(*in, 1, 2) }, "", "no input attention_mask"},
	} {
		in, out := plainPorts()
		c.change(&in, &out)
		_, err := understand("the model", in, out, &file{nodes: c.nodes})
		var refused *RefusedError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !strings.HasPrefix(refused.Port, c.port) || (c.port == "") != (refused.Port == "") || !strings.Contains(refused.Why, c.why) || !strings.Contains(err.Error(), "the model") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestElementTypes(t *testing.T) {
	for _, c := range []struct {
		kind ElementType
		size int
		name string
	}{
		{Float32, 4, "float32"}, {Int32, 4, "int32"}, {Int64, 8, "int64"}, {Bool, 1, "bool"},
		{Float16, 2, "float16"}, {BFloat16, 2, "bfloat16"}, {typeInt4, 0, "int4"}, {99, 0, "element type 99"}, {-1, 0, "element type -1"},
	} {
		text, err := c.kind.MarshalText()
		if c.kind.Size() != c.size || c.kind.String() != c.name || string(text) != c.name || err != nil {
			t.Errorf("%v: %d bytes, %s", c.kind, c.kind.Size(), text)
		}
	}
}
