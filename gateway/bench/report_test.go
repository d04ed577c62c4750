package bench

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// several is a report with something of everything.
func several() *Report {
	r := NewReport(true)
	r.Date, r.Seconds = time.Date(2026, 11, 1, 12, 30, 0, 0, time.UTC), 38.2
	r.Machine = Machine{CPU: "Some \x1bProcessor", Processors: 2, Threads: 2, System: "linux/amd64", Go: "go1.26", ONNXRuntime: "1.26.0", Memory: 8 << 30, LoadBefore: .25, Others: .31}
	latency := Latency{.06, .09, .0042, .008, .065}
	for _, checking := range []string{"list of prefixes", "one pass"} {
		for _, lowered := range []float64{0, .5} {
			for _, clients := range []int{1, 16} {
				for _, drafter := range []string{"off", "auto"} {
					c := Cell{
						Base: "simulated", Checking: checking, Drafter: drafter, Strength: 1, Concurrency: clients, Prompt: 18.3, Answer: Natural, Lowered: lowered,
						TokensPerSecond: 99, PlainTokensPerSecond: 33, Ratio: 3, RatioLow: 2.75, RatioHigh: 3.25, Rounds: 2,
						Answers: 6, AnswerTokens: 16, Tokens: 96, Seconds: 1.5, BaseCalls: 20, Latency: latency, PlainLatency: latency,
					}
					if drafter == "auto" {
						c.Agreement, c.Drafted, c.Agreed = .9, 80, 72
					}
					r.Cells = append(r.Cells, c)
				}
			}
		}
	}
	r.Cells[1].Errors = 2
	r.Cells = append(r.Cells, Cell{Base: "http://there/v1", Drafter: "auto", Strength: .5, Temperature: .8, Concurrency: 64, Answer: Fixed, AnswerTokens: 64, TokensPerSecond: 12345.6, PlainTokensPerSecond: 3.14159, Ratio: 3929.7})
	r.FirstToken = []FirstToken{{"in-process", FromNowhere, 1006.2, .0475, .06, 1, 5}, {"in-process", FromMemory, 1006.2, .0035, .004, 13.6, 5}}
	r.Models = []DecodingReport{{
		Model: "176 MB", Threads: 1, Memory: Bandwidth{10e9, 14e9, 2, 256 << 20}, StepBytes: 176_000_000, TokenBytes: 4096, Past: 32, Steps: 24, Rounds: 5,
		Cells: []DecodingCell{{1, 70, 66, 71, 176e6, .88, 1.2, 1}, {16, 560, 540, 570, 180e6, .45, .6, 8}},
	}}
	r.Overhead = []OverheadReport{{
		Way:   "pass-through",
		Cells: []OverheadCell{{1, 32, 2500, 80000, 3500, .0001, .0001, .0004, .0008, .0003, .0004}},
		Slope: []OverheadSlope{{1, .00005, .000002, .99, .00004, .000001, .999}}, Open: OpenLoop{Streams: 64, Capacity: 18000, TokensPerSecond: 9000, Tokens: 36000, P50: .001, P99: .006, DirectP50: .0009, DirectP99: .005, AddedP50: .0001, AddedP99: .001},
	}}
	r.Note("something was left out")
	r.Note("something was left out")
	r.Failures = []string{"server: it did not start"}
	return r
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not as it was (go test ./gateway/bench -update writes it anew):\n%s", path, got)
	}
}

// Programs read these names: a change of this file is a change for all of them.
func TestTheNamesInJSONAreAsTheyWere(t *testing.T) {
	text, err := json.MarshalIndent(several(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", append(text, '\n'))
	empty, err := json.Marshal(NewReport(false))
	if err != nil || bytes.Contains(empty, []byte("null")) {
		t.Errorf("a report in which nothing was measured has nulls: %s, %v", empty, err)
	}
}

func TestTheTableIsAsItWas(t *testing.T) {
	var out bytes.Buffer
	if err := WriteTable(&out, several()); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.txt", out.Bytes())
	if bytes.ContainsRune(out.Bytes(), '\x1b') {
		t.Error("a name steers the terminal")
	}
	if err := WriteTable(stuck{}, several()); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("%v", err)
	}
}

type stuck struct{}

func (stuck) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// drawn is what of a picture can be told apart.
type drawn struct {
	title string
	words []string
	fills []string
}

// parse reads a picture as a browser would.
func parse(t *testing.T, svg []byte) drawn {
	t.Helper()
	var d drawn
	decoder, inside := xml.NewDecoder(bytes.NewReader(svg)), ""
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return d
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			inside = e.Name.Local
			for _, a := range e.Attr {
				if a.Name.Local == "style" && inside == "path" {
					d.fills = append(d.fills, a.Value)
				}
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
					t.Errorf("%s: %s", a.Name.Local, a.Value)
				}
			}
		case xml.CharData:
			switch text := strings.TrimSpace(string(e)); {
			case text == "":
			case inside == "title":
				d.title = text
			case inside == "text":
				d.words = append(d.words, text)
			}
		case xml.EndElement:
			inside = ""
		}
	}
}

func TestPicturesShowTheFigures(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	names, err := WritePlots(dir, several())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ratio-simulated-list-of-prefixes.svg", "ratio-simulated-one-pass.svg", "agreement-auto.svg", "first-token.svg", "batches.svg"}
	if !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	for name, words := range map[string][]string{
		"ratio-simulated-one-pass.svg": {"off", "auto", "1", "16", "plain base", "3.0", "clients at a time"},
		"agreement-auto.svg":           {"its own", "lowered to 0.5", "one pass", "list of prefixes"},
		"first-token.svg":              {"cold", "memory", "48", "3.5", "milliseconds"},
		"batches.svg":                  {"176 MB", "memory's bound for 176 MB", "texts at a time"},
	} {
		svg, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		d := parse(t, svg)
		if d.title == "" || !slices.Contains(d.words, d.title) {
			t.Errorf("%s: its title is %q", name, d.title)
		}
		for _, word := range words {
			if !slices.Contains(d.words, word) {
				t.Errorf("%s does not say %q: %q", name, word, d.words)
			}
		}
		// Paper of its own would shine in a dark page.
		if slices.ContainsFunc(d.fills, func(s string) bool { return strings.Contains(s, "fill:#FFFFFF") }) {
			t.Errorf("%s has paper: %q", name, d.fills)
		}
		if bytes.Contains(svg, []byte("pt\"")) {
			t.Errorf("%s is measured in points", name)
		}
	}
	if _, err := WritePlots(dir, NewReport(false)); err == nil {
		t.Error("nothing was drawn without a word")
	}
}
