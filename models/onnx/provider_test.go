package onnx

import (
	"strings"
	"testing"
)

// ONNX Runtime registers its CUDA GroupQueryAttention for float16 and bfloat16 alone
// (contrib_ops/cuda/bert/group_query_attention.cc).
func TestAutoLeavesFloat32AttentionToTheCPU(t *testing.T) {
	port := func(kind ElementType) []Port {
		return []Port{{Name: "input_ids", Type: Int64}, {Name: "past.0.key", Type: kind, Tensor: true, Dims: []int64{-1, 2, -1, 8}}}
	}
	node := []attention{{op: "GroupQueryAttention", pastKey: "past.0.key"}}
	if err := unfitForCUDA(port(Float32), node); err == nil || !strings.Contains(err.Error(), "past.0.key") {
		t.Errorf("float32 in GroupQueryAttention: %v", err)
	}
	if err := unfitForCUDA(port(Float16), node); err != nil {
		t.Errorf("float16: %v", err)
	}
	if err := unfitForCUDA(port(Float32), nil); err != nil {
		t.Errorf("float32 in a plain export: %v", err)
	}
}
