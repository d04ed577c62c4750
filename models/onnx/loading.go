package onnx

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	ort "github.com/yalue/onnxruntime_go"
)

// openGraph loads a model on the provider asked for, or on the best one.
func openGraph(env *Environment, src Source, o Options, f *file) (*graph, error) {
	l := &loading{env: env, src: src, options: o, file: f}
	if len(f.windows) > 0 {
		var err error
		if l.data, err = f.hideWindows(src); err != nil {
			return nil, err
		}
	}
	switch o.Provider {
	case CPU, CUDA, TensorRT:
		return l.on(o.Provider)
	case Auto:
		g, err := l.on(CUDA)
		if err == nil {
			err = g.unfit(f.attentions())
			if err == nil {
				return g, nil
			}
			err = errors.Join(err, g.close())
		}
		note := reason(err)
		if missing := new(ProviderError); errors.As(err, &missing) {
			note = missing.Why
		}
		if g, err = l.on(CPU); err == nil {
			g.note = note
		}
		return g, err
	}
	return nil, fmt.Errorf("provider %q is not known: use auto, cuda, tensorrt or cpu", o.Provider)
}

// loading is a model on its way into a graph.
type loading struct {
	env     *Environment
	src     Source
	options Options
	file    *file
	data    []byte // the model's bytes, if they are not src's
}

// restraint makes ONNX Runtime optimise a graph less.
type restraint struct {
	note  string // for people
	apply func(*ort.SessionOptions) error
}

// restraints are tried one after another while ONNX Runtime fails at optimising a
// graph, as version 1.26 does with float16 graphs that hold the parts of a layer
// norm: it moves a cast and then looks for it in vain.
var restraints = []restraint{
	{"", func(*ort.SessionOptions) error { return nil }},
	{"without fused layer norms, for ONNX Runtime fails at fusing them", func(o *ort.SessionOptions) error {
		return o.AddSessionConfigEntry("optimization.disable_specified_optimizers", "SimplifiedLayerNormFusion;LayerNormFusion")
	}},
	{"with basic optimisations only, for ONNX Runtime fails at others", func(o *ort.SessionOptions) error {
		return o.SetGraphOptimizationLevel(ort.GraphOptimizationLevelEnableBasic)
	}},
	{"without optimisations, for ONNX Runtime fails at them", func(o *ort.SessionOptions) error {
		return o.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll)
	}},
}

// on loads the model on one provider.
func (l *loading) on(provider Provider) (*graph, error) {
	var first error
	for _, r := range restraints {
		g, err := l.with(provider, r)
		if err == nil {
			g.restrained = r.note
			return g, nil
		}
		if first == nil {
			first = err
		}
		if !optimiserFailed(err) {
			break
		}
	}
	return nil, first
}

// optimiserFailed tells an error inside an optimisation from one of the model's own.
func optimiserFailed(err error) bool {
	text := err.Error()
	return strings.Contains(text, "Exception during initialization") &&
		(strings.Contains(text, "graph_utils.cc") || strings.Contains(text, "/optimizer/") || strings.Contains(text, "Fusion"))
}

// device is where a provider has its keys, values and scores.
func (l *loading) device(provider Provider) deviceKind {
	switch {
	case provider != CPU:
		return onCUDA
	case l.options.pretend:
		return pretended
	}
	return noDevice
}

// with loads the model on one provider under a restraint.
func (l *loading) with(provider Provider, r restraint) (*graph, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	if err := errors.Join(configure(options, l.options), r.apply(options)); err != nil {
		return nil, err
	}
	data := l.src.Bytes
	if l.data != nil {
		data = l.data
	}
	if l.data != nil && l.src.Path != "" {
		// External data lies beside the file that the bytes are a copy of.
		if err := options.AddSessionConfigEntry("session.model_external_initializers_file_folder_path", filepath.Dir(l.src.Path)); err != nil {
			return nil, err
		}
	}
	if l.options.optimized != "" {
		if err := options.SetOptimizedModelFilePath(l.options.optimized); err != nil {
			return nil, err
		}
	}
	if l.options.profile != "" {
		if err := options.EnableProfiling(l.options.profile); err != nil {
			return nil, err
		}
	}
	g := &graph{provider: provider}
	create := func() (err error) {
		if data == nil {
			g.session, err = ort.NewDynamicAdvancedSession(l.src.Path, nil, nil, options)
		} else {
			g.session, err = ort.NewDynamicAdvancedSessionWithONNXData(data, nil, nil, options)
		}
		return err
	}
	if provider != CPU {
		create = l.env.onGPU(options, provider, l.options.Device, create)
	}
	if err := create(); err != nil {
		return nil, err
	}
	handle, err := handleOf(g.session)
	if err == nil {
		g.native, err = openNative(l.env.api, handle, l.device(provider), l.options.Device, &l.env.stats)
	}
	if err != nil {
		return nil, errors.Join(err, g.session.Destroy())
	}
	return g, nil
}
