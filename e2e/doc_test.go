// Package e2e holds stories over the real binary with its real parts: the embedded
// family, ONNX Runtime, and the clients that people use. They need what `make test`
// installs, and say so where it is missing.
package e2e
