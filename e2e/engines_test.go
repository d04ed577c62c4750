//go:build engines

package e2e

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// engineTie bounds the lead of a token that may be lost over somebody else's server:
// engines' rows move by as much with what else is computed beside them.
const engineTie = 0.02

// engine is a real server of the embedded base; its script, in engines/, installs and
// starts it.
type engine struct {
	name   string
	script string
	args   []string // behind "serve"
	start  time.Duration
}

func engines() []engine {
	made := func(name string) string { return filepath.Join(root, ".cache", "engines", name) }
	return []engine{
		{"llama-server", "llamacpp.sh", []string{made("llamacpp/base.gguf")}, time.Minute},
		{"vLLM", "vllm.sh", []string{made("vllm/base"), "--max-logprobs", "100"}, 5 * time.Minute},
	}
}

var listening = regexp.MustCompile(`listening on (http://127\.0\.0\.1:\d+)`)

// serve starts the engine, and ends it with the test.
func (e engine) serve(t *testing.T) (url string) {
	t.Helper()
	command := exec.Command(filepath.Join("engines", e.script), append([]string{"serve"}, e.args...)...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // vLLM has processes of its own
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout = nil
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	found, ended := make(chan string, 1), make(chan struct{})
	var said []string // read once ended is closed
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			said = append(said, lines.Text())
			if match := listening.FindStringSubmatch(lines.Text()); match != nil && len(found) == 0 {
				found <- match[1]
			}
		}
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGTERM) // it may have ended by itself
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
			<-ended
		}
		_ = command.Wait() // by the signal
	})
	select {
	case url = <-found:
	case <-ended:
		t.Fatalf("%s ended: %s", e.name, strings.Join(said[max(0, len(said)-30):], "\n"))
	case <-time.After(e.start):
		t.Fatalf("%s does not listen after %v", e.name, e.start)
	}
	return url
}

// The embedded base behind real engines says what it says in process, whatever the size
// of the rows. GRAFT_QUESTIONS asks another number of questions.
func TestRealEngines(t *testing.T) {
	prompts := chatPrompts(t, count(t, 100))
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			url := e.serve(t)
			var config strings.Builder
			fmt.Fprintf(&config, "cache: {memory: 0}\nexperts: {chat: {tuned: embedded:small-chat, untuned: embedded:small}}\nbases:\n  dense: {folder: embedded:base}\n")
			sizes := []int{20, 100}
			for _, k := range sizes {
				fmt.Fprintf(&config, "  inside%[1]d: {folder: embedded:base, top_logprobs: %[1]d, named: 0}\n  over%[1]d: {url: %[2]s, top_logprobs: %[1]d, named: 0, wait: 3m}\n  named%[1]d: {url: %[2]s, top_logprobs: %[1]d}\n", k, url)
			}
			fmt.Fprintf(&config, "routes:\n  dense: {base: dense, experts: {chat: 1}}\n  through: {base: over20}\n")
			for _, k := range sizes {
				for _, how := range []string{"inside", "over", "named"} {
					fmt.Fprintf(&config, "  %[1]s%[2]d: {base: %[1]s%[2]d, experts: {chat: 1}}\n", how, k)
				}
			}
			path := writeConfig(t, config.String())
			front := start(t, nil, "serve", "--listen", "127.0.0.1:0", "--config", path)
			t.Logf("doctor:\n%s", examineEngine(t, path))
			whole := answerAll(t, front.url, "dense", prompts)
			for _, k := range sizes {
				inside := answerAll(t, front.url, fmt.Sprint("inside", k), prompts)
				began := time.Now()
				over := answerAll(t, front.url, fmt.Sprint("over", k), prompts)
				took := time.Since(began)
				compare(inside, over).within(t, fmt.Sprintf("k = %d, %s against in process", k, e.name), engineTie)
				t.Logf("k = %d: against whole rows in process: %s; with named tokens %s", k, compare(whole, over), compare(whole, answerAll(t, front.url, fmt.Sprint("named", k), prompts)))
				tokens := 0
				for _, text := range over {
					tokens += len(text.ids)
				}
				t.Logf("k = %d: %.2f ms a token, 4 texts at a time", k, float64(took.Microseconds())/1e3/float64(tokens))
			}
			passesThrough(t, front.url)
		})
	}
}

// examineEngine is what doctor says of the base servers of a configuration.
func examineEngine(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command(binary, "doctor", "--config", path).Output()
	if err != nil {
		t.Errorf("doctor: %v", err)
	}
	from := strings.Index(string(out), "base server")
	to := strings.Index(string(out), "\nroute ")
	if from < 0 || to < from {
		t.Fatalf("doctor tells of no base server: %s", out)
	}
	return string(out)[from:to]
}

// passesThrough asks the engine through a route without experts.
func passesThrough(t *testing.T, url string) {
	t.Helper()
	answer, err := ask[struct {
		Choices []struct{ Text string }
	}](url, "/v1/completions", object{"model": "through", "prompt": "The town Barath", "max_tokens": 8, "temperature": 0})
	if err != nil || len(answer.Choices) != 1 || answer.Choices[0].Text == "" {
		t.Errorf("through a route without experts: %+v, %v", answer, err)
	}
}
