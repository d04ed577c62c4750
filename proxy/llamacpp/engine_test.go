package llamacpp

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"
)

const (
	script  = "../../e2e/engines/llamacpp.sh"
	weights = "../../.cache/engines/llamacpp/base.gguf"
)

var listening = regexp.MustCompile(`listening on (http://127\.0\.0\.1:\d+)`)

// realURL is where a llama-server of the embedded base is: GRAFT_LLAMACPP_URL, or one
// that e2e/engines/llamacpp.sh has installed and that is started for the test, where
// GRAFT_ENGINES is set.
func realURL(t *testing.T) string {
	t.Helper()
	if url := os.Getenv("GRAFT_LLAMACPP_URL"); url != "" {
		return url
	}
	if os.Getenv("GRAFT_ENGINES") == "" {
		t.Skip("no llama-server to ask: set GRAFT_LLAMACPP_URL, or run e2e/engines/llamacpp.sh install and set GRAFT_ENGINES=1")
	}
	url := startEngine(t)
	awaitEngine(t, url)
	return url
}

// startEngine starts a llama-server on a free port. The script becomes the server, so
// its process is the server's, which ends with the test.
func startEngine(t *testing.T) string {
	t.Helper()
	command := exec.Command(script, "serve", weights)
	output, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("starting llama-server: %v", err)
	}
	t.Cleanup(func() {
		command.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(10*time.Second, func() { command.Process.Kill() })
		defer kill.Stop()
		command.Wait()
	})
	said := ""
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			go io.Copy(io.Discard, output) // until the server ends
			return m[1]
		}
		said += lines.Text() + "\n"
	}
	t.Fatalf("llama-server ended before it listened:\n%s", said)
	return ""
}

// awaitEngine waits until the model is loaded.
func awaitEngine(t *testing.T, url string) {
	t.Helper()
	deadline := time.After(time.Minute)
	for tick := time.Tick(20 * time.Millisecond); ; {
		response, err := http.Get(url + "/health")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-tick:
		case <-deadline:
			t.Fatalf("llama-server is not ready after a minute: %v", err)
		}
	}
}
