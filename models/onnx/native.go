package onnx

// #cgo CFLAGS: -O2 -Wall -Wextra
// #cgo LDFLAGS: -ldl
// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"strings"
	"unsafe"
)

// fail turns a message of the shim into an error and frees it.
func fail(message *C.char) error {
	if message == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(message))
	return errors.New(strings.TrimSpace(C.GoString(message)))
}

// withPath calls f with path as a C string.
func withPath(path string, f func(*C.char) *C.char) error {
	c := C.CString(path)
	defer C.free(unsafe.Pointer(c))
	return fail(f(c))
}

// libraryVersion asks a library for its version.
func libraryVersion(path string) (string, error) {
	const size = 64
	version := (*C.char)(C.calloc(size, 1))
	defer C.free(unsafe.Pointer(version))
	err := withPath(path, func(c *C.char) *C.char { return C.graft_version(c, version, size) })
	return C.GoString(version), err
}

// preload opens a library for good.
func preload(path string) error {
	return withPath(path, func(c *C.char) *C.char { return C.graft_preload(c) })
}

// loadedAPI finds the function table of the library that was loaded from path.
func loadedAPI(path string) (api unsafe.Pointer, err error) {
	err = withPath(path, func(c *C.char) *C.char { return C.graft_api(c, &api) })
	return api, err
}

// builtProviders lists the execution providers that the library was built with.
func builtProviders(api unsafe.Pointer) ([]string, error) {
	var names *C.char
	if err := fail(C.graft_providers(api, &names)); err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(names))
	return strings.Split(C.GoString(names), ","), nil
}

// keepSignals runs f and puts back the signal handlers that it replaced: CUDA
// installs its own without an alternate stack, and Ctrl-C then crashes Go.
func keepSignals(f func() error) error {
	saved := C.graft_signals_save()
	defer C.graft_signals_restore(saved)
	return f()
}

// deviceKind is where keys, values and scores of a session are.
type deviceKind int

// noDevice is the host's own memory; pretended is the host's memory that is treated as
// if it were a GPU's, for tests.
const (
	noDevice  deviceKind = C.GRAFT_NO_DEVICE
	onCUDA    deviceKind = C.GRAFT_CUDA
	pretended deviceKind = C.GRAFT_PRETENDED
)

// native is the shim's side of one session. Runs, copies and allocations belong
// to the session's goroutine; terminate may be called beside a run.
type native struct {
	c      C.graft_session
	stats  *counters
	device deviceKind
	caches map[name]bool // the names of keys and values
}

func openNative(api, session unsafe.Pointer, device deviceKind, id int, stats *counters) (*native, error) {
	n := &native{stats: stats, device: device, caches: make(map[name]bool)}
	if err := fail(C.graft_open(api, session, C.int(device), C.int(id), &n.c)); err != nil {
		return nil, err
	}
	stats.sessions.Add(1)
	return n, nil
}

// card is the name of a GPU.
func card(id int) (string, error) {
	const size = 256
	text := (*C.char)(C.calloc(size, 1))
	defer C.free(unsafe.Pointer(text))
	err := fail(C.graft_card(C.int(id), text, size))
	return C.GoString(text), err
}

func (n *native) close() {
	C.graft_close(&n.c)
	n.stats.sessions.Add(-1)
}

// ports reads the declared inputs or outputs.
func (n *native) ports(outputs bool) ([]Port, error) {
	var list *C.graft_port
	var count C.size_t
	flag := C.int(0)
	if outputs {
		flag = 1
	}
	err := fail(C.graft_ports(&n.c, flag, &list, &count))
	if list == nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(list))
	var ports []Port
	for _, p := range unsafe.Slice(list, int(count)) {
		port := Port{Name: C.GoString(p.name), Type: ElementType(p._type), Tensor: p.rank >= 0}
		C.free(unsafe.Pointer(p.name))
		for i := range max(0, int(p.rank)) {
			port.Dims = append(port.Dims, int64(p.dims[i]))
		}
		ports = append(ports, port)
	}
	return ports, err
}

// terminate makes the current run return soon, or (off) lets runs happen again.
func (n *native) terminate(on bool) error {
	flag := C.int(0)
	if on {
		flag = 1
	}
	return fail(C.graft_terminate(&n.c, flag))
}

// memory is a piece of C or device memory with one owner, who frees it.
type memory struct {
	native *native
	data   unsafe.Pointer
	size   int
	where  C.int
}

func (n *native) alloc(size int, device bool) (memory, error) {
	if device {
		return n.allocate(size, C.GRAFT_DEVICE)
	}
	return n.allocate(size, C.GRAFT_HOST)
}

// staging is host memory that a device reads and writes directly, where there is one.
func (n *native) staging(size int) (memory, error) {
	if n.device == noDevice {
		return n.allocate(size, C.GRAFT_HOST)
	}
	return n.allocate(size, C.GRAFT_PINNED)
}

func (n *native) allocate(size int, where C.int) (memory, error) {
	m := memory{native: n, size: size, where: where}
	if err := fail(C.graft_alloc(&n.c, where, C.size_t(size), &m.data)); err != nil {
		return memory{}, err
	}
	n.stats.buffers.Add(1)
	n.stats.bytes.Add(int64(size))
	return m, nil
}

func (m *memory) free() {
	if m.data == nil {
		return
	}
	C.graft_free(&m.native.c, m.where, m.data, C.size_t(m.size))
	m.native.stats.buffers.Add(-1)
	m.native.stats.bytes.Add(-int64(m.size))
	m.data = nil
}

// onDevice says whether the memory is not the host's.
func (m *memory) onDevice() bool { return m.where == C.GRAFT_DEVICE }

// at is the address offset bytes into the memory.
func (m *memory) at(offset int) unsafe.Pointer { return unsafe.Add(m.data, offset) }

// copyRows copies rows of width bytes between two places of one kind of memory.
func (n *native) copyRows(device bool, dst unsafe.Pointer, dstPitch int, src unsafe.Pointer, srcPitch, width, rows int) error {
	way := C.int(C.GRAFT_WITHIN_HOST)
	if device {
		way = C.GRAFT_WITHIN_DEVICE
	}
	if err := fail(C.graft_copy(&n.c, way, dst, C.size_t(dstPitch), src, C.size_t(srcPitch), C.size_t(width), C.size_t(rows))); err != nil {
		return err
	}
	return n.settle()
}

// shift copies as copyRows does, between places where caches are, and need not be there
// before settle. The host's memory is copied without a call of C: it is called for every
// row of every slot in a run.
func (n *native) shift(dst unsafe.Pointer, dstPitch int, src unsafe.Pointer, srcPitch, width, rows int) error {
	if n.device != noDevice {
		return fail(C.graft_copy(&n.c, C.GRAFT_WITHIN_DEVICE, dst, C.size_t(dstPitch), src, C.size_t(srcPitch), C.size_t(width), C.size_t(rows)))
	}
	if width == 0 {
		return nil
	}
	for r := range rows {
		copy(unsafe.Slice((*byte)(unsafe.Add(dst, r*dstPitch)), width), unsafe.Slice((*byte)(unsafe.Add(src, r*srcPitch)), width))
	}
	return nil
}

// blank writes zeros as shift writes copies.
func (n *native) blank(dst unsafe.Pointer, pitch, width, rows int) error {
	if n.device != noDevice {
		return fail(C.graft_device_blank(n.c.mover, dst, C.size_t(pitch), C.size_t(width), C.size_t(rows)))
	}
	for r := range rows {
		clear(unsafe.Slice((*byte)(unsafe.Add(dst, r*pitch)), width))
	}
	return nil
}

// download copies rows of width bytes from where caches and scores are, which may be a
// device, into the host's memory. They are there after settle.
func (n *native) download(dst unsafe.Pointer, dstPitch int, src unsafe.Pointer, srcPitch, width, rows int) error {
	way := C.int(C.GRAFT_WITHIN_HOST)
	if n.device != noDevice {
		way = C.GRAFT_TO_HOST
		n.stats.toHost.Add(int64(width * rows))
	}
	return fail(C.graft_copy(&n.c, way, dst, C.size_t(dstPitch), src, C.size_t(srcPitch), C.size_t(width), C.size_t(rows)))
}

// upload copies the other way.
func (n *native) upload(dst unsafe.Pointer, dstPitch int, src unsafe.Pointer, srcPitch, width, rows int) error {
	way := C.int(C.GRAFT_WITHIN_HOST)
	if n.device != noDevice {
		way = C.GRAFT_TO_DEVICE
		n.stats.toDevice.Add(int64(width * rows))
	}
	return fail(C.graft_copy(&n.c, way, dst, C.size_t(dstPitch), src, C.size_t(srcPitch), C.size_t(width), C.size_t(rows)))
}

// settle waits until what was copied is there.
func (n *native) settle() error {
	if n.device == noDevice {
		return nil
	}
	return fail(C.graft_settle(&n.c))
}

// tensor is memory under the name of one input or output.
type tensor = C.graft_tensor

// name is a port's name in C memory.
type name = *C.char

func newName(text string) name { return C.CString(text) }
func freeName(n name)          { C.free(unsafe.Pointer(n)) }

// describe fills in a tensor; the name must outlive it.
func describe(t *tensor, n name, kind ElementType, output bool) {
	t.name = n
	t._type = C.int32_t(kind)
	if output {
		t.output = 1
	}
}

// place points a tensor at memory with a shape.
func place(t *tensor, kind ElementType, m *memory, offset int, dims ...int) {
	elements := 1
	for i, d := range dims {
		t.dims[i] = C.int64_t(d)
		elements *= d
	}
	t.rank = C.int32_t(len(dims))
	t.data = m.at(offset)
	t.device = 0
	if m.onDevice() {
		t.device = 1
	}
	t.size = C.size_t(elements * kind.Size())
}

// binding ties tensors to the names of a run. It has one owner, who frees it.
type binding struct {
	native *native
	c      unsafe.Pointer
}

func (n *native) newBinding() (binding, error) {
	b := binding{native: n}
	if err := fail(C.graft_binding_new(&n.c, &b.c)); err != nil {
		return binding{}, err
	}
	n.stats.bindings.Add(1)
	return b, nil
}

func (b *binding) free() {
	if b.c == nil {
		return
	}
	C.graft_binding_free(&b.native.c, b.c)
	b.native.stats.bindings.Add(-1)
	b.c = nil
}

// bind points names at tensors until they are bound again.
func (b *binding) bind(tensors []tensor) error {
	if len(tensors) == 0 {
		return nil
	}
	if b.native.device != noDevice {
		b.native.count(tensors)
	}
	return fail(C.graft_bind(&b.native.c, b.c, &tensors[0], C.size_t(len(tensors))))
}

// count counts what crosses between host and device because it is bound in the host's
// memory: ONNX Runtime carries inputs over when they are bound, and outputs when a run
// ends. Where it computes with some of them on the host, it is less.
func (n *native) count(tensors []tensor) {
	for i := range tensors {
		t := &tensors[i]
		switch bytes := int64(t.size); {
		case t.device != 0:
			continue
		case n.caches[t.name]:
			n.stats.caches.Add(bytes)
			fallthrough
		case t.output == 0:
			n.stats.toDevice.Add(bytes)
		default:
			n.stats.toHost.Add(bytes)
		}
	}
}

// run runs the session on what is bound.
func (b *binding) run() error { return fail(C.graft_run(&b.native.c, b.c)) }
