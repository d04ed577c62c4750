package hub

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v6"
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
	case info.Size() != d.wanted.Size:
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
	if d.have > d.wanted.Size {
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
	if got := sum(d.running); got != d.wanted.Digest {
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

// try is one request, from where the last one ended.
func (d *download) try(ctx context.Context, progressed func()) error {
	about := subject{d.listing.Repository, d.listing.pinned(), d.wanted.Path}
	request, err := newRequest(ctx, http.MethodGet, d.hub.endpoint.String()+resolvePath(d.listing, d.wanted.Path))
	if err != nil {
		return backoff.Permanent(err)
	}
	if d.have > 0 && !d.whole {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.have))
	}
	response, err := d.hub.do(d.hub.client, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		if d.have > 0 {
			if err := d.restart(); err != nil {
				return backoff.Permanent(err)
			}
		}
	case http.StatusPartialContent:
		if err := d.checkRange(response); err != nil {
			return err
		}
	case http.StatusRequestedRangeNotSatisfiable:
		d.whole = true
		return fmt.Errorf("%s has no bytes from %d on", response.Request.URL.Host, d.have)
	default:
		return d.hub.refused(response, about)
	}
	body, err := d.content(response)
	if err != nil {
		return err
	}
	d.pieces++
	return d.copy(body, response.Request.URL.Host, progressed)
}

var contentRange = regexp.MustCompile(`^bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)$`)

// checkRange refuses a part that does not continue what is there.
func (d *download) checkRange(response *http.Response) error {
	text := response.Header.Get("Content-Range")
	found := contentRange.FindStringSubmatch(text)
	if found == nil || d.whole || found[1] != strconv.FormatInt(d.have, 10) || response.Header.Get("Content-Encoding") != "" {
		d.whole = true
		return fmt.Errorf("%s answered bytes from %d on with %q", response.Request.URL.Host, d.have, text)
	}
	if found[3] != "*" && found[3] != strconv.FormatInt(d.wanted.Size, 10) {
		return backoff.Permanent(d.wrongSize(response, found[3]))
	}
	return nil
}

func (d *download) wrongSize(response *http.Response, announced string) error {
	return fmt.Errorf("%s announces %s bytes, and the Hub's listing says %d: this is another file", response.Request.URL.Host, announced, d.wanted.Size)
}

// content is the body as it is written: unpacked, where a server compressed it though
// it was asked not to.
func (d *download) content(response *http.Response) (io.Reader, error) {
	switch encoding := strings.ToLower(response.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		if n := response.ContentLength; n >= 0 && n != d.wanted.Size-d.have {
			return nil, backoff.Permanent(d.wrongSize(response, strconv.FormatInt(n+d.have, 10)))
		}
		return response.Body, nil
	case "gzip", "x-gzip":
		unpacked, err := gzip.NewReader(response.Body)
		if err != nil {
			return nil, fmt.Errorf("%s sends no gzip: %w", response.Request.URL.Host, err)
		}
		d.whole = true // a part of what is compressed is no part of the file
		return unpacked, nil
	default:
		return nil, backoff.Permanent(fmt.Errorf("%s compresses with %q, which was not asked for", response.Request.URL.Host, printable(encoding)))
	}
}

// copy appends what comes, up to the size that the listing told and no further.
func (d *download) copy(body io.Reader, host string, progressed func()) error {
	buffer := make([]byte, 128<<10)
	for d.have < d.wanted.Size {
		n, err := body.Read(buffer[:min(int64(len(buffer)), d.wanted.Size-d.have)])
		if n > 0 {
			if _, err := d.file.Write(buffer[:n]); err != nil {
				return backoff.Permanent(d.disk(errors.Join(err, d.file.Truncate(d.have))))
			}
			d.running.Write(buffer[:n])
			d.have += int64(n)
			d.received += int64(n)
			d.observer.Advance(d.wanted, int64(n))
		}
		if d.have > d.best {
			d.best = d.have
			progressed()
		}
		switch {
		case err == nil || d.have == d.wanted.Size:
		case errors.Is(err, io.EOF):
			return broken{host, io.ErrUnexpectedEOF}
		default:
			return err
		}
	}
	return nil
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
