package hub

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
)

// Variant is one of a repository's graphs with its external data.
type Variant struct {
	Name  string // as --variant takes it: q4f16, a folder, or the graph's path
	Graph File
	Data  []File // found by name; what the graph itself names is checked by Pull
}

// Bytes is the size of the graph and its data.
func (v Variant) Bytes() int64 {
	total := v.Graph.Size
	for _, f := range v.Data {
		total += f.Size
	}
	return total
}

// Variants are all graphs of a repository, in the order of their paths.
func (l *Listing) Variants() []Variant {
	data := map[string][]File{} // by graph
	for _, f := range l.Files {
		for _, graph := range graphsOf(f.Path) {
			data[graph] = append(data[graph], f)
		}
	}
	var all []Variant
	for _, f := range l.Files {
		if strings.HasSuffix(f.Path, ".onnx") {
			all = append(all, Variant{Graph: f, Data: data[f.Path]})
		}
	}
	slices.SortFunc(all, func(a, b Variant) int { return cmp.Compare(a.Graph.Path, b.Graph.Path) })
	for i := range all {
		all[i].Name = all[i].Graph.Path
		if len(all) <= maxGraphs {
			all[i].Name = shortName(all, all[i].Graph.Path)
		}
	}
	return all
}

var numbered = regexp.MustCompile(`^(.+\.onnx)_data(?:_\d{1,4})?$`)

// graphsOf are the graphs whose external data a file is by its name. Exporters write
// X.onnx_data, X.onnx_data_1 …, X.onnx.data and X.data for X.onnx.
func graphsOf(name string) []string {
	if found := numbered.FindStringSubmatch(name); found != nil {
		return found[1:]
	}
	graph, ok := strings.CutSuffix(name, ".data")
	switch {
	case !ok:
		return nil
	case strings.HasSuffix(graph, ".onnx"):
		return []string{graph}
	}
	return []string{graph + ".onnx"}
}

// The graphs that are a whole decoder with its cache, best first.
func decoders() []string { return []string{"model", "decoder_model_merged"} }

// plain is the flavour of a graph whose name has none. It may hold weights of any
// kind, and is fp32 only by habit.
const plain = "fp32"

// flavour is how exporters tell what a graph was quantised to: onnx/model_q4f16.onnx
// is q4f16. Names that are no decoder's have no flavour.
func flavour(graph string) (decoder, name string) {
	folder, base := path.Split(graph)
	if folder != "" && folder != "onnx/" {
		return "", ""
	}
	base = strings.TrimSuffix(base, ".onnx")
	for _, decoder := range decoders() {
		if base == decoder {
			return decoder, plain
		}
		if rest, ok := strings.CutPrefix(base, decoder+"_"); ok && (decoder != "model" || !strings.HasPrefix(rest, "merged")) {
			return decoder, rest
		}
	}
	return "", ""
}

// shortName is the shortest that Choose understands as this graph.
func shortName(all []Variant, graph string) string {
	_, name := flavour(graph)
	for _, candidate := range []string{name, path.Base(path.Dir(graph)), path.Dir(graph)} {
		if candidate == "" || candidate == "." || candidate == "onnx" || candidate == plain {
			continue
		}
		if found := matching(all, candidate); len(found) == 1 && found[0].Graph.Path == graph {
			return candidate
		}
	}
	return graph
}

// matching finds the graphs that a name means: a path, a flavour (model before
// decoder_model_merged, the root before onnx/), a folder's path, or a folder's name.
func matching(all []Variant, name string) []Variant {
	name = path.Clean(strings.Trim(strings.ReplaceAll(name, `\`, "/"), "/"))
	if name == "q8" { // as transformers.js calls it
		name = "quantized"
	}
	if i := slices.IndexFunc(all, func(v Variant) bool { return v.Graph.Path == name }); i >= 0 {
		return all[i : i+1]
	}
	for _, want := range decoders() {
		for _, folder := range []string{".", "onnx"} {
			for i, v := range all {
				if decoder, f := flavour(v.Graph.Path); decoder == want && f == name && path.Dir(v.Graph.Path) == folder {
					return all[i : i+1]
				}
			}
		}
	}
	for _, part := range []func(string) string{
		func(p string) string { return path.Dir(p) },
		func(p string) string { return path.Base(path.Dir(p)) },
		func(p string) string { return path.Base(p) },
		func(p string) string { return strings.TrimSuffix(path.Base(p), ".onnx") },
	} {
		var found []Variant
		for _, v := range all {
			if part(v.Graph.Path) == name {
				found = append(found, v)
			}
		}
		if len(found) > 0 {
			return preferred(found)
		}
	}
	return nil
}

// preferred narrows several graphs of one folder to the one called model.onnx.
func preferred(found []Variant) []Variant {
	for i, v := range found {
		if len(found) > 1 && path.Base(v.Graph.Path) == "model.onnx" {
			rest := slices.Concat(found[:i], found[i+1:])
			if !slices.ContainsFunc(rest, func(o Variant) bool { return path.Base(o.Graph.Path) == "model.onnx" }) {
				return found[i : i+1]
			}
		}
	}
	return found
}

// Choose finds a variant by name. An empty name is the plain one, model.onnx, or the
// only one that there is.
func (l *Listing) Choose(name string) (Variant, error) {
	all := l.Variants()
	if len(all) == 0 {
		return Variant{}, fmt.Errorf("%s has no ONNX graph: export one with\n\n    pip install 'optimum[onnx]'\n    optimum-cli export onnx --model %s --task text-generation-with-past ./models/%s\n\nand name that folder in the configuration, or look for the model under https://huggingface.co/onnx-community",
			l.Repository, l.Repository, path.Base(l.Repository))
	}
	asked := name
	if asked == "" {
		asked = plain
	}
	found := matching(all, asked)
	if name == "" && len(found) != 1 {
		found = all
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1 && name == "":
		return Variant{}, fmt.Errorf("%s has several graphs and none is plain model.onnx: choose one with --variant\n%s", l.Repository, Table(found))
	case len(found) > 1:
		return Variant{}, fmt.Errorf("%s has several graphs called %s: choose one by its path with --variant\n%s", l.Repository, printable(name), Table(found))
	}
	return Variant{}, fmt.Errorf("%s has no variant %s: choose another with --variant\n%s", l.Repository, printable(name), Table(all))
}

// Table lists variants for people, one a line: name, size, graph.
func Table(variants []Variant) string {
	widest := 0
	for _, v := range variants {
		widest = max(widest, len(v.Name))
	}
	lines := make([]string, len(variants))
	for i, v := range variants {
		lines[i] = strings.TrimRight(fmt.Sprintf("    %-*s  %8s  %s", widest, printable(v.Name), humanize.Bytes(uint64(v.Bytes())), printable(v.Graph.Path)), " ")
	}
	return strings.Join(lines, "\n")
}
