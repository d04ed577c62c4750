package bench

import (
	"fmt"
	"runtime"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// busy is the share of the processors that other programs may take before people are
// warned of it.
const busy = 0.1

// Machine is what the figures hold for. Facts that the system does not tell are empty or
// zero.
type Machine struct {
	CPU         string  `json:"cpu"`
	Processors  int     `json:"processors"`
	Threads     int     `json:"threads"` // that Go code may run on at once
	System      string  `json:"system"`  // linux/amd64
	Go          string  `json:"go"`
	ONNXRuntime string  `json:"onnxruntime"`
	Memory      int64   `json:"memory_bytes"`
	LoadBefore  float64 `json:"load_average_before"` // of the minute before the run
	// Others is the share of all processors that other programs, or other guests of the
	// same host, took while it was measured.
	Others float64 `json:"others_share"`
}

// ReadMachine asks the system.
func ReadMachine() Machine {
	m := Machine{
		Processors: runtime.NumCPU(), Threads: runtime.GOMAXPROCS(0),
		System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
	}
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return m
	}
	if cpus, err := proc.CPUInfo(); err == nil && len(cpus) > 0 {
		m.CPU = cpus[0].ModelName
	}
	if load, err := proc.LoadAvg(); err == nil {
		m.LoadBefore = load.Load1
	}
	if info, err := proc.Meminfo(); err == nil && info.MemTotalBytes != nil {
		m.Memory = int64(*info.MemTotalBytes)
	}
	return m
}

// Watch sees how busy a machine is with other programs.
type Watch struct{ began usage }

// usage are processor seconds: of the whole machine since it started, and of this process
// and the children that it waited for.
type usage struct{ busy, idle, own float64 }

// WatchMachine begins to watch.
func WatchMachine() Watch { return Watch{readUsage()} }

// Others is the share of all processors that went to others since the watch began. Own
// children count as others until they have ended and been waited for.
func (w Watch) Others() float64 {
	return w.began.others(readUsage())
}

func (u usage) others(now usage) float64 {
	busy, idle, own := now.busy-u.busy, now.idle-u.idle, now.own-u.own
	return min(1, max(0, quotient(busy-own, busy+idle)))
}

func readUsage() usage {
	var u usage
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return u
	}
	stat, err := proc.Stat()
	if err != nil {
		return u
	}
	// Guests' time is in User and Nice already.
	t := stat.CPUTotal
	u.busy, u.idle = t.User+t.Nice+t.System+t.IRQ+t.SoftIRQ+t.Steal, t.Idle+t.Iowait
	if self, err := proc.Self(); err == nil {
		if own, err := self.Stat(); err == nil {
			const hertz = 100 // USER_HZ, the same on every Linux
			u.own = float64(own.UTime+own.STime) / hertz
			u.own += float64(own.CUTime+own.CSTime) / hertz
		}
	}
	return u
}

// warning is what people should know before they believe a figure, empty for nothing.
func (m Machine) warning() string {
	if m.Others <= busy {
		return ""
	}
	return fmt.Sprintf("other programs took %.0f %% of the processors meanwhile: absolute figures are too low, and ratios noisy; run it again on a machine that is otherwise idle", 100*m.Others)
}

// CPU is the time that all threads of a process have had of processors.
func CPU(process int) (time.Duration, error) {
	// The clock of a process, as clock_getcpuclockid(3) names it.
	const scheduled = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^process<<3|scheduled), &t); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", process, err)
	}
	return time.Duration(t.Nano()), nil
}
