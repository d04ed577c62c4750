package onnx

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/graft-gateway/graft/eft"
)

func TestSessionsFromPathAndBytesAreOne(t *testing.T) {
	data, err := os.ReadFile(model("gqa").Path)
	if err != nil {
		t.Fatal(err)
	}
	text := walk(20, 64)
	want := read(t, openSequence(t, openModel(t, "gqa", Options{Provider: CPU})), text, 20)
	s, err := OpenSession(testEnv, Source{Bytes: data}, Options{Provider: CPU, Context: 128, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	q := openSequence(t, s)
	got := read(t, q, text, 20)
	for i := range want {
		if !same(got[i], want[i]) {
			t.Errorf("row %d from bytes, on two threads, is another", i)
		}
	}
	if s.Strategy() != Shared || s.Vocabulary() != 64 || s.Context() != 128 || s.Provider() != CPU || s.ProviderNote() != "" {
		t.Errorf("%v %v %v %v %q", s.Strategy(), s.Vocabulary(), s.Context(), s.Provider(), s.ProviderNote())
	}
}

// TestAutoFallsBackAndSaysWhy holds on a machine without a GPU; with one the
// session must be on it.
func TestAutoFallsBackAndSaysWhy(t *testing.T) {
	s := openModel(t, "gqa", Options{})
	switch s.Provider() {
	case CUDA:
		if s.ProviderNote() != "" {
			t.Errorf("on CUDA, with the note %q", s.ProviderNote())
		}
	case CPU:
		if s.ProviderNote() == "" {
			t.Error("on CPU without a reason")
		}
		for _, p := range []Provider{CUDA, TensorRT} {
			if s, err := OpenSession(testEnv, model("gqa"), Options{Provider: p, Context: 128}); err == nil {
				t.Errorf("%s was asked for and is not there, but the session opened on %s", p, s.Provider())
				s.Close()
			} else if missing := new(ProviderError); !errors.As(err, &missing) || missing.Provider != p || strings.Contains(err.Error(), "damaged") {
				t.Errorf("%s: %v", p, err)
			}
		}
	}
	want := readExpected(t)
	rows := lend(read(t, openSequence(t, s), want.Prompt, 100))
	if d := farthest(t, rows, want.Prefill); d > 1e-3 {
		t.Errorf("%g away on %s", d, s.Provider())
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"no context":          {Provider: CPU},
		"a negative context":  {Provider: CPU, Context: -1},
		"negative threads":    {Provider: CPU, Context: 8, Threads: -1},
		"a negative chunk":    {Provider: CPU, Context: 8, Chunk: -1},
		"a negative device":   {Provider: CPU, Context: 8, Device: -1},
		"an unknown provider": {Provider: "npu", Context: 8},
	} {
		if s, err := OpenSession(testEnv, model("gqa"), o); err == nil {
			t.Errorf("%s: opened", name)
			s.Close()
		}
	}
}

func TestGraphsThatAreNoDecoders(t *testing.T) {
	before := testEnv.Counts()
	_, err := OpenSession(testEnv, model("double"), Options{Provider: CPU, Context: 8})
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Port != "" || !strings.Contains(err.Error(), "no input input_ids") {
		t.Errorf("%v", err)
	}
	if now := testEnv.Counts(); now != before {
		t.Errorf("%+v alive after a refusal, %+v before", now, before)
	}
}

func TestExactSessionsKeepRoomForTheSecondRow(t *testing.T) {
	q := openSequence(t, openModel(t, "gqa", Options{Provider: CPU, ExactShapes: true}))
	text := walk(128, 64)
	if got := q.session.Context(); got != 127 {
		t.Errorf("context %d, want 127", got)
	}
	want := read(t, q, text[:127], 127)
	if err := q.Truncate(0); err != nil {
		t.Fatal(err)
	}
	for i, row := range read(t, q, text[:127], 1) {
		if !same(row, want[i]) {
			t.Fatalf("row %d of single steps is another", i)
		}
	}
	if _, err := q.Extend(t.Context(), []eft.Token{1}, 1); err == nil {
		t.Error("went beyond its context")
	}
}

func TestSmallContextsOpen(t *testing.T) {
	for _, exact := range []bool{false, true} {
		for context := 1; context < 6; context++ {
			s := openModel(t, "gqa", Options{Provider: CPU, Context: context, ExactShapes: exact})
			if n := s.Context(); n > 0 {
				read(t, openSequence(t, s), walk(n, 64), n)
			}
		}
	}
}

func TestPromptsAreCutWithoutASingleTokenLeft(t *testing.T) {
	for left, want := range map[int][]int{1: {1}, 4: {4}, 5: {5}, 6: {4, 2}, 9: {4, 5}, 12: {4, 4, 4}, 13: {4, 4, 5}} {
		var cuts []int
		for n := left; n > 0; n -= cuts[len(cuts)-1] {
			cuts = append(cuts, chunkOf(n, 4))
		}
		if !slices.Equal(cuts, want) {
			t.Errorf("%d tokens are cut into %v, want %v", left, cuts, want)
		}
	}
}

func TestThreads(t *testing.T) {
	for _, c := range []struct {
		size       int64
		processors int
		want       int
	}{{1 << 20, 64, 1}, {64 << 20, 8, 1}, {1 << 30, 8, 4}, {1 << 30, 1, 1}} {
		if got := defaultThreads(c.size, c.processors); got != c.want {
			t.Errorf("%d threads for %d bytes on %d processors, want %d", got, c.size, c.processors, c.want)
		}
	}
}

// TestSignalHandlersArePutBack lets code replace a handler as CUDA does, and
// reads from the kernel what the process then does with the signal.
func TestSignalHandlersArePutBack(t *testing.T) {
	ignored := func() bool {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(status), "SigIgn:")
		mask, err := strconv.ParseUint(strings.Fields(after)[0], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		return mask&(1<<(syscall.SIGUSR2-1)) != 0
	}
	want, failure := ignored(), errors.New("failure")
	err := keepSignals(func() error {
		signal.Ignore(syscall.SIGUSR2)
		if !ignored() {
			t.Error("the handler was not replaced")
		}
		return failure
	})
	if err != failure || ignored() != want {
		t.Errorf("%v, ignored %v, before %v", err, ignored(), want)
	}
	signal.Reset(syscall.SIGUSR2)
}

// Go's handlers run on a stack of their own (SA_ONSTACK). CUDA puts in some without: code
// of C on a small stack then crashes at Ctrl-C. The kernel tells what is in place.
func TestHandlersGetTheirStackBack(t *testing.T) {
	const onStack, number = 0x08000000, uintptr(syscall.SIGUSR1)
	type action struct { // of the kernel, on amd64 and arm64
		handler         uintptr
		flags, restorer uintptr
		mask            uint64
	}
	call := func(set, get *action) {
		if _, _, err := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, number, uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(get)), 8, 0, 0); err != 0 {
			t.Fatal(err)
		}
	}
	var before, within, after action
	call(nil, &before)
	if before.flags&onStack == 0 {
		t.Fatalf("Go's own handler is %+v", before)
	}
	err := keepSignals(func() error {
		changed := before
		changed.flags &^= onStack
		call(&changed, nil)
		call(nil, &within)
		return nil
	})
	call(nil, &after)
	if err != nil || within.flags&onStack != 0 || after.flags&onStack == 0 || after.handler != before.handler {
		t.Errorf("%v: before %+v, within %+v, after %+v", err, before, within, after)
	}
}

func TestReasonsAreShort(t *testing.T) {
	text := "/src/a.cc:60 static X::Y(const Z&) [ONNXRuntimeError] : 1 : FAIL : CUDA failure 35: driver too old ; GPU=-1 ; hostname=vm ; expr=x();"
	if got := reason(errors.New(text)); got != "1 : FAIL : CUDA failure 35: driver too old" {
		t.Errorf("%q", got)
	}
	if got := reason(errors.New("plain")); got != "plain" {
		t.Errorf("%q", got)
	}
}

func TestLibrariesBesideTheCoreAreOpened(t *testing.T) {
	folder := filepath.Dir(compile(t, "int x;"))
	if err := os.Rename(filepath.Join(folder, "libonnxruntime.so"), filepath.Join(folder, "libnvJitLink.so.12")); err != nil {
		t.Fatal(err)
	}
	if err := preloadCUDA(folder); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "libcublas.so.12"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := preloadCUDA(folder); err == nil || !strings.Contains(err.Error(), "libcublas.so.12") {
		t.Errorf("a broken library: %v", err)
	}
}

func TestSessionsAreTriedOnTheirTextWithinTheVocabulary(t *testing.T) {
	for name, c := range map[string]struct {
		trial []eft.Token
		room  int
		want  []eft.Token
	}{
		"no text":          {nil, 100, []eft.Token{0, 1, 2, 0}},
		"a text":           {[]eft.Token{2, 2, 1, 1, 0}, 100, []eft.Token{2, 2, 1, 1}},
		"ids of another":   {[]eft.Token{2, 7, 3, 1}, 100, []eft.Token{2, 1, 2, 1}},
		"a short context":  {[]eft.Token{2, 2, 1}, 2, []eft.Token{2, 2}},
		"a text too short": {[]eft.Token{2}, 100, []eft.Token{2, 1, 2, 0}},
	} {
		s := &Session{layout: &layout{vocab: 3}, options: Options{Context: c.room, Trial: c.trial}}
		if got := s.trial(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
