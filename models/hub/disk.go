package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// disk says what went wrong with the folder, and what helps.
func (d *download) disk(err error) error {
	return onDisk(err, d.root.Name(), d.wanted.Size-d.have)
}

func onDisk(err error, folder string, missing int64) error {
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("the disk is full: %s needs %d bytes more for this file alone; make room, or choose another folder with --to, and run the same command again, which goes on from what is there", folder, missing)
	case errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS):
		return fmt.Errorf("this user may not write into %s: choose another folder with --to (%w)", folder, err)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s has a file in the place of a folder: move it away, or choose another folder with --to (%w)", folder, err)
	}
	return fmt.Errorf("folder %s: %w", folder, err)
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (i interruptible) Read(dst []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(dst)
}
