package cli

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/graft-gateway/graft/gateway/bench"
)

// benchProgress shows how far a bench is.
type benchProgress interface {
	bench.Progress
	close()
}

// newBenchProgress draws a bar on a terminal, and elsewhere writes a line for each thing
// that is measured.
func newBenchProgress(out *os.File) benchProgress {
	if !term.IsTerminal(int(out.Fd())) {
		return &benchLines{out: out, told: map[string]bool{}}
	}
	container := mpb.New(mpb.WithOutput(out), mpb.WithRefreshRate(200*time.Millisecond))
	b := &benchBar{container: container}
	b.what.Store(new(string))
	b.bar = container.AddBar(0,
		mpb.PrependDecorators(decor.CountersNoUnit("%d of %d", decor.WCSyncSpaceR), decor.Elapsed(decor.ET_STYLE_MMSS)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return *b.what.Load() })))
	return b
}

// benchLines is for logs: a line for each thing that is measured, however often it has
// its turn.
type benchLines struct {
	out  io.Writer
	told map[string]bool
}

func (*benchLines) Plan(int) {}
func (*benchLines) Done()    {}
func (*benchLines) close()   {}

func (l *benchLines) Begin(what string) {
	if !l.told[what] {
		fmt.Fprintln(l.out, what)
		l.told[what] = true
	}
}

// benchBar is for terminals. Its total grows as sections say what they will do.
type benchBar struct {
	container *mpb.Progress
	bar       *mpb.Bar
	what      atomic.Pointer[string]
	total     int64
}

func (b *benchBar) Plan(steps int) {
	b.total += int64(steps)
	b.bar.SetTotal(b.total, false)
}

func (b *benchBar) Begin(what string) { b.what.Store(&what) }

func (b *benchBar) Done() { b.bar.Increment() }

// close takes the bar away.
func (b *benchBar) close() {
	b.bar.Abort(true)
	b.container.Wait()
}
