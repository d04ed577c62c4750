package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Each official client tells its own story against the running gateway.
func TestOfficialClients(t *testing.T) {
	for name, command := range map[string][]string{
		"python": {filepath.Join(root, ".cache", "python", "bin", "python"), "python/conformance.py"},
		"node":   {"node", "node/conformance.mjs"},
	} {
		t.Run(name, func(t *testing.T) {
			c := exec.CommandContext(t.Context(), command[0], append(command[1:], shared.url)...)
			c.Env = append(os.Environ(), "OPENAI_API_KEY=none")
			out, err := c.CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Errorf("%v; if the client is missing, run e2e/install.sh", err)
			}
		})
	}
}
