package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/graft-gateway/graft/models/demo"
	"github.com/graft-gateway/graft/models/hub/hubtest"
)

// hubToken is what the gated repository of hubOf is read with.
const hubToken = "hf_good"

// hubOf starts a Hub that has members of the embedded family, with their graphs in
// onnx/ as the real one has them.
func hubOf(t *testing.T) *hubtest.Server {
	t.Helper()
	var repos []hubtest.Repo
	for _, name := range []string{"small", "small-chat"} {
		files := map[string][]byte{"README.md": []byte("# " + name + "\n")}
		folder, err := demo.Folder(name)
		if err != nil {
			t.Fatal(err)
		}
		err = fs.WalkDir(folder, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := fs.ReadFile(folder, path)
			files[strings.Replace(path, "model.onnx", "onnx/model.onnx", 1)] = data
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		repos = append(repos, hubtest.Repo{Name: "family/" + name, Files: files, Tags: []string{"v1"}})
	}
	gated := repos[0]
	gated.Name, gated.Gated = "family/gated", true
	torch := hubtest.Repo{Name: "family/torch", Files: map[string][]byte{"config.json": []byte("{}"), "model.safetensors": []byte("weights")}}
	variants := hubtest.Repo{Name: "family/variants", Files: map[string][]byte{
		"config.json": []byte("{}"), "tokenizer.json": []byte("{}"),
		"onnx/model_q4.onnx": make([]byte, 4000), "onnx/model_q4f16.onnx": {}, "onnx/model_q4f16.onnx_data": make([]byte, 2000),
	}}
	s, err := hubtest.Listen(append(repos, gated, torch, variants)...)
	if err != nil {
		t.Fatal(err)
	}
	s.Token = hubToken
	t.Cleanup(s.Close)
	return s
}

// pulling is graft pull in a folder, ready to start.
func pulling(s *hubtest.Server, dir string, args ...string) (command *exec.Cmd, stderr *bytes.Buffer) {
	command, stderr = exec.Command(binary, append([]string{"pull"}, args...)...), new(bytes.Buffer)
	command.Dir, command.Stderr = dir, stderr
	command.Env = append(os.Environ(), "HF_ENDPOINT="+s.URL(), "HF_TOKEN=", "HUGGING_FACE_HUB_TOKEN=", "HF_TOKEN_PATH=")
	return command, stderr
}

func TestAnInterruptedPullGoesOnAndIsServed(t *testing.T) {
	s := hubOf(t)
	dir := t.TempDir()
	const repository, arrived = "family/small-chat", 100_000
	pull := func() string {
		t.Helper()
		s.Forget()
		command, stderr := pulling(s, dir, repository)
		if err := command.Run(); err != nil {
			t.Fatalf("%v: %s", err, stderr)
		}
		return stderr.String()
	}

	s.Break("onnx/model.onnx", hubtest.Fault{Stall: arrived})
	command, stderr := pulling(s, dir, repository)
	interrupt(t, command, stderr, filepath.Join(dir, "models", "small-chat", "onnx", "model.onnx.*.incomplete"), arrived)

	if told := pull(); !strings.Contains(told, "onnx/model.onnx  351 kB  resumed") {
		t.Errorf("the second time it tells %s", told)
	}
	for _, r := range s.Seen() {
		if r.Storage && r.Header.Get("Range") != fmt.Sprintf("bytes=%d-", arrived) {
			t.Errorf("the storage was asked for %q", r.Header.Get("Range"))
		}
	}

	pull()
	for _, r := range s.Seen() {
		if !strings.HasPrefix(r.Path, "/api/models/") {
			t.Errorf("the third time %s was fetched again", r.Path)
		}
	}

	config := filepath.Join(dir, "graft.yaml")
	if err := os.WriteFile(config, []byte("listen: 127.0.0.1:0\nbases: {pulled: {folder: ./models/small-chat}}\nroutes: {demo-small-chat: {base: pulled}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "serve", "--config", config)
	got, err := clientOf(p).CreateChatCompletion(t.Context(), request(t, "demo-small-chat"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := clientOf(shared).CreateChatCompletion(t.Context(), request(t, "demo-small-chat"))
	if err != nil || got.Choices[0].Message.Content != want.Choices[0].Message.Content {
		t.Errorf("the pulled model says %q, the embedded one %q, %v", got.Choices[0].Message.Content, want.Choices[0].Message.Content, err)
	}
}

// interrupt starts a pull, stops it by Ctrl-C's signal when the file that the pattern
// finds has so many bytes, and sees that they are kept.
func interrupt(t *testing.T, command *exec.Cmd, stderr *bytes.Buffer, pattern string, arrived int64) {
	t.Helper()
	beginning := func() int64 {
		left, _ := filepath.Glob(pattern) // which is well formed
		if len(left) != 1 {
			return 0
		}
		info, err := os.Stat(left[0])
		if err != nil {
			return 0
		}
		return info.Size()
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	settled := settles(func() bool { return beginning() == arrived })
	if err := command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	exit := new(exec.ExitError)
	if err := command.Wait(); settled != nil || !errors.As(err, &exit) || exit.ExitCode() != 130 || !strings.Contains(stderr.String(), "the same command goes on from there") {
		t.Fatalf("%v; interrupted: %v: %s", settled, err, stderr)
	}
	if size := beginning(); size != arrived {
		t.Errorf("%d bytes are kept, want %d", size, arrived)
	}
}

func TestBrokenTransfersAreMended(t *testing.T) {
	s := hubOf(t)
	s.Break("revision", hubtest.Fault{Status: 503})
	s.Break("onnx/model.onnx", hubtest.Fault{Cut: 50_000}, hubtest.Fault{Status: 500}, hubtest.Fault{Corrupt: true, Cut: 50_000}, hubtest.Fault{})
	s.Break("tokenizer.json", hubtest.Fault{Gzip: true})
	command, stderr := pulling(s, t.TempDir(), "family/small", "--to", "here", "--json", "--revision", "v1")
	out, err := command.Output()
	if err != nil || !strings.Contains(string(out), `"folder":"here"`) || strings.Count(string(out), `"how":"fetched"`) != 6 {
		t.Errorf("%v: %s%s", err, out, stderr)
	}
	if !strings.Contains(stderr.String(), "ended the transfer too early; again in") {
		t.Errorf("it does not tell what broke: %s", stderr)
	}
}
