package doctor

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/prometheus/procfs"
)

// Machine is what there is to run models on. Sizes are 0 where the system does not
// tell them.
type Machine struct {
	Verdict    Level     `json:"verdict"`
	Findings   []Finding `json:"findings"`
	Processors int       `json:"processors"`
	Threads    int       `json:"threads"` // that Go code may run on at once
	Memory     int64     `json:"memory_bytes"`
	Free       int64     `json:"memory_free_bytes"`
	Needed     int64     `json:"memory_needed_bytes"` // by all models, with one text as long as its context each
}

// ReadMachine asks the system. Free memory is what can be had before anything else
// is swapped out, within the bounds of the process's control group.
func ReadMachine() Machine {
	m := Machine{Processors: runtime.NumCPU(), Threads: runtime.GOMAXPROCS(0)}
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return m
	}
	info, err := proc.Meminfo()
	if err != nil || info.MemTotalBytes == nil || info.MemAvailableBytes == nil {
		return m
	}
	m.Memory, m.Free = int64(*info.MemTotalBytes), int64(*info.MemAvailableBytes)
	if self, err := proc.Self(); err == nil {
		if groups, err := self.Cgroups(); err == nil {
			for _, g := range groups {
				if g.HierarchyID == 0 {
					m.bound("/sys/fs/cgroup", g.Path)
				}
			}
		}
	}
	return m
}

// bound narrows memory to what a control group and those above it may have. Files
// that are not there set no bound.
func (m *Machine) bound(root, group string) {
	for dir := filepath.Join(root, group); ; dir = filepath.Dir(dir) {
		limit, limited := readNumber(filepath.Join(dir, "memory.max"))
		used, known := readNumber(filepath.Join(dir, "memory.current"))
		if limited && known {
			m.Memory = min(m.Memory, limit)
			m.Free = min(m.Free, max(0, limit-used+reclaimable(filepath.Join(dir, "memory.stat"))))
		}
		if len(dir) <= len(root) {
			return
		}
	}
}

// readNumber reads a file that holds one number; ok is false for "max".
func readNumber(path string) (n int64, ok bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err = strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
	return n, err == nil
}

// reclaimable is the part of a group's memory that holds pages of files and is given
// back on demand.
func reclaimable(path string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "inactive_file "); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64); err == nil {
				return n
			}
		}
	}
	return 0
}

// Resident is how much memory the process has now, 0 if the system does not tell.
func Resident() int64 {
	self, err := procfs.Self()
	if err != nil {
		return 0
	}
	stat, err := self.Stat()
	if err != nil {
		return 0
	}
	return int64(stat.ResidentMemory())
}

// judge compares what all models need with what is free.
func (m *Machine) judge(models []Model) {
	m.Findings, m.Needed = []Finding{}, 0
	for _, model := range models {
		if model.Provider == "" || model.Provider == "cpu" { // others lie in the GPU's memory
			m.Needed += model.Memory.needed()
		}
	}
	if m.Free > 0 && m.Needed > m.Free {
		m.Findings = append(m.Findings, Finding{Warning, "memory",
			fmt.Sprintf("the models need about %s with one long text each, and %s is free", bytesOf(m.Needed), bytesOf(m.Free)),
			"free memory, choose smaller variants of the graphs (graph: onnx/model_q4.onnx), or shorten their context"})
	}
	m.Verdict = verdict(m.Findings)
}

// bytesOf shows a size as 1.5 GiB.
func bytesOf(n int64) string { return humanize.IBytes(uint64(max(0, n))) }
