package onnx

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/models/onnx/synthetic"
)

// gpuVariable turns the check of a GPU on: `make gpu-check` sets it.
const gpuVariable = "GRAFT_GPU"

// gpuModelVariable names one more graph to check.
const gpuModelVariable = "GRAFT_GPU_MODEL"

// A device's rows may differ from the CPU's by so much: what half precision rounds, and
// what float32 without TF32 does.
const (
	nearHalf  = 0.15
	nearWhole = 5e-3
)

// checked is a model to compare on two providers.
type checked struct {
	name  string
	src   Source
	texts [][]eft.Token
	near  float64
}

// finding is what a check of one model found.
type finding struct {
	epsilon     float64 // the largest difference of two log-probabilities after prompts
	tokens      int     // greedy choices compared
	nearTies    int     // of them others, where the two best lie within 2ε
	parted      int     // of them others, although they do not
	batches     []int
	speed       []float64 // tokens a second, by batch
	down, up    float64   // bytes of a token, of steps one by one, to the host and to the device
	caches      int64     // bytes of keys and values that crossed
	memcpy      []string  // operators that ONNX Runtime put in to carry keys or values
	onHost      []string  // operators that it leaves to the CPU
	cacheOnHost bool      // attention among them
}

func readQuestions(t testing.TB) [][]eft.Token {
	t.Helper()
	data, err := os.ReadFile("testdata/questions.json") // of the embedded family, with its chat template around them
	if err != nil {
		t.Fatal(err)
	}
	var texts [][]eft.Token
	if err := json.Unmarshal(data, &texts); err != nil {
		t.Fatal(err)
	}
	return texts
}

// TestGPU compares CUDA with the CPU, times it, and proves that keys and values stay on
// the card. It prints a table for the README.
func TestGPU(t *testing.T) {
	if os.Getenv(gpuVariable) == "" {
		t.Skip("it needs an NVIDIA GPU: run `make gpu-check` where there is one")
	}
	s, err := OpenSession(testEnv, halved(t, member("small-chat")), Options{Provider: CUDA, Context: 256})
	if err != nil {
		t.Fatalf("there is no GPU to check: %v\nIt needs an NVIDIA card, its driver (nvidia-smi must list the card), and ONNX Runtime with CUDA (make build ORT=cuda).", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	model, err := card(0)
	if err != nil {
		t.Fatal(err)
	}
	var models []checked
	for _, name := range []string{"small-chat", "base-chat"} {
		models = append(models, checked{name + ", float16, shared", halved(t, member(name)), readQuestions(t), nearHalf})
	}
	models = append(models, random(t, synthetic.Sized(1<<30, synthetic.Grouped), true), random(t, synthetic.Sized(256<<20, synthetic.Grown), false))
	if path := os.Getenv(gpuModelVariable); path != "" {
		models = append(models, checked{filepath.Base(path), Source{Path: path}, texts(16, 1000), nearHalf})
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%s, %s, ONNX Runtime %s\n", model, time.Now().UTC().Format(time.DateOnly), testEnv.Version())
	for i, m := range models {
		t.Logf("%s …", m.name)
		f := check(t, m, Options{Provider: CUDA}, []int{1, 2, 4, 8, 16, 32, 64}, 64)
		f.judge(t, m)
		f.write(&table, m, i == 0)
	}
	fmt.Println(table.String())
}

// The same check of the pretended device, so that what it says of a GPU can be believed.
func TestTheGPUCheckOnAPretendedDevice(t *testing.T) {
	m := checked{"small-chat, float16, shared", halved(t, member("small-chat")), readQuestions(t)[:6], nearHalf}
	o := Options{Provider: CPU, pretend: true}
	f := check(t, m, o, []int{1, 3}, 4)
	f.judge(t, m)
	if f.epsilon != 0 || f.nearTies != 0 || f.tokens != 6*checkedSteps {
		t.Errorf("the CPU differs from itself: %+v", f)
	}
	// A row of half-precision scores comes down; one id and a mask of 8 bytes a token go up.
	if vocabulary := 1024.0; f.down != 2*vocabulary || f.up < 8+8 || f.up > 8+8*100 {
		t.Errorf("%g bytes down and %g up for a token", f.down, f.up)
	}
	shape := synthetic.Shape{Vocabulary: 500, Width: 64, Layers: 2, Heads: 4, KeyHeads: 2, Hidden: 96, Context: 512, Seed: 3}
	for _, layout := range []synthetic.Layout{synthetic.Grouped, synthetic.Grown} {
		shape.Layout = layout
		m := random(t, shape, true)
		m.texts = m.texts[:2]
		check(t, m, o, []int{2}, 4).judge(t, m)
	}
	var table strings.Builder
	f.write(&table, m, true)
	if lines := strings.Split(strings.TrimSpace(table.String()), "\n"); len(lines) != 3 || strings.Count(lines[0], "|") != strings.Count(lines[2], "|") {
		t.Errorf("%s", table.String())
	}
}

// texts are beginnings for models that say nothing.
func texts(n, vocabulary int) [][]eft.Token {
	var all [][]eft.Token
	for i := range n {
		all = append(all, walk(20+i, vocabulary)[i:])
	}
	return all
}

// random is a model of random weights.
func random(t testing.TB, shape synthetic.Shape, half bool) checked {
	t.Helper()
	folder := t.TempDir()
	if err := shape.Write(folder); err != nil {
		t.Fatal(err)
	}
	size := shape.StepBytes() >> 20
	m := checked{fmt.Sprintf("random, %d MiB, %s, float32", size, shape.Layout), Source{Path: filepath.Join(folder, synthetic.File)}, texts(4, shape.Vocabulary), nearWhole}
	if half {
		m.name, m.src, m.near = fmt.Sprintf("random, %d MiB, %s, float16", size/2, shape.Layout), halvedFolder(t, folder, t.TempDir()), nearHalf
	}
	return m
}

// checkedSteps is how many greedy steps follow each prompt.
const checkedSteps = 24

// check compares a model under o with the same one on the CPU.
func check(t *testing.T, m checked, o Options, batches []int, steps int) *finding {
	t.Helper()
	o.Context = 512
	f := &finding{batches: batches}
	f.inspect(t, m, o)
	host := openSource(t, m.src, Options{Provider: CPU, Context: o.Context})
	device := openSource(t, m.src, o)
	before := testEnv.Traffic()
	f.compare(t, m, host, device)
	f.time(t, m, device, steps)
	f.caches = testEnv.Traffic().Cache - before.Cache
	return f
}

// compare reads every prompt on both, and goes on with the CPU's own choices.
func (f *finding) compare(t *testing.T, m checked, host, device *Session) {
	t.Helper()
	type place struct{ ours, theirs []float64 }
	var choices []place
	var crossed Traffic
	for _, text := range m.texts {
		one, other := openSequence(t, host), openSequence(t, device)
		ours, theirs := collect(t, one, text), collect(t, other, text)
		f.epsilon = max(f.epsilon, compare("", theirs, ours).LogProb)
		choice := place{slices.Clone(ours[len(ours)-1]), slices.Clone(theirs[len(theirs)-1])}
		before := testEnv.Traffic()
		for range checkedSteps {
			choices = append(choices, choice)
			next := []eft.Token{eft.Token(best(choice.ours))}
			choice = place{collect(t, one, next)[0], collect(t, other, next)[0]}
		}
		after := testEnv.Traffic()
		crossed.ToHost += after.ToHost - before.ToHost
		crossed.ToDevice += after.ToDevice - before.ToDevice
		if err := one.Close(); err != nil {
			t.Fatal(err)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
	}
	f.tokens = len(choices)
	f.down, f.up = float64(crossed.ToHost)/float64(f.tokens), float64(crossed.ToDevice)/float64(f.tokens)
	for _, c := range choices {
		ours, theirs := best(c.ours), best(c.theirs)
		switch {
		case ours == theirs:
		case c.ours[ours]-c.ours[theirs] <= 2*f.epsilon:
			f.nearTies++
		default:
			f.parted++
		}
	}
}

// collect is Sequence.collect that cannot fail.
func collect(t testing.TB, q *Sequence, tokens []eft.Token) [][]float64 {
	t.Helper()
	rows, err := q.collect(t.Context(), tokens, len(tokens))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func best(row []float64) int {
	at := 0
	for i, v := range row {
		if v > row[at] || math.IsNaN(row[at]) {
			at = i
		}
	}
	return at
}

// time steps batches of texts, all at once.
func (f *finding) time(t *testing.T, m checked, device *Session, steps int) {
	t.Helper()
	for _, batch := range f.batches {
		var all []*Sequence
		for i := range batch {
			q := openSequence(t, device)
			if _, err := q.Extend(t.Context(), m.texts[i%len(m.texts)], 1); err != nil {
				t.Fatal(err)
			}
			all = append(all, q)
		}
		var start time.Time
		for _, n := range []int{4, steps} { // the first few let caches and kernels settle
			start = time.Now()
			var group sync.WaitGroup
			for _, q := range all {
				group.Go(func() {
					for i := range n {
						if _, err := q.Extend(t.Context(), []eft.Token{eft.Token(i + 1)}, 1); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
		}
		f.speed = append(f.speed, float64(batch*steps)/time.Since(start).Seconds())
		for _, q := range all {
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// inspect reads the graph as ONNX Runtime runs it, and what it says of its runs.
func (f *finding) inspect(t *testing.T, m checked, o Options) {
	t.Helper()
	folder := t.TempDir()
	o.optimized, o.profile = filepath.Join(folder, "optimized.onnx"), filepath.Join(folder, "profile")
	s, err := OpenSession(testEnv, m.src, o)
	if err != nil {
		t.Fatal(err)
	}
	var caches []string
	for i := range s.layout.slots {
		caches = append(caches, s.layout.slots[i].past, s.layout.slots[i].present)
	}
	q := openSequence(t, s)
	collect(t, q, m.texts[0])
	collect(t, q, []eft.Token{1})
	if err := s.Close(); err != nil { // writes the profile
		t.Fatal(err)
	}
	graph, err := readFile(Source{Path: o.optimized})
	if err != nil {
		t.Fatal(err)
	}
	f.memcpy = carried(graph.nodes, caches)
	profiles, err := filepath.Glob(o.profile + "*")
	if err != nil || len(profiles) == 0 {
		t.Fatalf("%v, profiles %v", err, profiles)
	}
	events := readProfile(t, slices.Max(profiles)) // by time: earlier ones are of attempts that failed
	if len(events) == 0 {
		t.Fatal("the profile tells of no operator")
	}
	for _, e := range events {
		if o.Provider == CUDA && e.provider == "CPUExecutionProvider" && !slices.Contains(f.onHost, e.op) {
			f.onHost = append(f.onHost, e.op)
			f.cacheOnHost = f.cacheOnHost || strings.Contains(e.op, "Attention")
		}
	}
	slices.Sort(f.onHost)
}

// carried lists the copies between host and device that touch a cache.
func carried(nodes []node, caches []string) (copies []string) {
	for _, n := range nodes {
		if !strings.HasPrefix(n.op, "Memcpy") {
			continue
		}
		for _, name := range slices.Concat(n.inputs, n.outputs) {
			if slices.Contains(caches, name) {
				copies = append(copies, n.op+" of "+name)
			}
		}
	}
	return copies
}

// event is a run of one operator.
type event struct{ op, provider string }

// readProfile reads what ONNX Runtime writes about runs: trace events as JSON.
func readProfile(t testing.TB, path string) (events []event) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Category string          `json:"cat"`
		Args     json.RawMessage `json:"args"`
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		var args struct {
			Op       string `json:"op_name"`
			Provider string `json:"provider"`
		}
		if e.Category == "Node" && json.Unmarshal(e.Args, &args) == nil && args.Provider != "" {
			events = append(events, event{args.Op, args.Provider})
		}
	}
	return events
}

func TestCopiesOfCachesAreFound(t *testing.T) {
	caches := []string{"past.0.key", "present.0.key"}
	nodes := []node{
		{op: "MemcpyFromHost", inputs: []string{"mask"}, outputs: []string{"mask_gpu"}},
		{op: "Concat", inputs: []string{"past.0.key", "k"}, outputs: []string{"present.0.key"}},
		{op: "MemcpyToHost", inputs: []string{"past.0.key"}, outputs: []string{"past.0.key_cpu"}},
		{op: "MemcpyFromHost", inputs: []string{"x"}, outputs: []string{"present.0.key"}},
	}
	if got := carried(nodes, caches); !slices.Equal(got, []string{"MemcpyToHost of past.0.key", "MemcpyFromHost of present.0.key"}) {
		t.Errorf("%v", got)
	}
}

// judge fails where a device may not be used as it is.
func (f *finding) judge(t *testing.T, m checked) {
	t.Helper()
	if f.epsilon > m.near || math.IsNaN(f.epsilon) {
		t.Errorf("%s: rows are %g away from the CPU's, want at most %g", m.name, f.epsilon, m.near)
	}
	if f.parted > 0 {
		t.Errorf("%s: %d of %d tokens are others although their scores are not near", m.name, f.parted, f.tokens)
	}
	if f.caches != 0 || len(f.memcpy) > 0 || f.cacheOnHost {
		t.Errorf("%s: keys and values leave the device: %d bytes bound in the host's memory, copies %v, operators on the CPU %v", m.name, f.caches, f.memcpy, f.onHost)
	}
}

// write adds a row to the table, and its head before the first.
func (f *finding) write(w *strings.Builder, m checked, first bool) {
	if first {
		fmt.Fprint(w, "| model | ε to the CPU | tokens equal | near ties |")
		for _, n := range f.batches {
			fmt.Fprintf(w, " %d |", n)
		}
		fmt.Fprintln(w, " bytes a token, down / up | KV bytes |")
		fmt.Fprintln(w, "|---|"+strings.Repeat("--:|", 5+len(f.batches)))
	}
	fmt.Fprintf(w, "| %s | %.2g | %d of %d | %d |", m.name, f.epsilon, f.tokens-f.nearTies-f.parted, f.tokens, f.nearTies)
	for _, s := range f.speed {
		fmt.Fprintf(w, " %.0f |", s)
	}
	fmt.Fprintf(w, " %.0f / %.0f | %d |\n", f.down, f.up, f.caches)
}
