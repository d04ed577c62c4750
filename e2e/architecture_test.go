package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/graft-gateway/graft"

// house says which of our packages a room may import, and why no others. A room is a
// folder with all below it, unless a longer entry names the folder.
var house = map[string]struct {
	may []string
	why string
}{
	"":                            {[]string{"gateway/cli"}, "main starts the commands and does nothing else"},
	"eft":                         {nil, "the method is pure: anybody can read, test and reuse it alone"},
	"eft/decode":                  {[]string{"eft"}, "the loop declares what it needs and knows no model or server"},
	"models":                      {[]string{"eft", "models/chattemplate", "models/demo", "models/onnx", "models/onnx/onnxtest", "models/prefix", "models/tokenizer"}, "models are handed in by cli and know nobody who uses them"},
	"models/onnx":                 {[]string{"eft", "models/onnx/synthetic"}, "a runtime knows rows and tokens, not folders or templates; its tests write models of a wished size"},
	"models/onnx/onnxtest":        {[]string{"models/onnx"}, "it starts the runtime for tests and knows nothing else"},
	"models/onnx/synthetic":       {[]string{"eft", "models/onnx", "models/onnx/onnxtest"}, "files of a wished size: whoever measures loads them as any others"},
	"models/tokenizer":            {[]string{"eft"}, "others may use it alone"},
	"models/chattemplate":         {nil, "others may use it alone"},
	"models/hub":                  {[]string{"models/hub/hubtest"}, "others may use it alone"},
	"models/prefix":               {[]string{"eft", "eft/chain", "gateway/store/redistest"}, "it keeps keys and values by prefix in a tier that it is handed, and knows no model"},
	"models/hub/hubtest":          {nil, "a Hub for tests knows nobody who asks it"},
	"models/demo":                 {nil, "files and questions, nothing that runs"},
	"proxy":                       {[]string{"eft", "proxy/proxytest"}, "a base server gives rows; who mixes them is not its business"},
	"proxy/proxytest":             {nil, "a faulty server for tests knows nobody who asks it"},
	"proxy/dialecttest":           {[]string{"eft", "proxy", "proxy/proxytest"}, "what all dialects must do is said of their common contract, not of any one"},
	"proxy/enginetest":            {[]string{"eft"}, "a model behind a server for tests knows no server"},
	"proxy/vllm":                  {[]string{"eft", "proxy", "proxy/proxytest"}, "a dialect knows its server's wire and nothing of other dialects"},
	"proxy/llamacpp":              {[]string{"eft", "proxy", "proxy/dialecttest", "proxy/proxytest", "proxy/llamacpp/llamacpptest"}, "a dialect knows its server's wire and nothing of other dialects"},
	"proxy/llamacpp/llamacpptest": {[]string{"eft", "proxy/enginetest"}, "a server for tests knows nobody who asks it"},
	"proxy/sglang":                {[]string{"eft", "proxy", "proxy/dialecttest", "proxy/proxytest", "proxy/sglang/sglangtest"}, "a dialect knows its server's wire and nothing of other dialects"},
	"proxy/sglang/sglangtest":     {[]string{"eft", "proxy/enginetest"}, "a server for tests knows nobody who asks it"},
	"proxy/openai":                {[]string{"eft", "proxy", "proxy/dialecttest", "proxy/proxytest", "proxy/openai/openaitest"}, "a dialect knows its server's wire and nothing of other dialects"},
	"proxy/openai/openaitest":     {[]string{"eft", "proxy/enginetest"}, "a server for tests knows nobody who asks it"},
	"proxy/rowcache":              {[]string{"eft", "eft/chain", "gateway/store/redistest"}, "it keeps rows, whoever made them, in a tier that it is handed"},
	"eft/chain":                   {[]string{"eft"}, "keys are functions of tokens"},
	"gateway/store":               {[]string{"gateway/store/redistest"}, "tiers know bytes and keys, nothing of models"},
	"gateway/store/redistest":     {nil, "Redis for tests knows nobody who asks it"},
	"gateway":                     {[]string{"eft", "eft/decode", "gateway/openai"}, "the face speaks eft's types; models and bases come in by its interfaces"},
	"gateway/openai":              {[]string{"eft"}, "the wire knows no route and no model"},
	"gateway/bench":               {[]string{"eft", "gateway/openai"}, "it measures servers as their clients see them"},
	"gateway/bench/simulated":     {[]string{"eft"}, "a large base that takes its time: rows come from a model that it is handed"},
	"gateway/doctor":              {[]string{"eft"}, "it judges facts that are brought to it, and runs what it is handed"},
	"gateway/cli":                 {[]string{"eft", "eft/decode", "gateway", "gateway/bench", "gateway/bench/simulated", "gateway/doctor", "gateway/openai", "gateway/store", "gateway/store/redistest", "proxy", "proxy/llamacpp", "proxy/openai", "proxy/rowcache", "proxy/sglang", "proxy/vllm", "models", "models/onnx", "models/onnx/onnxtest", "models/onnx/synthetic", "models/prefix", "models/tokenizer", "models/chattemplate", "models/demo", "models/hub", "models/hub/hubtest"}, "the only room that imports everything"},
	"deploy":                      {nil, "files that others run, and their tests"},
	"deploy/onnxruntime":          {nil, "an installer and its test"},
	"e2e":                         {[]string{"eft", "gateway/store/redistest", "models/demo", "models/hub/hubtest", "proxy/proxytest", "proxy/llamacpp/llamacpptest", "proxy/sglang/sglangtest", "proxy/openai/openaitest"}, "stories see what users see, the questions, a Hub to pull from, and base servers to break, whose models are functions of tokens"},
}

type listed struct {
	ImportPath             string
	Imports, TestImports   []string
	XTestImports, CgoFiles []string
	Standard               bool
}

func packages(t *testing.T) []listed {
	t.Helper()
	command := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports,CgoFiles", "./...")
	command.Dir = root
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// room is the part of an import path below the module, and whether it is ours.
func room(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

func TestImportsRunOneWay(t *testing.T) {
	for _, p := range packages(t) {
		name, _ := room(p.ImportPath)
		rules, known := house[name]
		if !known {
			t.Errorf("%s is a room that the house does not know: add it with what it may import, and why", name)
			continue
		}
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			other, ours := room(path)
			if ours && other != name && !slices.Contains(rules.may, other) {
				t.Errorf("%s imports %s: %s", name, other, rules.why)
			}
			if !ours && strings.HasPrefix(name, "eft") && strings.Contains(path, ".") && path != "golang.org/x/sys/cpu" {
				t.Errorf("%s imports %s: eft needs the standard library, and to know what the processor can", name, path)
			}
		}
	}
}

func TestForeignLibrariesHaveOneRoom(t *testing.T) {
	for _, rule := range []struct{ library, rooms, why string }{
		{"github.com/yalue/onnxruntime_go", "models/onnx", "one owner for native objects"},
		{"github.com/go-chi/chi/v5", "gateway", "all routes in one file"},
		{"github.com/alecthomas/kong", "gateway/cli", "commands belong to cli"},
		{"github.com/goccy/go-yaml", "gateway/cli", "configuration belongs to cli"},
		{"github.com/jedib0t/go-pretty/v6", "gateway/doctor gateway/bench", "one way to show tables to people"},
		{"github.com/vbauerster/mpb/v8", "gateway/cli", "what a terminal shows belongs to commands"},
		{"github.com/redis/go-redis/v9", "gateway/store", "bytes and keys are the tiers' alone"},
		{"github.com/maypok86/otter/v2", "gateway/store", "bytes and keys are the tiers' alone"},
		{"github.com/dlclark/regexp2", "models/tokenizer", "foreign patterns are tokenizers' alone"},
	} {
		for _, p := range packages(t) {
			name, _ := room(p.ImportPath)
			for _, path := range p.Imports {
				if (path == rule.library || strings.HasPrefix(path, rule.library+"/")) && !slices.Contains(strings.Fields(rule.rooms), name) {
					t.Errorf("%s imports %s, whose place is %s: %s", name, path, rule.rooms, rule.why)
				}
			}
		}
	}
}

func TestCgoStaysInOneRoom(t *testing.T) {
	for _, p := range packages(t) {
		if name, _ := room(p.ImportPath); len(p.CgoFiles) > 0 && name != "models/onnx" {
			t.Errorf("%s has C in it (%v): C is confined to models/onnx", name, p.CgoFiles)
		}
	}
}
