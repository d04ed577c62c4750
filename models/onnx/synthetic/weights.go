package synthetic

import (
	"bufio"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
)

// alignment of a tensor in its file, so that it can be mapped into memory.
const alignment = 4096

// weights writes tensors into a file, one after another.
type weights struct {
	file   *os.File
	to     *bufio.Writer
	at     int64
	random *rand.Rand
}

func newWeights(path string, seed uint64) (*weights, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &weights{file: file, to: bufio.NewWriterSize(file, 1<<20), random: rand.New(rand.NewPCG(seed, 0))}, nil
}

// add writes count numbers that next gives, and returns where they lie. An error shows
// when the file is closed.
func (w *weights) add(count int, next func(i int) float32) (offset, size int64) {
	for ; w.at%alignment != 0; w.at++ {
		_ = w.to.WriteByte(0) // the writer keeps its error
	}
	offset, size = w.at, int64(count)*bytesPerNumber
	var number [bytesPerNumber]byte
	for i := range count {
		binary.LittleEndian.PutUint32(number[:], math.Float32bits(next(i)))
		_, _ = w.to.Write(number[:])
	}
	w.at += size
	return offset, size
}

// spread gives random numbers such that a product with inputs of them keeps the size of
// what goes into it.
func (w *weights) spread(inputs int) func(int) float32 {
	most := math.Sqrt(3 / float64(inputs))
	return func(int) float32 { return float32(most * (2*w.random.Float64() - 1)) }
}

// close ends the file and joins what went wrong.
func (w *weights) close(err error) error {
	return errors.Join(err, w.to.Flush(), w.file.Close())
}
