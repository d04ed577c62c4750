package onnx

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// testEnv is the one environment of this test process.
var testEnv *Environment

// childLibrary makes the test binary a process that starts the library named,
// and nothing else.
const childLibrary = "GRAFT_TEST_START"

func TestMain(m *testing.M) {
	if path := os.Getenv(childLibrary); path != "" {
		_, err := Start(path)
		fmt.Println(err)
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	code, err := withEnvironment(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withEnvironment runs the tests over a started library, which must have
// nothing alive when they are done.
func withEnvironment(m *testing.M) (int, error) {
	library, err := Locate(Search{Environment: os.Getenv(LibraryVariable), Folders: CacheFolders("../..")})
	if err != nil {
		return 1, err
	}
	// Started twice, so that every test runs in an environment after another.
	for range 2 {
		if testEnv != nil {
			if err := testEnv.Close(); err != nil {
				return 1, err
			}
		}
		if testEnv, err = Start(library); err != nil {
			return 1, err
		}
	}
	code := m.Run()
	if err := testEnv.Close(); err != nil {
		return 1, err
	}
	return code, testEnv.Close() // closing twice does nothing
}

// model is the source of one of the models in testdata, all with the same
// random weights: 2 layers of width 32, 64 ids, 128 positions.
func model(name string) Source {
	return Source{Path: filepath.Join("testdata", name, "model.onnx")}
}

// member is the source of a model of the embedded family.
func member(name string) Source {
	return Source{Path: filepath.Join("..", "demo", name, "model.onnx")}
}

// openModel opens a model of testdata and closes it when the test is done.
func openModel(t testing.TB, name string, o Options) *Session {
	t.Helper()
	if o.Context == 0 {
		o.Context = 128
	}
	return openSource(t, model(name), o)
}

// openSource opens a session and closes it when the test is done.
func openSource(t testing.TB, src Source, o Options) *Session {
	t.Helper()
	s, err := OpenSession(testEnv, src, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// openSequence opens a sequence and closes it when the test is done.
func openSequence(t testing.TB, s *Session) *Sequence {
	t.Helper()
	q, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}
