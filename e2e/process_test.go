package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// root is the repository's.
var root = func() string {
	dir, err := filepath.Abs("..")
	if err != nil {
		panic(err)
	}
	return dir
}()

// binary is the one that `make build` made.
var binary = filepath.Join(root, "bin", "graft")

// shared is a server with the embedded routes that all tests may ask.
var shared *process

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if _, err := os.Stat(binary); err != nil {
		fmt.Fprintf(os.Stderr, "%v: run `make build` first, or `make test`, which does it\n", err)
		return 1
	}
	p, err := launch(nil, "serve", "--listen", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting graft:", err)
		return 1
	}
	shared = p
	code := m.Run()
	if err := p.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping graft:", err)
		return 1
	}
	return code
}

// process is a running graft.
type process struct {
	command *exec.Cmd
	url     string
	mu      sync.Mutex // guards log
	log     strings.Builder
	drained chan struct{} // closed when the log has ended
}

// launch starts graft and waits until it listens.
func launch(env []string, args ...string) (*process, error) {
	p := &process{command: exec.Command(binary, args...), drained: make(chan struct{})}
	p.command.Env = append(os.Environ(), env...)
	stderr, err := p.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	address := make(chan string, 1)
	go p.read(stderr, address) // ends with the process
	select {
	case addr := <-address:
		p.url = "http://" + addr
		return p, nil
	case <-p.drained:
		_ = p.command.Wait() // it failed; its log says why
		return nil, fmt.Errorf("graft ended: %s", p.logged())
	case <-time.After(time.Minute):
		_ = p.command.Process.Kill()
		return nil, fmt.Errorf("graft does not listen after a minute: %s", p.logged())
	}
}

func (p *process) read(stderr io.Reader, address chan<- string) {
	defer close(p.drained)
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		p.mu.Lock()
		p.log.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
		var line struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			address <- line.Addr
		}
	}
}

func (p *process) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// stop asks the process to end and fails if it does not end well.
func (p *process) stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-p.drained
	if err := p.command.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, p.logged())
	}
	return nil
}

// start launches a graft of the test's own.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p, err := launch(env, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.command.ProcessState != nil {
			return
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// metric reads one sample of /metrics.
func (p *process) metric(t *testing.T, name string) float64 {
	t.Helper()
	response, err := http.Get(p.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			x, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
	}
	t.Fatalf("/metrics has no %s", name)
	return 0
}

// TestStories runs the scripts in testdata/script, one behaviour each.
func TestStories(t *testing.T) {
	hub := hubOf(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("FAMILY", filepath.Join(root, "models", "demo"))
			env.Setenv("HF_ENDPOINT", hub.URL())
			env.Setenv("BUSY", strings.TrimPrefix(shared.url, "http://"))
			return nil
		},
	})
}

// hasMetric says whether /metrics has a sample of that name.
func hasMetric(t *testing.T, p *process, name string) bool {
	t.Helper()
	response, err := http.Get(p.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(text), name+" ")
}
