package onnx

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"
)

// Provider is what computes a session.
type Provider string

// Auto is CUDA if it loads, else CPU. The zero value is Auto.
const (
	Auto     Provider = "auto"
	CUDA     Provider = "cuda"
	TensorRT Provider = "tensorrt"
	CPU      Provider = "cpu"
)

// ProviderError says that a provider that was asked for is not to be had here; it is
// nothing about the model.
type ProviderError struct {
	Provider Provider
	Why      string
}

func (e *ProviderError) Error() string {
	return fmt.Sprintf("%s cannot be used: %s; with provider auto or cpu the model runs on the CPU", e.Provider, e.Why)
}

// graph is a loaded model and the shim's side of it.
type graph struct {
	session  *ort.DynamicAdvancedSession
	native   *native
	provider Provider
	note     string // why it is not the first choice; empty if it is

	restrained string // how much less it is optimised than others; empty if it is not
}

// close releases the graph: the shim's side before the session it points to.
func (g *graph) close() error {
	g.native.close()
	return g.session.Destroy()
}

// unfit says why a graph that loads on CUDA should not run there.
func (g *graph) unfit(nodes []attention) error {
	inputs, err := g.native.ports(false)
	if err != nil {
		return err
	}
	return unfitForCUDA(inputs, nodes)
}

// unfitForCUDA finds attention that CUDA has no kernel for: GroupQueryAttention in
// float32. It would run on the CPU, and the whole cache cross the bus at each step.
func unfitForCUDA(inputs []Port, nodes []attention) error {
	for _, p := range inputs {
		if p.Type == Float32 && slices.ContainsFunc(nodes, func(a attention) bool { return a.op == "GroupQueryAttention" && a.pastKey == p.Name }) {
			return fmt.Errorf("CUDA has no GroupQueryAttention for %s: export the model with float16 caches to run it there", p)
		}
	}
	return nil
}

// configure applies what holds on every provider.
func configure(options *ort.SessionOptions, o Options) error {
	return errors.Join(
		options.SetIntraOpNumThreads(o.Threads),
		options.SetInterOpNumThreads(1),
		// Idle sessions must not spin: several share one machine.
		options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		options.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
		// A memory pattern is kept for every shape ever seen, and a growing
		// sequence has a new shape at every step.
		options.SetMemPattern(false),
	)
}

// onGPU wraps create so that it finds the GPU's libraries, asks for the
// provider first, and leaves the process's signal handlers as they were.
func (e *Environment) onGPU(options *ort.SessionOptions, provider Provider, device int, create func() error) func() error {
	return func() error {
		name := map[Provider]string{CUDA: "CUDAExecutionProvider", TensorRT: "TensorrtExecutionProvider"}[provider]
		if !slices.Contains(e.providers, name) {
			return &ProviderError{provider, fmt.Sprintf("%s was built without %s: run `make build ORT=cuda`", e.library, name)}
		}
		return keepSignals(func() error {
			missing := preloadCUDA(filepath.Dir(e.library))
			if provider == TensorRT {
				if err := appendTensorRT(options, device); err != nil {
					return unavailable(provider, "TensorRT", err, missing)
				}
			}
			// TensorRT leaves to CUDA what it cannot compute.
			if err := appendCUDA(options, device); err != nil {
				return unavailable(provider, "CUDA", err, missing)
			}
			return create()
		})
	}
}

// unavailable says why what a provider needs does not load, and what is missing beside it.
func unavailable(provider Provider, what string, err, missing error) error {
	why := what + " does not load: " + reason(err)
	if strings.Contains(why, "CUDA failure 35") || strings.Contains(why, "CUDA failure 100") {
		why += " (there is no NVIDIA card, or its driver is not installed or older than this CUDA: nvidia-smi tells)"
	}
	if missing != nil {
		why += "; " + strings.ReplaceAll(missing.Error(), "\n", "; ")
	}
	return &ProviderError{provider, why}
}

func appendCUDA(options *ort.SessionOptions, device int) error {
	cuda, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer cuda.Destroy()
	if err := cuda.Update(cudaOptions(device)); err != nil {
		return err
	}
	return options.AppendExecutionProviderCUDA(cuda)
}

// cudaOptions are those in which we do not follow the provider's defaults, and those
// whose defaults rows depend on.
func cudaOptions(device int) map[string]string {
	return map[string]string{
		"device_id": strconv.Itoa(device),
		// TF32 rounds the factors of float32 products to ten bits.
		"use_tf32": "0",
		// A captured graph replays one shape, and no two runs have the same.
		"enable_cuda_graph": "0",
		// Caches come from the provider's arena; by default it would double at every
		// request and keep the half of a card for nothing.
		"arena_extend_strategy": "kSameAsRequested",
		// Kernels that are chosen by timing them differ between two starts.
		"tunable_op_enable":      "0",
		"cudnn_conv_algo_search": "HEURISTIC",
	}
}

func appendTensorRT(options *ort.SessionOptions, device int) error {
	trt, err := ort.NewTensorRTProviderOptions()
	if err != nil {
		return err
	}
	defer trt.Destroy()
	if err := trt.Update(map[string]string{"device_id": strconv.Itoa(device)}); err != nil {
		return err
	}
	return options.AppendExecutionProviderTensorRT(trt)
}

// cudaLibraries are what the CUDA provider links against, each after what it
// needs itself.
var cudaLibraries = []string{
	"libcudart.so.*", "libnvJitLink.so.*", "libcublasLt.so.*", "libcublas.so.*", "libcurand.so.*",
	"libcufft.so.*", "libnvrtc.so.*", "libcudnn.so.*",
}

// preloadCUDA opens the CUDA libraries that lie beside ONNX Runtime. The
// provider names them without a path and carries none, so the loader would
// look in the system's folders only. The error is worth telling if the provider
// does not load.
func preloadCUDA(folder string) error {
	var errs []error
	for _, pattern := range cudaLibraries {
		found, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			return err
		}
		for _, path := range found {
			if err := preload(path); err != nil {
				errs = append(errs, errors.New(strings.TrimSpace(err.Error())))
			}
		}
	}
	return errors.Join(errs...)
}

// reason is what an error of ONNX Runtime says, without the place in its source
// before it and the machine's particulars behind it.
func reason(err error) string {
	text := err.Error()
	if _, after, found := strings.Cut(text, "[ONNXRuntimeError] : "); found {
		text = after
	}
	text, _, _ = strings.Cut(text, " ; GPU=")
	return strings.TrimSpace(text)
}

// handleOf takes the native session out of the binding's, which does not show
// it. The binding stays its owner.
func handleOf(session *ort.DynamicAdvancedSession) (unsafe.Pointer, error) {
	v := reflect.ValueOf(session).Elem()
	for _, field := range []string{"s", "ortSession"} {
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return nil, errBinding
		}
		if v = v.FieldByName(field); !v.IsValid() || v.Kind() != reflect.Pointer || v.IsNil() {
			return nil, errBinding
		}
	}
	return v.UnsafePointer(), nil
}

var errBinding = errors.New("github.com/yalue/onnxruntime_go keeps its session elsewhere than in v1.27.0: build with that version")
