package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestWhatDisksDoIsToldInWords(t *testing.T) {
	for says, err := range map[string]error{
		"the disk is full: ./m needs 7 bytes more": &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC},
		"make room":                        fmt.Errorf("x: %w", syscall.EDQUOT),
		"this user may not write into ./m": &os.PathError{Op: "open", Path: "x", Err: syscall.EACCES},
		"choose another folder with --to":  &os.PathError{Op: "open", Path: "x", Err: syscall.EROFS},
		"folder ./m: read x: i/o error":    &os.PathError{Op: "read", Path: "x", Err: errors.New("i/o error")},
		"context canceled":                 context.Canceled,
	} {
		if got := onDisk(err, "./m", 7); got == nil || !strings.Contains(got.Error(), says) {
			t.Errorf("%v, want %q", got, says)
		}
	}
	if err := onDisk(nil, "./m", 7); err != nil {
		t.Error(err)
	}
}
