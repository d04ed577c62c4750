package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"sync"
	"syscall"
	"time"
)

// Observer is told how a Pull goes on, by several goroutines at once.
type Observer interface {
	// Begin says that so many bytes of a file are there already.
	Begin(f File, have int64)
	// Advance says that n more are; n is negative when some had to be thrown away.
	Advance(f File, n int64)
	// Retry says that a transfer failed and goes on after a wait.
	Retry(f File, err error, wait time.Duration)
	// End says that a file is there, whole and right.
	End(f File, how Outcome)
}

// Outcome is how a file came to be there.
type Outcome string

const (
	Fetched  Outcome = "fetched"
	Resumed  Outcome = "resumed"  // an earlier try had left its beginning
	Replaced Outcome = "replaced" // a file of that name had another content
	Present  Outcome = "present"  // it was there, with the right content
)

// Result is what a Pull did.
type Result struct {
	Files    []Pulled // in the plan's order, then what the graph named besides
	Received int64    // bytes that came over the network, those of broken tries too
	Notes    []string
}

// Pulled is one file of a Result.
type Pulled struct {
	File
	How Outcome
}

// Pull makes a folder hold a plan's files. What is there already, right or as a
// beginning, is not fetched again. After an error, or when ctx ends, the same call goes
// on from what has arrived. One Pull at a time works on a folder.
func (h *Hub) Pull(ctx context.Context, p Plan, dir string, o Observer) (Result, error) {
	result := Result{Notes: p.Notes}
	for _, f := range p.Files {
		if err := checkPath(f.Path); err != nil {
			return result, err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return result, onDisk(err, dir, p.Bytes())
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return result, onDisk(err, dir, p.Bytes())
	}
	defer root.Close()
	for _, f := range p.Files {
		if f.Digest == "" {
			result.Notes = append(result.Notes, fmt.Sprintf("%s has no hash on %s: only its size is checked", f.Path, h.endpoint.Host))
		}
	}
	unlock, err := lock(root)
	if err != nil {
		return result, err
	}
	defer unlock()
	if err := h.fetchAll(ctx, p, root, p.Files, o, &result); err != nil {
		return result, err
	}
	more, err := h.unnamed(ctx, p, root, &result)
	if err != nil || len(more) == 0 {
		return result, err
	}
	return result, h.fetchAll(ctx, p, root, more, o, &result)
}

// lock keeps a second process out of the folder until unlock, or the end of this one.
func lock(root *os.Root) (unlock func(), err error) {
	folder, err := root.Open(".")
	if err != nil {
		return nil, onDisk(err, root.Name(), 0)
	}
	err = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		folder.Close()
		return nil, fmt.Errorf("another graft pull is writing into %s: wait for its end, or choose another folder with --to", root.Name())
	}
	// File systems without locks are not kept from being used.
	return func() { folder.Close() }, nil
}

// fetchAll gets files, some at once. The first failure stops the others, which keep
// what they have.
func (h *Hub) fetchAll(ctx context.Context, p Plan, root *os.Root, files []File, o Observer, result *Result) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	pulled, received := make([]Pulled, len(files)), make([]int64, len(files))
	places := make(chan struct{}, h.options.Parallel)
	var working sync.WaitGroup
	for i, f := range files {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		working.Go(func() {
			defer func() { <-places }()
			d := &download{hub: h, listing: p.Listing, wanted: f, root: root, observer: o}
			how, err := d.get(ctx)
			received[i] = d.received
			if err != nil {
				stop(err)
				return
			}
			pulled[i] = Pulled{f, how}
			o.End(f, how)
		})
	}
	working.Wait()
	for i := range files {
		result.Received += received[i]
		if pulled[i].How != "" {
			result.Files = append(result.Files, pulled[i])
		}
	}
	return context.Cause(ctx)
}

// unnamed finds the files that the graph says its weights are in and that its name did
// not tell. A graph without its weights would be found out only when it is served.
func (h *Hub) unnamed(ctx context.Context, p Plan, root *os.Root, result *Result) ([]File, error) {
	graph := p.Variant.Graph.Path
	f, err := root.Open(graph)
	if err != nil {
		return nil, onDisk(err, root.Name(), 0)
	}
	defer f.Close()
	locations, err := Locations(f)
	if err != nil {
		result.Notes = append(result.Notes, fmt.Sprintf("%s is %v: it arrived as the repository has it, and will hardly be served", graph, err))
		return nil, nil
	}
	have := map[string]bool{}
	for _, f := range p.Files {
		have[f.Path] = true
	}
	var more []File
	for _, location := range locations {
		name := path.Join(path.Dir(graph), location)
		if have[name] {
			continue
		}
		f, ok := p.Listing.file(name)
		if !ok || checkPath(path.Clean(location)) != nil {
			return nil, fmt.Errorf("%s keeps weights in a file %q beside it, which %s does not have: the export is not complete, choose another with --variant", graph, location, p.Listing.Repository)
		}
		if f.Digest == "" && f.Size == 0 {
			if f, err = h.head(ctx, p.Listing, name); err != nil {
				return nil, err
			}
		}
		more = append(more, f)
	}
	return more, nil
}
