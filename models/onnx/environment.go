package onnx

// Invariants:
//   - At most one Environment is open in a process, because the binding keeps
//     the library, its environment and its function table in globals.
//   - It is closed last: Close refuses while anything native is alive.

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"
)

// Version is the version of ONNX Runtime that the installer puts in place.
const Version = "1.26.0"

// The oldest library whose function table has what the binding asks for.
const oldestMajor, oldestMinor = 1, 24

// process guards the binding's globals: they are the one thing here that a
// process has only once.
var process sync.Mutex

// ErrStarted says that the process has an open Environment already.
var ErrStarted = errors.New("onnx: ONNX Runtime is already started in this process")

// Environment is the loaded library.
type Environment struct {
	library   string
	version   string
	api       unsafe.Pointer
	providers []string
	stats     counters
	closed    atomic.Bool
}

// counters count native objects that are alive.
type counters struct {
	sessions, bindings, leased, buffers, bytes atomic.Int64
	toDevice, toHost, caches                   atomic.Int64
}

// Traffic tells how many bytes went between the host's memory and GPUs' since the
// start: what was copied here, and what was bound in the host's memory for ONNX
// Runtime to copy. Without a GPU all are 0.
type Traffic struct {
	ToDevice int64 // ids, positions, masks, and what Import brings
	ToHost   int64 // the rows that were asked for, and what Export takes
	Cache    int64 // keys and values among both: those of Import and Export, and no others
}

// Traffic tells what crossed between the host and GPUs.
func (e *Environment) Traffic() Traffic {
	return Traffic{ToDevice: e.stats.toDevice.Load(), ToHost: e.stats.toHost.Load(), Cache: e.stats.caches.Load()}
}

// Counts tells which native objects are alive.
type Counts struct {
	Sessions int   // loaded graphs
	Bindings int   // one per cache
	Leased   int   // caches that sequences hold; the others are kept for sequences to come
	Buffers  int   // pieces of C and device memory
	Bytes    int64 // their size
}

// Start loads the library at path and starts ONNX Runtime. The environment
// belongs to the caller, who closes it after all its sessions.
func Start(path string) (*Environment, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("onnx: library %s: %w", path, err)
	}
	process.Lock()
	defer process.Unlock()
	if ort.IsInitialized() {
		return nil, ErrStarted
	}
	version, err := libraryVersion(path)
	if err != nil {
		return nil, fmt.Errorf("onnx: cannot load ONNX Runtime from %s: %w; run `make build`, or point GRAFT_ORT_LIBRARY at another library", path, err)
	}
	if !newEnough(version) {
		return nil, fmt.Errorf("onnx: %s is ONNX Runtime %s, too old: %d.%d or newer is needed; run `make build`, or point GRAFT_ORT_LIBRARY at another library",
			path, version, oldestMajor, oldestMinor)
	}
	ort.SetSharedLibraryPath(path)
	// What goes wrong comes back as an error; the library's own log lines, in
	// colour on the standard error, would only break the caller's.
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return nil, fmt.Errorf("onnx: start ONNX Runtime %s from %s: %w", version, path, err)
	}
	env := &Environment{library: path, version: version}
	if err := env.look(); err != nil {
		return nil, errors.Join(fmt.Errorf("onnx: %s: %w", path, err), ort.DestroyEnvironment())
	}
	return env, nil
}

// look reads what the loaded library offers.
func (e *Environment) look() (err error) {
	if e.api, err = loadedAPI(e.library); err != nil {
		return err
	}
	e.providers, err = builtProviders(e.api)
	return err
}

// newEnough compares the first two numbers of a version.
func newEnough(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return false
	}
	return major > oldestMajor || major == oldestMajor && minor >= oldestMinor
}

// Version is the version of the loaded library, for example "1.26.0".
func (e *Environment) Version() string { return e.version }

// Library is the absolute path of the loaded library.
func (e *Environment) Library() string { return e.library }

// Providers lists the execution providers that the library was built with, by
// ONNX Runtime's names. Whether one loads is only known when a session uses it.
func (e *Environment) Providers() []string { return append([]string(nil), e.providers...) }

// Live is the number of native objects alive: 0 when every session is closed.
func (e *Environment) Live() int {
	c := e.Counts()
	return c.Sessions + c.Bindings + c.Buffers
}

// Counts tells which native objects are alive.
func (e *Environment) Counts() Counts {
	return Counts{
		Sessions: int(e.stats.sessions.Load()),
		Bindings: int(e.stats.bindings.Load()),
		Leased:   int(e.stats.leased.Load()),
		Buffers:  int(e.stats.buffers.Load()),
		Bytes:    e.stats.bytes.Load(),
	}
}

// Close stops ONNX Runtime and unloads the library. It refuses while a session
// is open; closing twice does nothing.
func (e *Environment) Close() error {
	process.Lock()
	defer process.Unlock()
	if e.closed.Load() {
		return nil
	}
	if n := e.Live(); n > 0 {
		return fmt.Errorf("onnx: close the sessions first: %d native objects are alive (%+v)", n, e.Counts())
	}
	e.closed.Store(true)
	if err := ort.DestroyEnvironment(); err != nil {
		return fmt.Errorf("onnx: stop ONNX Runtime: %w", err)
	}
	return nil
}
