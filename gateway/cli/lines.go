package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a line of input, and with it the memory that one can take.
const maxLine = 16 << 20

// errLongLine says that a line was longer, and that the rest of it was passed over.
var errLongLine = fmt.Errorf("the line is longer than %d MiB", maxLine>>20)

// eachLine answers every line of in with one of out, in order. What is ready is
// written as soon as no further line waits, so that a program at the other end of
// two pipes gets its answer before it sends the next line. Empty lines are passed
// over. A reader cannot be interrupted: when ctx is done first, it is left behind
// for the end of the process.
func eachLine(ctx context.Context, in io.Reader, out io.Writer, answer func(line []byte) any) error {
	done := make(chan error, 1)
	go func() { done <- copyLines(ctx, in, out, answer) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func copyLines(ctx context.Context, in io.Reader, out io.Writer, answer func(line []byte) any) error {
	reader, writer := bufio.NewReaderSize(in, 1<<16), bufio.NewWriterSize(out, 1<<16)
	encoder := json.NewEncoder(writer)
	encoder.SetEscapeHTML(false)
	var line []byte
	for number := 1; ctx.Err() == nil; number++ {
		var err error
		line, err = readLine(reader, line[:0])
		long := errors.Is(err, errLongLine)
		if err != nil && err != io.EOF && !long {
			return errors.Join(fmt.Errorf("line %d: %w", number, err), writer.Flush())
		}
		if text := bytes.TrimSpace(line); long || len(text) > 0 {
			var reply any = failure{errLongLine.Error()}
			if !long {
				reply = answer(text)
			}
			if err := encoder.Encode(reply); err != nil {
				return fmt.Errorf("write: %w", err)
			}
		}
		if reader.Buffered() == 0 || err == io.EOF {
			if err := writer.Flush(); err != nil {
				return fmt.Errorf("write: %w", err)
			}
		}
		if err == io.EOF {
			return nil
		}
	}
	return ctx.Err()
}

// readLine appends the next line to dst. The last one may come with io.EOF; one that is
// too long is read to its end and gives errLongLine.
func readLine(r *bufio.Reader, dst []byte) ([]byte, error) {
	for long := false; ; {
		part, err := r.ReadSlice('\n')
		if long = long || len(dst)+len(part) > maxLine; !long {
			dst = append(dst, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
		case long && (err == nil || err == io.EOF): // at the end, the next call finds io.EOF again
			return dst[:0], errLongLine
		default:
			return dst, err
		}
	}
}

// failure is what answers a line that cannot be answered otherwise.
type failure struct {
	Error string `json:"error"`
}

// notUnderstood says why a line is not what its command reads, without Go's words.
func notUnderstood(err error) failure {
	var kind *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &kind):
		return failure{fmt.Sprintf("the line is no JSON: %v", err)}
	case kind.Field == "":
		return failure{fmt.Sprintf("the line is a JSON %s, not an object", kind.Value)}
	}
	return failure{fmt.Sprintf("%q cannot be a JSON %s", kind.Field, kind.Value)}
}
