package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/gateway/bench"
	"github.com/graft-gateway/graft/models/demo"
	"github.com/graft-gateway/graft/models/onnx"
	"github.com/graft-gateway/graft/models/onnx/synthetic"
)

// largeWeights is the size of a small model that no cache of a processor holds.
const largeWeights = 160 << 20

// models is the section over small models: one that every cache holds, and one that none
// does, with random weights.
func (b *benchMeasure) models(s stand) bench.Section {
	memory := (*bench.Reader)(nil)
	start := func(open opening, threads int) bench.SmallModel {
		return bench.SmallModel{Start: func(ctx context.Context) (bench.Decoding, func() error, error) {
			if err := ctx.Err(); err != nil {
				return bench.Decoding{}, nil, err
			}
			d, end, err := open(threads)
			if err != nil {
				return d, nil, err
			}
			if memory == nil {
				memory = bench.NewReader(0)
			}
			d.Memory = memory
			if b.Quick {
				d.Batches, d.Steps, d.Rounds = []int{1, 16}, 8, 1
			}
			return d, end, nil
		}}
	}
	opened := []opening{s.largeWeights}
	if !b.Quick {
		opened = append(opened, s.embeddedSmall)
	}
	var all []bench.SmallModel
	for _, open := range opened {
		for _, threads := range benchThreads(runtime.NumCPU()) {
			all = append(all, start(open, threads))
		}
	}
	return bench.Decodings(all)
}

// opening loads a small model to compute with so many threads.
type opening func(threads int) (bench.Decoding, func() error, error)

// benchThreads are the numbers of threads that a model is measured with: what a large one
// has by default, beside which the other model of its pair has as many, and all of the
// machine, as a model that is alone might have.
func benchThreads(processors int) []int {
	if half := max(1, processors/2); half < processors {
		return []int{half, processors}
	}
	return []int{processors}
}

// benchContext is room for what is measured of a small model.
const benchContext = 256

// largeWeights writes a decoder of random weights, and loads it.
func (s stand) largeWeights(threads int) (d bench.Decoding, end func() error, err error) {
	folder, err := os.MkdirTemp("", "graft-bench-")
	if err != nil {
		return d, nil, err
	}
	shape := synthetic.Sized(largeWeights, synthetic.Grouped)
	if err := shape.Write(folder); err != nil {
		return d, nil, errors.Join(err, os.RemoveAll(folder))
	}
	d, unload, err := s.decoding(onnx.Source{Path: filepath.Join(folder, synthetic.File)}, threads)
	if err != nil {
		return d, nil, errors.Join(err, os.RemoveAll(folder))
	}
	d.Model = fmt.Sprintf("%d MB of float32", shape.StepBytes()/1_000_000)
	d.StepBytes, d.TokenBytes = shape.StepBytes(), shape.TokenBytes()
	return d, func() error { return errors.Join(unload(), os.RemoveAll(folder)) }, nil
}

// embeddedSmall loads the embedded family's tuned small model. Its weights are half
// precision in the file and single precision in memory.
func (s stand) embeddedSmall(threads int) (d bench.Decoding, end func() error, err error) {
	folder, err := demo.Folder("small-chat")
	if err != nil {
		return d, nil, err
	}
	graph, err := fs.ReadFile(folder, "model.onnx")
	if err != nil {
		return d, nil, err
	}
	d, end, err = s.decoding(onnx.Source{Bytes: graph}, threads)
	d.Model, d.StepBytes = "embedded:small-chat", 2*int64(len(graph))
	return d, end, err
}

// decoding loads a graph to compute with so many threads.
func (s stand) decoding(source onnx.Source, threads int) (bench.Decoding, func() error, error) {
	session, err := onnx.OpenSession(s.env, source, onnx.Options{Context: benchContext, Provider: "cpu", Threads: threads})
	if err != nil {
		return bench.Decoding{}, nil, err
	}
	return bench.Decoding{Threads: threads, Open: func(ctx context.Context, past int) (bench.Stepper, error) {
		q, err := session.Open(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := q.Extend(ctx, make([]eft.Token, past), 1); err != nil {
			return nil, errors.Join(err, q.Close())
		}
		return stepper{q}, nil
	}}, session.Close, nil
}

// stepper makes a text longer by one token, always the same: what it costs does not
// depend on which.
type stepper struct{ *onnx.Sequence }

func (s stepper) Step(ctx context.Context) error {
	_, err := s.Extend(ctx, []eft.Token{1}, 1)
	return err
}
