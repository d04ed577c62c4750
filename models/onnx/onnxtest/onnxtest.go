// Package onnxtest starts ONNX Runtime for the tests of packages that run models:
//
//	var env *onnx.Environment
//
//	func TestMain(m *testing.M) {
//		os.Exit(onnxtest.Main(m, "..", func(e *onnx.Environment) { env = e }))
//	}
package onnxtest

import (
	"fmt"
	"os"
	"testing"

	"github.com/graft-gateway/graft/models/onnx"
)

// Main starts the library that lies below the project's root (or that the environment
// names), hands it to use, runs the tests and returns their exit code. Native objects
// that they leave alive are a failure.
func Main(m *testing.M, root string, use func(*onnx.Environment)) int {
	path, err := onnx.Locate(onnx.Search{Environment: os.Getenv(onnx.LibraryVariable), Folders: onnx.CacheFolders(root)})
	if err != nil {
		return failed(err)
	}
	env, err := onnx.Start(path)
	if err != nil {
		return failed(err)
	}
	use(env)
	code := m.Run()
	if live := env.Live(); live != 0 {
		code = failed(fmt.Errorf("%d native objects are still alive", live))
	}
	if err := env.Close(); err != nil {
		code = failed(err)
	}
	return code
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}
