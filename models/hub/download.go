package hub

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"regexp"
	"strings"
	"time"
)

// download is one file on its way. Its invariants, whenever no try is under way:
//
//   - the unfinished file holds have bytes, and running has hashed just these
//   - 0 ≤ have ≤ wanted.Size
//   - best is the most that have ever was: a try that did not get past it brought nothing
type download struct {
	hub      *Hub
	listing  *Listing
	wanted   File
	root     *os.Root
	observer Observer

	file       *os.File
	running    hash.Hash
	have, best int64
	pieces     int   // transfers that what is there was made of
	received   int64 // bytes that came over the network, in all tries
	whole      bool  // Ranges are not asked for: the server does not serve them
}

// get makes the file be there, whole and right.
func (d *download) get(ctx context.Context) (Outcome, error) {
	before, err := d.present(ctx)
	if before == Present || err != nil {
		return before, err
	}
	if err := d.open(ctx); err != nil {
		return "", err
	}
	defer d.file.Close() // again after finish did it, for the ways out before
	resumed := d.have > 0
	d.observer.Begin(d.wanted, d.have)
	err = d.fetch(ctx)
	if mismatch := new(MismatchError); errors.As(err, &mismatch) && d.pieces > 1 {
		// Some piece was not what it seemed, so nothing of it is kept.
		resumed, d.whole, d.best = false, true, 0
		if err = d.restart(); err == nil {
			err = d.fetch(ctx)
		}
	}
	if err != nil {
		if mismatch := new(MismatchError); d.have == 0 || errors.As(err, &mismatch) {
			err = errors.Join(err, d.disk(d.root.Remove(d.wanted.incomplete())))
		}
		return "", err
	}
	if err := d.finish(); err != nil {
		return "", err
	}
	switch {
	case before == Replaced:
		return Replaced, nil
	case resumed:
		return Resumed, nil
	}
	return Fetched, nil
}

// present looks at what has the file's name: nothing, the file itself, or something
// else, which is to be replaced.
func (d *download) present(ctx context.Context) (Outcome, error) {
	name := d.wanted.Path
	info, err := d.root.Lstat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	case err != nil:
		return "", d.disk(err)
	case info.Mode()&os.ModeSymlink != 0:
		return "", fmt.Errorf("%s in %s is a symbolic link, through which nothing is written: remove it, or choose another folder with --to", name, d.root.Name())
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s in %s is no file: remove it, or choose another folder with --to", name, d.root.Name())
	case info.Size() != d.wanted.Size || d.wanted.Digest == "":
		return Replaced, nil
	}
	f, err := d.root.Open(name)
	if err != nil {
		return "", d.disk(err)
	}
	defer f.Close()
	h := d.wanted.Digest.hasher(d.wanted.Size)
	if _, err := io.Copy(h, interruptible{ctx, f}); err != nil {
		return "", d.disk(err)
	}
	if sum(h) != d.wanted.Digest {
		return Replaced, nil
	}
	d.observer.Begin(d.wanted, d.wanted.Size)
	return Present, nil
}

// open takes up what an earlier try left.
func (d *download) open(ctx context.Context) error {
	name := d.wanted.incomplete()
	if err := d.root.MkdirAll(path.Dir(d.wanted.Path), 0o755); err != nil {
		return d.disk(err)
	}
	if info, err := d.root.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s in %s is no file: remove it", name, d.root.Name())
	}
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return d.disk(err)
	}
	d.file, d.running = f, d.wanted.Digest.hasher(d.wanted.Size)
	d.have, err = io.Copy(d.running, io.LimitReader(interruptible{ctx, f}, d.wanted.Size+1))
	if err != nil {
		f.Close()
		return d.disk(err)
	}
	d.whole = d.wanted.Digest == "" // pieces could be of different contents
	if d.have > d.wanted.Size || d.whole && d.have > 0 {
		d.have = 0
		d.observer.Begin(d.wanted, 0)
		return d.restart()
	}
	if d.have > 0 {
		d.pieces = 1
	}
	d.best = d.have
	return nil
}

// restart throws away what is there.
func (d *download) restart() error {
	if err := errors.Join(d.file.Truncate(0), seekStart(d.file)); err != nil {
		return d.disk(err)
	}
	d.observer.Advance(d.wanted, -d.have)
	d.have, d.pieces, d.running = 0, 0, d.wanted.Digest.hasher(d.wanted.Size)
	return nil
}

func seekStart(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// fetch transfers what is missing and compares the hash.
func (d *download) fetch(ctx context.Context) error {
	if d.have < d.wanted.Size {
		err := d.hub.persist(ctx, func(progressed func()) error { return d.try(ctx, progressed) },
			func(err error, wait time.Duration) { d.observer.Retry(d.wanted, d.named(err), wait) })
		switch {
		case ctx.Err() != nil:
			return err
		case err != nil:
			return d.named(err)
		}
	}
	if got := sum(d.running); got != d.wanted.Digest && d.wanted.Digest != "" {
		return &MismatchError{d.wanted, got}
	}
	return nil
}

// named puts the file's name before an error that does not have it.
func (d *download) named(err error) error {
	if refusal := new(Refusal); errors.As(err, &refusal) {
		return err
	}
	return fmt.Errorf("%s: %w", d.wanted.Path, err)
}

// MismatchError is a file that arrived whole and is not what the listing told.
type MismatchError struct {
	File File
	Got  Digest
}

// Error implements error.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s arrived with %s %s, and the Hub's listing says %s: it was removed; try again, and if it stays so, the server or something in between alters files",
		e.File.Path, e.File.Digest.algorithm(), e.Got, e.File.Digest)
}

// finish gives the file its name.
func (d *download) finish() error {
	name := d.wanted.incomplete()
	if err := errors.Join(d.file.Sync(), d.file.Close()); err != nil {
		return d.disk(err)
	}
	if err := d.root.Rename(name, d.wanted.Path); err != nil {
		return d.disk(err)
	}
	return d.disk(d.sweep())
}

var leftover = regexp.MustCompile(`^\.[0-9a-f]{16}\` + incompleteSuffix + `$`)

// sweep removes what tries for other contents of this name left behind.
func (d *download) sweep() error {
	folder, err := d.root.Open(path.Dir(d.wanted.Path))
	if err != nil {
		return err
	}
	defer folder.Close()
	names, err := folder.Readdirnames(-1)
	for _, name := range names {
		if rest, ok := strings.CutPrefix(name, path.Base(d.wanted.Path)); ok && leftover.MatchString(rest) {
			err = errors.Join(err, d.root.Remove(path.Join(path.Dir(d.wanted.Path), name)))
		}
	}
	return err
}
