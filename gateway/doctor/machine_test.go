package doctor

import (
	"os"
	"path/filepath"
	"testing"
)

func TestControlGroupsBoundMemory(t *testing.T) {
	for name, c := range map[string]struct {
		files       map[string]string
		total, free int64
	}{
		"none":                          {nil, 1000, 800},
		"unlimited":                     {map[string]string{"a/b/memory.max": "max\n", "a/b/memory.current": "700\n"}, 1000, 800},
		"its own":                       {map[string]string{"a/b/memory.max": "500\n", "a/b/memory.current": "200\n"}, 500, 300},
		"one above":                     {map[string]string{"a/memory.max": "400\n", "a/memory.current": "390\n", "a/b/memory.max": "max"}, 400, 10},
		"of a container":                {map[string]string{"memory.max": "600\n", "memory.current": "100\n"}, 600, 500},
		"pages of files are given back": {map[string]string{"a/b/memory.max": "500", "a/b/memory.current": "450", "a/b/memory.stat": "anon 1\ninactive_file 300\n"}, 500, 350},
		"more in use than is allowed":   {map[string]string{"a/b/memory.max": "100", "a/b/memory.current": "200"}, 100, 0},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, text := range c.files {
				path := filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			m := Machine{Memory: 1000, Free: 800}
			m.bound(root, "/a/b")
			if m.Memory != c.total || m.Free != c.free {
				t.Errorf("%d free of %d, want %d of %d", m.Free, m.Memory, c.free, c.total)
			}
		})
	}
}

func TestTheMachineIsRead(t *testing.T) {
	m := ReadMachine()
	if m.Processors < 1 || m.Threads < 1 || m.Free > m.Memory {
		t.Errorf("%+v", m)
	}
	if Resident() < 0 {
		t.Error("a process of negative size")
	}
}
