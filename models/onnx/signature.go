package onnx

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/cpu"
)

// LayoutFingerprint changes with everything that decides what the bytes of Export mean
// and what computed them: ONNX Runtime's version, the provider, the processor's
// instruction sets, exact shapes, how far the graph was optimised, the type, shape and
// order of the cache's slots, and the graph's file. Beside these it holds what the
// graph made of a few tokens at opening, to the last bit, so that two machines have one
// fingerprint only where they compute alike.
//
// Of large files it reads samples, so a cache's key wants the fingerprint of the model's
// folder too. How tokens were grouped into runs is not in it: where shapes are not exact,
// that moves the last bits, as it does without a cache.
func (s *Session) LayoutFingerprint() string { return s.signature }

// sign computes the fingerprint. It runs a few tokens.
func (s *Session) sign(ctx context.Context, src Source) error {
	sum := sha256.New()
	l := s.layout
	fmt.Fprintf(sum, "keys and values 1\nONNX Runtime %s on %s, %s %+v\n", s.env.version, s.graph.provider, runtime.GOARCH, instructions())
	if s.graph.provider != CPU {
		name, err := card(s.options.Device)
		if err != nil {
			return fmt.Errorf("onnx: name of GPU %d: %w", s.options.Device, err)
		}
		fmt.Fprintf(sum, "%q\n", name)
	}
	fmt.Fprintf(sum, "exact %v, alone %v, single %v, stepwise %v, together %v, restrained %q\n", s.options.ExactShapes, l.alone, l.single, l.stepwise, s.together, s.graph.restrained)
	for i := range l.slots {
		slot := &l.slots[i]
		fmt.Fprintf(sum, "%q %q %s %v %d %d %v\n", slot.past, slot.present, l.kv, slot.dims, slot.batch, slot.tokens, slot.kind)
	}
	if err := src.digest(sum); err != nil {
		return fmt.Errorf("onnx: %s: %w", src, err)
	}
	if err := s.behaviour(ctx, sum); err != nil {
		return err
	}
	s.signature = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// instructions are the instruction sets by which kernels are chosen.
func instructions() any {
	switch runtime.GOARCH {
	case "amd64":
		x := cpu.X86
		return struct{ AVX, AVX2, FMA, AVX512F, AVX512BW, AVX512VL, AVX512VNNI, AVX512BF16, AVXVNNI, AMX bool }{
			x.HasAVX, x.HasAVX2, x.HasFMA, x.HasAVX512F, x.HasAVX512BW, x.HasAVX512VL, x.HasAVX512VNNI, x.HasAVX512BF16, x.HasAVXVNNI, x.HasAMXTile,
		}
	case "arm64":
		a := cpu.ARM64
		return struct{ FP16, DotProduct, I8MM, SVE, SVE2 bool }{a.HasASIMDHP, a.HasASIMDDP, a.HasI8MM, a.HasSVE, a.HasSVE2}
	}
	return nil
}

// behaviour adds the keys, values and scores of the trial's tokens.
func (s *Session) behaviour(ctx context.Context, sum hash.Hash) error {
	q, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer q.Close()
	tokens := s.trial()
	rows, err := q.Extend(ctx, tokens, len(tokens))
	if err != nil {
		return err
	}
	var number [4]byte
	for _, row := range rows {
		for _, score := range row.Scores {
			binary.LittleEndian.PutUint32(number[:], math.Float32bits(score))
			sum.Write(number[:])
		}
	}
	block, err := q.Export(ctx, 0, len(tokens), nil)
	if err != nil {
		return err
	}
	sum.Write(block)
	return nil
}

// Of a graph's file so many bytes are digested: all, or as many samples at equal
// distances.
const (
	digestWhole  = 32 << 20
	digestSample = 64 << 10
)

// digest adds the file's name, its size, and what it holds, of a large one samples.
func (s Source) digest(sum hash.Hash) error {
	file, size, done, err := s.open()
	if err != nil {
		return err
	}
	defer done()
	fmt.Fprintf(sum, "%q %d\n", filepath.Base(s.Path), size)
	step, sample := size, size
	if size > digestWhole {
		step, sample = size/(digestWhole/digestSample), digestSample
	}
	for at := int64(0); at < size; at += max(step, 1) {
		if _, err := io.Copy(sum, io.NewSectionReader(file, at, min(sample, size-at))); err != nil {
			return err
		}
	}
	return nil
}
