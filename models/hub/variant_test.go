package hub

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// listed is a listing of files, each of 1,000,000 bytes or as it says: NAME=SIZE.
func listed(names ...string) *Listing {
	l := &Listing{Repository: "people/model", Revision: "main"}
	for _, name := range names {
		f := File{Path: name, Size: 1_000_000, Digest: Digest(strings.Repeat("0", 40))}
		if path, size, ok := strings.Cut(name, "="); ok {
			f.Path = path
			fmt.Sscan(size, &f.Size)
		}
		l.Files = append(l.Files, f)
	}
	return l
}

func onnxCommunity() *Listing {
	return listed("README.md", "config.json", "tokenizer.json", "onnx/model.onnx", "onnx/model.onnx_data", "onnx/model_fp16.onnx", "onnx/model_fp16.onnx_data", "onnx/model_fp16.onnx_data_1",
		"onnx/model_int8.onnx", "onnx/model_q4.onnx", "onnx/model_q4f16.onnx", "onnx/model_quantized.onnx", "onnx/model_bnb4.onnx", "onnx/model_uint8.onnx")
}

func genai() *Listing {
	const cpu, cuda = "cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4/", "cuda/cuda-fp16/"
	return listed("README.md", "config.json", cpu+"config.json", cpu+"genai_config.json", cpu+"model.onnx", cpu+"model.onnx.data", cpu+"tokenizer.json", cpu+"tokenizer_config.json",
		cuda+"model.onnx", cuda+"model.onnx.data", cuda+"tokenizer.json", cuda+"genai_config.json")
}

func TestVariantsAreChosenByName(t *testing.T) {
	merged := listed("tokenizer.json", "onnx/decoder_model.onnx", "onnx/decoder_with_past_model.onnx", "onnx/decoder_model_merged.onnx", "onnx/decoder_model_merged_q4.onnx")
	both := listed("tokenizer.json", "model.onnx", "onnx/model.onnx", "model_q4.onnx", "onnx/model_q4.onnx")
	one := listed("tokenizer.json", "export/weights.onnx", "export/weights.data")
	vision := listed("tokenizer.json", "onnx/vision_encoder.onnx", "onnx/embed_tokens.onnx", "onnx/decoder_model_merged_fp16.onnx")
	for name, c := range map[string]struct {
		listing *Listing
		variant string
		graph   string // or what the error says, after !
	}{
		"none is plain":                  {onnxCommunity(), "", "onnx/model.onnx"},
		"fp32 is plain":                  {onnxCommunity(), "fp32", "onnx/model.onnx"},
		"q4f16":                          {onnxCommunity(), "q4f16", "onnx/model_q4f16.onnx"},
		"q4 is not q4f16":                {onnxCommunity(), "q4", "onnx/model_q4.onnx"},
		"q8 is quantized":                {onnxCommunity(), "q8", "onnx/model_quantized.onnx"},
		"a path":                         {onnxCommunity(), "onnx/model_fp16.onnx", "onnx/model_fp16.onnx"},
		"a path from a shell":            {onnxCommunity(), "./onnx/model_fp16.onnx", "onnx/model_fp16.onnx"},
		"a file's name":                  {onnxCommunity(), "model_bnb4.onnx", "onnx/model_bnb4.onnx"},
		"a file's name without end":      {onnxCommunity(), "model_bnb4", "onnx/model_bnb4.onnx"},
		"none such":                      {onnxCommunity(), "q3", "!has no variant q3: choose another with --variant\n    onnx/model.onnx    2.0 MB  onnx/model.onnx\n    bnb4               1.0 MB  onnx/model_bnb4.onnx\n    fp16               3.0 MB"},
		"an odd name":                    {onnxCommunity(), "\x1b[2J", `!has no variant \x1b[2J`},
		"merged where there is no other": {merged, "", "onnx/decoder_model_merged.onnx"},
		"merged, quantised":              {merged, "q4", "onnx/decoder_model_merged_q4.onnx"},
		"the root comes first":           {both, "", "model.onnx"},
		"the root's flavour too":         {both, "q4", "model_q4.onnx"},
		"and a path chooses":             {both, "onnx/model_q4.onnx", "onnx/model_q4.onnx"},
		"the only graph":                 {one, "", "export/weights.onnx"},
		"parts of a larger model":        {vision, "", "!choose one with --variant"},
		"one of them":                    {vision, "fp16", "onnx/decoder_model_merged_fp16.onnx"},
		"several folders":                {genai(), "", "!several graphs and none is plain"},
		"a folder's name":                {genai(), "cuda-fp16", "cuda/cuda-fp16/model.onnx"},
		"a folder's path":                {genai(), "cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4/", "cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4/model.onnx"},
		"no graph":                       {listed("model.safetensors", "tokenizer.json"), "", "!optimum-cli export onnx --model people/model"},
		"no graph, with a variant":       {listed("model.safetensors"), "q4", "!has no ONNX graph"},
	} {
		v, err := c.listing.Choose(c.variant)
		if says, fails := strings.CutPrefix(c.graph, "!"); fails {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, want %q", name, err, says)
			}
		} else if err != nil || v.Graph.Path != c.graph {
			t.Errorf("%s: %s, %v, want %s", name, v.Graph.Path, err, c.graph)
		}
	}
}

func TestEveryVariantsNameChoosesIt(t *testing.T) {
	for _, l := range []*Listing{onnxCommunity(), genai(),
		listed("model.onnx", "onnx/model.onnx", "onnx/model_q4.onnx", "model_q4.onnx", "a/model.onnx", "b/a/model.onnx", "b/a/other.onnx", "onnx/model_merged.onnx", "onnx/decoder_model_merged.onnx", "fp32/x.onnx", "q8/y.onnx")} {
		for _, v := range l.Variants() {
			chosen, err := l.Choose(v.Name)
			if err != nil || chosen.Graph != v.Graph {
				t.Errorf("%s chooses %s, not %s: %v", v.Name, chosen.Graph.Path, v.Graph.Path, err)
			}
		}
	}
}

func TestDataBelongsToItsGraph(t *testing.T) {
	l := listed("onnx/model.onnx=1", "onnx/model.onnx_data=10", "onnx/model.onnx_data_1=100", "onnx/model.onnx.data=1000", "onnx/model.data=10000",
		"onnx/model.onnx_data_x", "onnx/model.onnx_database", "model.onnx_data", "onnx/model_q4.onnx_data", "onnx/xmodel.onnx_data")
	if got := l.Variants()[0]; got.Bytes() != 11111 || len(got.Data) != 4 {
		t.Errorf("%d bytes in %v", got.Bytes(), got.Data)
	}
}

func TestAPlanIsTheGraphsFolder(t *testing.T) {
	const cpu = "cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4"
	for name, c := range map[string]struct {
		listing     *Listing
		variant     string
		home, graph string
		files       []string
	}{
		"the root, graphs in onnx/": {onnxCommunity(), "fp16", ".", "onnx/model_fp16.onnx", []string{"config.json", "tokenizer.json", "onnx/model_fp16.onnx", "onnx/model_fp16.onnx_data", "onnx/model_fp16.onnx_data_1"}},
		"the root alone":            {listed("tokenizer.json", "config.json", "model.onnx", "vocab.txt", "onnx/tokenizer.json"), "", ".", "model.onnx", []string{"config.json", "tokenizer.json", "model.onnx"}},
		"a folder of its own":       {genai(), "cpu-int4-rtn-block-32-acc-level-4", cpu, "model.onnx", []string{cpu + "/config.json", cpu + "/genai_config.json", cpu + "/tokenizer.json", cpu + "/tokenizer_config.json", cpu + "/model.onnx", cpu + "/model.onnx.data"}},
		"onnx/ has all, and so the root": {listed("config.json", "tokenizer.json", "onnx/config.json", "onnx/tokenizer.json", "onnx/model.onnx"), "", ".", "onnx/model.onnx",
			[]string{"config.json", "tokenizer.json", "onnx/model.onnx"}},
		"onnx/ alone has all": {listed("README.md", "onnx/config.json", "onnx/tokenizer.json", "onnx/model.onnx"), "", "onnx", "model.onnx",
			[]string{"onnx/config.json", "onnx/tokenizer.json", "onnx/model.onnx"}},
		"named chat templates": {listed("config.json", "tokenizer.json", "model.onnx", "additional_chat_templates/tool_use.jinja", "additional_chat_templates/x.txt", "a/additional_chat_templates/b.jinja"), "", ".", "model.onnx",
			[]string{"config.json", "tokenizer.json", "additional_chat_templates/tool_use.jinja", "model.onnx"}},
		"a folder without a tokenizer": {listed("config.json", "tokenizer.json", "int4/model.onnx"), "", ".", "int4/model.onnx", []string{"config.json", "tokenizer.json", "int4/model.onnx"}},
	} {
		v, err := c.listing.Choose(c.variant)
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.listing.Plan(v)
		var files []string
		for _, f := range p.Files {
			files = append(files, f.Path)
		}
		if err != nil || p.Home != c.home || p.Graph() != c.graph || !slices.Equal(files, c.files) || len(p.Notes) != 0 {
			t.Errorf("%s: %v, home %s, graph %s, files %q, notes %q", name, err, p.Home, p.Graph(), files, p.Notes)
		}
	}
}

func TestAModelWithoutATokenizerIsRefused(t *testing.T) {
	l := listed("config.json", "onnx/model.onnx", "vocab.txt", "other/tokenizer.json")
	v, err := l.Choose("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Plan(v); err == nil || !strings.Contains(err.Error(), "no tokenizer.json") || !strings.Contains(err.Error(), "save_pretrained") {
		t.Error(err)
	}
	if p, err := listed("tokenizer.json", "model.onnx").Plan(v); err != nil || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "neither config.json nor genai_config.json") {
		t.Error(err, p.Notes)
	}
}
