package onnx

import (
	"errors"
	"fmt"
	"strings"
)

// explanations say in plain words what ONNX Runtime's messages about a model mean,
// and what to do. The message itself follows.
var explanations = []struct {
	sign string // a part of the message
	what string // VERSION is the runtime's, OPSET what the file was written for
}{
	{"is not a registered function/op", "ONNX Runtime VERSION does not know an operator of this model (OPSET): use a newer ONNX Runtime, or export the model for an older one"},
	{"Could not find an implementation for", "ONNX Runtime VERSION cannot compute an operator of this model on this provider: usually the type of its numbers (bfloat16 on a CPU), so export the model as float16, float32 or int4"},
	{"is under development", "the model is written for a newer ONNX than ONNX Runtime VERSION knows (OPSET): use a newer ONNX Runtime, or export the model with a lower opset"},
	{"Unsupported model IR version", "the model is written for a newer ONNX than ONNX Runtime VERSION knows (OPSET): use a newer ONNX Runtime, or export the model with a lower opset"},
	{"Opset", "ONNX Runtime VERSION does not accept the operator set of this model (OPSET): export the model with another opset"},
	{"Unrecognized attribute", "the model uses an option of an operator that ONNX Runtime VERSION does not know (OPSET): use a newer ONNX Runtime, or an older exporter"},
	{"implemented only on the CUDA", "the model was exported for a GPU and needs one: export it for the CPU (for ONNX Runtime GenAI's builder, -e cpu)"},
	{"not in range [min=", "an operator of the model has inputs that ONNX Runtime VERSION does not know (OPSET): use a newer ONNX Runtime, or an older exporter"},
	{"is not a graph input, initializer, or output", "its exporter wrote a graph that does not hold together: export the model again with another version of the exporter"},
	{"does not exist in the graph", "its exporter wrote a graph that does not hold together: export the model again with another version of the exporter"},
	{"nbits_ == ", "ONNX Runtime VERSION has no product of this number of bits with these types on this provider: take another variant of the model, with four bits or float32"},
	{"Protobuf parsing failed", "the file is broken or cut off: fetch it again"},
	{"bad_alloc", "there is not enough memory for this model"},
	{"Failed to allocate memory", "there is not enough memory for this model"},
	{"External data path", "ONNX Runtime does not read weights from outside the model's folder; links that lead out of it count as outside: copy the files into the folder"},
}

// explain puts an error of ONNX Runtime about the model into plain words.
func (f *file) explain(err error, version string) error {
	text := brief(reason(err))
	for _, e := range explanations {
		if strings.Contains(text, e.sign) {
			what := strings.NewReplacer("VERSION", version, "OPSET", f.opset()).Replace(e.what)
			return fmt.Errorf("%s (it says: %s)", what, text)
		}
	}
	return errors.New(text)
}

// explainLoading is explain for an error of loading: a message that tells nothing comes
// from a file that is not as its exporter meant it.
func (f *file) explainLoading(err error, version string) error {
	var provider *ProviderError
	if errors.As(err, &provider) {
		return provider
	}
	explained := f.explain(err, version)
	if text := brief(reason(err)); explained.Error() == text {
		return fmt.Errorf("ONNX Runtime %s does not accept it: it is damaged, or its exporter wrote it wrongly: fetch or export it again (it says: %s)", version, text)
	}
	return explained
}

// brief cuts what ONNX Runtime writes before the point of a message: where in its
// source it happened, and the whole node with all its types.
func brief(text string) string {
	for _, lead := range []string{"Status Message: ", " , Error ", "failed:", "Error creating C session from file: ", "Error creating session: ", "Exception during initialization: ", "This is an invalid model. ", " was false. "} {
		if _, after, found := strings.Cut(text, lead); found {
			text = after
		}
	}
	const most = 300
	text = strings.ToValidUTF8(strings.TrimSpace(text), "?")
	if len(text) > most { // the point comes last
		text = "… " + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	return text
}
