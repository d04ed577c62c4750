package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/dotenv"
)

// writeEnv runs env.sh in a folder of its own and returns what it wrote.
func writeEnv(t *testing.T, dir string, words ...string) (map[string]string, string, error) {
	t.Helper()
	script, err := filepath.Abs("compose/env.sh")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("sh", append([]string{script}, words...)...)
	command.Dir = dir
	out, failed := command.CombinedOutput()
	if failed != nil {
		return nil, string(out), failed
	}
	env, err := dotenv.Read(filepath.Join(dir, ".env"))
	if err != nil {
		t.Fatal(err)
	}
	return env, string(out), nil
}

func composeFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker-compose.yml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSettingsStartWhatTheyName(t *testing.T) {
	for kind, c := range map[string]struct{ config, service string }{
		"demo":  {"/etc/graft/demo.yaml", "grafana"},
		"llama": {"/etc/graft/llama.yaml", "vllm"},
	} {
		dir := composeFolder(t)
		env, out, err := writeEnv(t, dir, kind)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		project := composed(t, env, strings.Split(env["COMPOSE_PROFILES"], ","), "docker-compose.yml")
		if _, ok := project.Services[c.service]; !ok {
			t.Errorf("%s: %s does not start", kind, c.service)
		}
		if command := project.Services["gateway"].Command; command[len(command)-1] != c.config {
			t.Errorf("%s: the gateway is started by %v", kind, command)
		}
		for _, name := range []string{"REDIS_PASSWORD", "GRAFT_CACHE_SECRET", "GRAFT_API_KEYS"} {
			if len(env[name]) != 64 || env[name] == env["REDIS_PASSWORD"] && name != "REDIS_PASSWORD" {
				t.Errorf("%s: %s is %q", kind, name, env[name])
			}
			if strings.Contains(out, env[name]) {
				t.Errorf("%s: %s is shown", kind, name)
			}
		}
		info, err := os.Stat(filepath.Join(dir, ".env"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: .env has mode %v, %v", kind, info.Mode(), err)
		}
	}
}

func TestSettingsAreNeverOverwritten(t *testing.T) {
	dir := composeFolder(t)
	if _, out, err := writeEnv(t, dir); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for says, run := range map[string]func() (map[string]string, string, error){
		"there already":         func() (map[string]string, string, error) { return writeEnv(t, dir) },
		"repository's root":     func() (map[string]string, string, error) { return writeEnv(t, t.TempDir()) },
		"huge is unknown: demo": func() (map[string]string, string, error) { return writeEnv(t, composeFolder(t), "huge") },
	} {
		if _, out, err := run(); err == nil || !strings.Contains(out, says) {
			t.Errorf("%v, says %q, want %q", err, out, says)
		}
	}
}
