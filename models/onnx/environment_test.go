package onnx

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// compile makes a library that says it is another version of ONNX Runtime.
func compile(t *testing.T, source string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "libonnxruntime.so")
	c := exec.Command("cc", "-shared", "-fPIC", "-x", "c", "-o", path, "-")
	c.Stdin = strings.NewReader(source)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	return path
}

const otherVersion = `
static const char *version(void) { return "VERSION"; }
static const void *api(unsigned v) { (void)v; return 0; }
static struct { const void *(*api)(unsigned); const char *(*version)(void); } base = {api, version};
void *OrtGetApiBase(void) { return &base; }
`

// TestStartRefuses runs in a process of its own, for this one has an environment.
func TestStartRefuses(t *testing.T) {
	text := filepath.Join(t.TempDir(), "libonnxruntime.so")
	if err := os.WriteFile(text, []byte("not a library"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path string
		says       []string
	}{
		{"a version too old", compile(t, strings.Replace(otherVersion, "VERSION", "1.23.2", 1)), []string{"1.23.2", "too old", "1.24", "make build"}},
		{"a version that is none", compile(t, strings.Replace(otherVersion, "VERSION", "dev", 1)), []string{"too old", "make build"}},
		{"a new version without the functions", compile(t, strings.Replace(otherVersion, "VERSION", "9.0.0", 1)), []string{"9.0.0"}},
		{"another library", compile(t, "int x;"), []string{"not ONNX Runtime", "make build"}},
		{"a text", text, []string{text, "make build"}},
		{"no file", text + ".none", []string{text + ".none", "make build"}},
	} {
		command := exec.Command(os.Args[0], "-test.run=^TestMain$")
		command.Env = append(os.Environ(), childLibrary+"="+c.path)
		out, err := command.CombinedOutput()
		if err == nil {
			t.Errorf("%s: started", c.name)
		}
		for _, want := range c.says {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: does not say %q: %s", c.name, want, out)
			}
		}
	}
}

func TestOneEnvironmentAtATime(t *testing.T) {
	if _, err := Start(testEnv.Library()); !errors.Is(err, ErrStarted) {
		t.Errorf("a second environment: %v", err)
	}
	if !filepath.IsAbs(testEnv.Library()) || !newEnough(testEnv.Version()) {
		t.Errorf("%s, version %s", testEnv.Library(), testEnv.Version())
	}
	if p := testEnv.Providers(); len(p) == 0 || p[len(p)-1] != "CPUExecutionProvider" {
		t.Errorf("providers %v", p)
	}
}

func TestVersionsThatAreNewEnough(t *testing.T) {
	for version, want := range map[string]bool{
		"1.23.2": false, "1.24.0": true, "1.26.0": true, "1.130": true, "2.0.0": true, "0.99.0": false,
		"1": false, "": false, "x.y": false, "1.x": false,
	} {
		if newEnough(version) != want {
			t.Errorf("%q: %v", version, !want)
		}
	}
}

// TestNothingIsLeftBehind opens sessions and sequences, closes them in every
// order, and counts what is alive.
func TestNothingIsLeftBehind(t *testing.T) {
	before, goroutines := testEnv.Counts(), runtime.NumGoroutine()
	for _, name := range []string{"gqa", "plain", "keep"} {
		s, err := OpenSession(testEnv, model(name), Options{Provider: CPU, Context: 128})
		if err != nil {
			t.Fatal(err)
		}
		if err := testEnv.Close(); err == nil || !strings.Contains(err.Error(), "close the sessions first") {
			t.Errorf("the environment closed under a session: %v", err)
		}
		var open []*Sequence
		for range 8 {
			q, err := s.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			read(t, q, walk(30, 64), 7)
			open = append(open, q)
		}
		used := testEnv.Counts()
		for _, q := range open[:4] {
			q.Close()
		}
		for range 4 { // over caches that were given back
			q, err := s.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			read(t, q, walk(30, 64), 30)
			defer q.Close() // after its session
		}
		now := testEnv.Counts()
		now.Bindings = used.Bindings // are kept for the rows that ran
		if now != used {
			t.Errorf("%s: %+v alive with caches used again, %+v before", name, now, used)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if now := testEnv.Counts(); now != before {
		t.Errorf("%+v alive, %+v before", now, before)
	}
	for runtime.NumGoroutine() > goroutines { // the last one may still be returning
		runtime.Gosched()
	}
}

func TestPoolsKeepABoundedRest(t *testing.T) {
	s := openModel(t, "plain", Options{Provider: CPU, Context: 40_000})
	var seats []*seat
	for range 10 {
		// 2·2 tensors of 16 floats a token: 40,000 tokens are 10 MB.
		seat, err := s.lease(40_000)
		if err != nil {
			t.Fatal(err)
		}
		seats = append(seats, seat)
	}
	before := testEnv.Counts()
	for _, seat := range seats {
		s.pool.giveBack(seat)
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
	}
	if now := testEnv.Counts(); before.Bytes-now.Bytes < 3*10_000_000 || now.Leased != before.Leased-10 {
		t.Errorf("%+v alive after giving back, %+v before", now, before)
	}
	for capacity, tokens := range map[int]int{256: 1, 512: 257, 2048: 1025, 2500: 2049} {
		if got := s.pool.capacity(tokens, 2500); got != capacity {
			t.Errorf("%d tokens take a cache of %d, want %d", tokens, got, capacity)
		}
	}
	s.pool.kept++
	if err := s.Check(); err == nil {
		t.Error("a wrong count was not found")
	}
	s.pool.kept--
}
