package hub_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/models/hub"
)

// exported is what testdata/external.py wrote with the onnx library.
func exported(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/external.onnx")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestLocationsAreFoundWhereverTensorsAre(t *testing.T) {
	got, err := hub.Locations(bytes.NewReader(exported(t)))
	want := []string{"in_node.bin", "model.onnx_data_1", "in_branch.bin", "model.onnx_data", "sparse values.bin", "in_function.bin"}
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, name := range []string{"../demo/base/model.onnx", "../demo/small/model.onnx"} {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got, err := hub.Locations(f); err != nil || len(got) > 0 {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestCutAndWildGraphsAreErrors(t *testing.T) {
	whole := exported(t)
	cut := 0
	for end := range len(whole) {
		if _, err := hub.Locations(bytes.NewReader(whole[:end])); err != nil {
			cut++
		}
	}
	if cut < len(whole)-20 { // a cut between two fields of the model is not seen
		t.Errorf("%d of %d cuts were seen", cut, len(whole))
	}
	deep := []byte{}
	for range 100 { // If in If in If, and their lengths
		deep = append([]byte{6<<3 | 2}, append(varint(len(deep)), deep...)...) // attribute.g
		deep = append([]byte{5<<3 | 2}, append(varint(len(deep)), deep...)...) // node.attribute
		deep = append([]byte{1<<3 | 2}, append(varint(len(deep)), deep...)...) // graph.node
	}
	deep = append([]byte{7<<3 | 2}, append(varint(len(deep)), deep...)...)
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"text":          {[]byte("version https://git-lfs.github.com/spec/v1\n"), "not readable as an ONNX graph"},
		"nested":        {deep, "nested too deeply"},
		"a huge length": {[]byte{7<<3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, "unexpected EOF"},
		"a huge varint": {bytes.Repeat([]byte{0xff}, 20), "overflows"},
		"a long name":   {external(strings.Repeat("x", 100), "y")[:50], "unexpected EOF"},
	} {
		if _, err := hub.Locations(bytes.NewReader(c.data)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func varint(n int) (out []byte) {
	for ; n > 127; n >>= 7 {
		out = append(out, byte(n)|128)
	}
	return append(out, byte(n))
}

func TestDataThatTheGraphNamesIsFetchedToo(t *testing.T) {
	repo := usual()
	repo.Files["onnx/model_q4.onnx"] = external("weights one.bin", "model_q4.onnx_data")
	repo.Files["onnx/weights one.bin"], repo.Files["onnx/model_q4.onnx_data"] = noise(3000), noise(4000)
	inWorld(t, repo, hub.Options{}, func(w *world) {
		result, err := w.pull(w.t.Context(), "q4")
		if err != nil {
			w.t.Fatal(err)
		}
		w.holds(repo, append(slices.Clone(companionsOfUsual), "onnx/model_q4.onnx", "onnx/model_q4.onnx_data", "onnx/weights one.bin")...)
		if last := result.Files[len(result.Files)-1]; last.Path != "onnx/weights one.bin" || last.How != hub.Fetched {
			w.t.Errorf("last came %+v", last)
		}
	})
	for name, location := range map[string]string{"missing": "gone.bin", "outside": "../../etc/passwd", "absolute": "/etc/passwd"} {
		repo.Files["onnx/model_q4.onnx"] = external(location)
		t.Run(name, func(t *testing.T) {
			inWorld(t, repo, hub.Options{}, func(w *world) {
				if _, err := w.pull(w.t.Context(), "q4"); err == nil || !strings.Contains(err.Error(), "keeps weights in a file") {
					w.t.Error(err)
				}
			})
		})
	}
}

func TestAGraphThatIsNoneIsNoted(t *testing.T) {
	repo := usual()
	repo.Files["onnx/model_q4.onnx"] = []byte("this is no graph")
	inWorld(t, repo, hub.Options{}, func(w *world) {
		result, err := w.pull(w.t.Context(), "q4")
		if err != nil || len(result.Notes) != 1 || !strings.Contains(result.Notes[0], "not readable as an ONNX graph") {
			w.t.Error(err, result.Notes)
		}
	})
}

func FuzzLocations(f *testing.F) {
	f.Add(exported(f))
	f.Add(external("a", "b"))
	f.Add([]byte{7<<3 | 2, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		locations, err := hub.Locations(bytes.NewReader(data))
		if err != nil && locations != nil {
			t.Error("locations beside an error")
		}
		for _, l := range locations {
			if len(l) > 1024 || l != "" && !bytes.Contains(data, []byte(l)) {
				t.Errorf("%q is not in the graph", l)
			}
		}
	})
}
