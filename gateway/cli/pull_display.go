package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/graft-gateway/graft/models/hub"
)

// display tells how a pull goes on.
type display interface {
	hub.Observer
	close()
}

// newDisplay draws bars on a terminal, and elsewhere writes a line for each file.
func newDisplay(out *os.File, plan hub.Plan) display {
	if !term.IsTerminal(int(out.Fd())) {
		return lines{out}
	}
	return newBars(mpb.New(mpb.WithOutput(out), mpb.WithRefreshRate(200*time.Millisecond)), plan)
}

// lines is a display for logs. Each call writes at most one line.
type lines struct{ out io.Writer }

func (lines) Begin(hub.File, int64)   {}
func (lines) Advance(hub.File, int64) {}
func (lines) close()                  {}

func (l lines) Retry(_ hub.File, err error, wait time.Duration) { l.retrying(err, wait) }

func (l lines) retrying(err error, wait time.Duration) {
	fmt.Fprintf(l.out, "%v; again in %v\n", err, wait.Round(100*time.Millisecond))
}

func (l lines) End(f hub.File, how hub.Outcome) {
	fmt.Fprintf(l.out, "%s  %s  %s\n", f.Path, humanize.Bytes(uint64(f.Size)), how)
}

// bars is a display for terminals: one bar for the whole, one for each file under way,
// and above them the lines of what is done.
//
// The whole's total is the plan's until a file begins that the plan did not have.
type bars struct {
	lines
	container *mpb.Progress
	whole     *mpb.Bar

	mu       sync.Mutex // guards what follows
	files    map[string]*mpb.Bar
	counted  map[string]bool // files that total has in it
	total    int64
	there    int64 // bytes that are there
	received int64 // of them, those that came since began
	began    time.Time
}

func newBars(container *mpb.Progress, plan hub.Plan) *bars {
	b := &bars{lines: lines{container}, container: container, files: map[string]*mpb.Bar{}, counted: map[string]bool{}, total: plan.Bytes(), began: time.Now()}
	for _, f := range plan.Files {
		b.counted[f.Path] = true
	}
	b.whole = container.AddBar(0, mpb.BarPriority(1),
		mpb.PrependDecorators(decor.Name("all files", decor.WCSyncSpaceR), decor.CountersKiloByte("% .1f / % .1f", decor.WCSyncSpace)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return b.pace() })))
	b.whole.SetTotal(b.total, false)
	return b
}

// pace is the speed of this run and the time that is left at it.
func (b *bars) pace() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	elapsed := time.Since(b.began)
	if b.received <= 0 || elapsed < time.Second {
		return ""
	}
	speed := float64(b.received) / elapsed.Seconds()
	left := time.Duration(float64(b.total-b.there) / speed * float64(time.Second))
	return fmt.Sprintf("%s/s, %v left", humanize.Bytes(uint64(speed+0.5)), left.Round(time.Second))
}

func (b *bars) Begin(f hub.File, have int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.counted[f.Path] {
		b.counted[f.Path] = true
		b.total += f.Size
		b.whole.SetTotal(b.total, false)
	}
	b.there += have
	if have < f.Size {
		bar := b.container.AddBar(0, mpb.PrependDecorators(decor.Name(shortened(f.Path), decor.WCSyncSpaceR), decor.CountersKiloByte("% .1f / % .1f", decor.WCSyncSpace)))
		bar.SetTotal(f.Size, false)
		bar.SetCurrent(have)
		b.files[f.Path] = bar
	}
	b.whole.SetCurrent(b.there)
}

// shortened keeps the end of a long path.
func shortened(path string) string {
	if r := []rune(path); len(r) > 36 {
		return "…" + string(r[len(r)-35:])
	}
	return path
}

func (b *bars) Advance(f hub.File, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.there, b.received = b.there+n, b.received+max(n, 0)
	b.whole.SetCurrent(b.there)
	if bar := b.files[f.Path]; bar != nil {
		bar.IncrInt64(n)
	}
}

func (b *bars) End(f hub.File, how hub.Outcome) {
	b.mu.Lock()
	if bar := b.files[f.Path]; bar != nil {
		bar.Abort(true)
		delete(b.files, f.Path)
	}
	b.mu.Unlock()
	b.lines.End(f, how)
}

// close takes the bars away; the lines stay.
func (b *bars) close() {
	b.mu.Lock()
	for _, bar := range b.files {
		bar.Abort(true)
	}
	b.mu.Unlock()
	b.whole.Abort(true)
	b.container.Wait()
}
