package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Each official client tells its own story against a gateway of exact rows: log-probs that
// are asked for twice are then equal to the last bit, however they were drafted.
func TestOfficialClients(t *testing.T) {
	served, err := os.ReadFile(filepath.Join(root, "gateway", "cli", "demo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	gateway := configured(t, strings.NewReplacer("{folder: ", "{exact: true, folder: ", "{tuned: ", "{exact: true, tuned: ").Replace(string(served)))
	for name, command := range map[string][]string{
		"python": {filepath.Join(root, ".cache", "python", "bin", "python"), "python/conformance.py"},
		"node":   {"node", "node/conformance.mjs"},
	} {
		t.Run(name, func(t *testing.T) {
			c := exec.CommandContext(t.Context(), command[0], append(command[1:], gateway.url)...)
			c.Env = append(os.Environ(), "OPENAI_API_KEY=none")
			out, err := c.CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Errorf("%v; if the client is missing, run e2e/install.sh", err)
			}
		})
	}
}
