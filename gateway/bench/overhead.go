package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"time"
)

// Overhead is what is measured of a gateway before a base that answers at once.
type Overhead struct {
	Concurrency []int // clients; nil: 1, 16, 64, 256
	Lengths     []int // tokens of an answer, two at least; nil: 1, 32, 128
	Rounds      int   // of which the median counts; 0: 3
	Tokens      int   // of all answers of a turn, at least; 0: 4096
	// Streams of the open loop, tokens of each request and how long it lasts; 0: 64, 64, 4 s.
	Streams, StreamTokens int
	Lasts                 time.Duration
	// Sustained is by how much more tokens may be late at the end of a trial than at its
	// beginning, in the median, where they come at the pace at which they are due; 0: 1 ms.
	Sustained time.Duration

	// Start brings base and gateway up.
	Start func(ctx context.Context) (OverheadStand, error)
}

// OverheadStand is an instant base and a gateway before it. Pace is the base's, and CPU is
// what the gateway's process has taken of processors.
type OverheadStand struct {
	Pace  func(time.Duration)
	CPU   func() (time.Duration, error)
	Ways  []Way
	Close func() error
}

// Way is one way through the gateway, and the same work asked of the base directly.
type Way struct {
	Name            string // pass-through, decode loop
	Direct, Through Call
}

// OverheadReport is what one way costs. Machine time is wall time by requests with all
// processors at work: of the client, the base and the gateway, who share the machine. What
// the direct call takes is subtracted. CPU time is that of the gateway's process alone,
// which others on the machine change least.
type OverheadReport struct {
	Way   string          `json:"way"`
	Cells []OverheadCell  `json:"cells"`
	Slope []OverheadSlope `json:"slopes"`
	Open  OpenLoop        `json:"open_loop"` // without tokens: no pace was kept
}

// OverheadCell is one concurrency and length in a closed loop.
type OverheadCell struct {
	Concurrency       int     `json:"concurrency"`
	Tokens            int     `json:"tokens"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	TokensPerSecond   float64 `json:"tokens_per_second"`
	DirectRequests    float64 `json:"direct_requests_per_second"`
	AddedPerRequest   float64 `json:"added_machine_seconds_per_request"`
	CPUPerRequest     float64 `json:"cpu_seconds_per_request"`
	P50               float64 `json:"p50_seconds"`
	P99               float64 `json:"p99_seconds"`
	DirectP50         float64 `json:"direct_p50_seconds"`
	DirectP99         float64 `json:"direct_p99_seconds"`
}

// OverheadSlope is the line through the lengths of one concurrency.
type OverheadSlope struct {
	Concurrency int     `json:"concurrency"`
	PerRequest  float64 `json:"added_machine_seconds_per_request"`
	PerToken    float64 `json:"added_machine_seconds_per_token"`
	Fit         float64 `json:"r_squared"` // 1 is exactly linear
	CPURequest  float64 `json:"cpu_seconds_per_request"`
	CPUToken    float64 `json:"cpu_seconds_per_token"`
	CPUFit      float64 `json:"cpu_r_squared"`
}

// OpenLoop is how late tokens came that a base sent at a fixed pace, counted from when the
// request was due to be sent, at half of what the gateway could do: all tokens, and the
// first and the last of each answer.
type OpenLoop struct {
	Streams         int     `json:"streams"`
	Capacity        float64 `json:"capacity_tokens_per_second"` // that the way keeps up with
	TokensPerSecond float64 `json:"tokens_per_second"`          // due
	Tokens          int     `json:"tokens"`                     // that came
	CPUPerToken     float64 `json:"cpu_seconds_per_token"`      // of the gateway, each token by itself
	P50             float64 `json:"p50_seconds"`
	P99             float64 `json:"p99_seconds"`
	DirectP50       float64 `json:"direct_p50_seconds"`
	DirectP99       float64 `json:"direct_p99_seconds"`
	AddedP50        float64 `json:"added_p50_seconds"`
	AddedP99        float64 `json:"added_p99_seconds"`
	// AddedP99Usual is the median of what single windows, direct and through by turns, have
	// of it: what others do on the machine falls into few of them.
	AddedP99Usual float64 `json:"added_p99_seconds_median_window"`
	AddedFirstP50 float64 `json:"added_first_token_p50_seconds"`
	AddedFirstP99 float64 `json:"added_first_token_p99_seconds"`
	AddedLastP50  float64 `json:"added_last_token_p50_seconds"`
	AddedLastP99  float64 `json:"added_last_token_p99_seconds"`
}

func (o *Overhead) complete() {
	if o.Concurrency == nil {
		o.Concurrency = []int{1, 16, 64, 256}
	}
	if o.Lengths == nil {
		o.Lengths = []int{1, 32, 128}
	}
	for _, n := range []struct {
		value *int
		usual int
	}{{&o.Rounds, 3}, {&o.Tokens, 4096}, {&o.Streams, 64}, {&o.StreamTokens, 64}} {
		if *n.value == 0 {
			*n.value = n.usual
		}
	}
	if o.Sustained == 0 {
		o.Sustained = time.Millisecond
	}
	if o.Lasts == 0 {
		o.Lasts = 4 * time.Second
	}
}

// steps is how many steps a way has.
func (o *Overhead) steps() int { return o.Rounds * (len(o.Concurrency)*len(o.Lengths) + 1) }

// Overheads is a section that measures what a gateway adds.
func Overheads(o Overhead) Section {
	o.complete()
	return Section{Name: "overhead", About: "what the gateway adds to a base that answers at once", Measure: func(ctx context.Context, report *Report, tell Progress) error {
		on, err := o.Start(ctx)
		if err != nil {
			return err
		}
		defer uncollected()()
		tell.Plan(len(on.Ways) * o.steps())
		for _, way := range on.Ways {
			m := overhead{Overhead: o, on: on, way: way, load: load{client: newClient(2 * max(o.Streams, maxOf(o.Concurrency)))}}
			found, e := m.measure(ctx, tell)
			m.load.client.close()
			if len(found.Cells) > 0 { // they stand, whatever came behind them
				report.Overhead = append(report.Overhead, *found)
			}
			switch {
			case errors.Is(e, errUnkept):
				report.Note("%s: the open loop was left out: %v", way.Name, e)
			case e != nil:
				return errors.Join(fmt.Errorf("%s: %w", way.Name, e), on.Close())
			}
		}
		return on.Close()
	}}
}

// uncollected keeps the garbage collector of this process out of what is measured, which is
// the gateway's own: client and base are here. It runs between loads, or where there is very
// much garbage. What it returns puts it back.
func uncollected() (restore func()) {
	const much = 2 << 30
	percent, limit := debug.SetGCPercent(-1), debug.SetMemoryLimit(much)
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}

func maxOf(values []int) int {
	most := 0
	for _, v := range values {
		most = max(most, v)
	}
	return most
}

// overhead measures one way.
type overhead struct {
	Overhead
	on   OverheadStand
	way  Way
	load load
}

// sides are what the rounds of one cell came to: seconds of each answer, and wall seconds
// and CPU seconds of the gateway by request of each round.
type sides struct{ each, by, cpu []float64 }

// measure returns what it found before an error, too.
func (m *overhead) measure(ctx context.Context, tell Progress) (*OverheadReport, error) {
	found := &OverheadReport{Way: m.way.Name}
	m.on.Pace(0)
	for _, clients := range m.Concurrency {
		var lengths, added, cpu []float64
		for _, tokens := range m.Lengths {
			cell, err := m.cell(ctx, tell, clients, tokens)
			if err != nil {
				return found, err
			}
			found.Cells = append(found.Cells, cell)
			lengths, added, cpu = append(lengths, float64(tokens)), append(added, cell.AddedPerRequest), append(cpu, cell.CPUPerRequest)
		}
		line := OverheadSlope{Concurrency: clients}
		line.PerRequest, line.PerToken, line.Fit = fit(lengths, added)
		line.CPURequest, line.CPUToken, line.CPUFit = fit(lengths, cpu)
		found.Slope = append(found.Slope, line)
	}
	var err error
	found.Open, err = m.openLoop(ctx, tell)
	return found, err
}

// cell measures one concurrency and length, both sides by turns.
func (m *overhead) cell(ctx context.Context, tell Progress, clients, tokens int) (OverheadCell, error) {
	var direct, through sides
	requests := max(2*clients, m.Tokens/tokens)
	if tokens == 1 {
		requests = max(2*clients, m.Tokens/16)
	}
	for range m.Rounds {
		tell.Begin(fmt.Sprintf("%s, %d clients, answers of %d tokens", m.way.Name, clients, tokens))
		for _, side := range []struct {
			call Call
			into *sides
		}{{m.way.Direct, &direct}, {m.way.Through, &through}} {
			if err := m.turn(ctx, side.call, side.into, clients, requests, tokens); err != nil {
				return OverheadCell{}, err
			}
		}
		tell.Done()
	}
	by, bare := quantile(through.by, .5), quantile(direct.by, .5)
	return OverheadCell{
		Concurrency: clients, Tokens: tokens, RequestsPerSecond: quotient(1, by), TokensPerSecond: quotient(float64(tokens), by),
		DirectRequests: quotient(1, bare), AddedPerRequest: by - bare, CPUPerRequest: quantile(through.cpu, .5),
		P50: quantile(through.each, .5), P99: quantile(through.each, .99),
		DirectP50: quantile(direct.each, .5), DirectP99: quantile(direct.each, .99),
	}, nil
}

// turn asks one side once.
func (m *overhead) turn(ctx context.Context, call Call, into *sides, clients, requests, tokens int) error {
	runtime.GC()
	var each []float64
	var all time.Duration
	cpu, err := m.taken(func() (err error) {
		each, all, err = m.load.closed(ctx, call, clients, requests, tokens)
		return err
	})
	into.each = append(into.each, each...)
	into.by = append(into.by, all.Seconds()/float64(requests))
	into.cpu = append(into.cpu, cpu.Seconds()/float64(requests))
	return err
}

// taken is the CPU time that the gateway takes meanwhile.
func (m *overhead) taken(meanwhile func() error) (time.Duration, error) {
	before, err := m.on.CPU()
	if err != nil {
		return 0, err
	}
	if err := meanwhile(); err != nil {
		return 0, err
	}
	after, err := m.on.CPU()
	return after - before, err
}

// apart is by what paces differ that are tried, and tries how often each is: what others do
// on the machine must not make a way look slow, since half of too little is too easy.
const (
	apart = 0.87
	tries = 2
)

// windows are in how many turns each round of the open loop lets both sides go.
const windows = 4

// errUnkept is a way, or a machine, that falls behind at any pace.
var errUnkept = errors.New("tokens come ever later at any pace at which answers end in time")

// capacity is the most tokens a second that the way keeps up with at a fixed pace, to
// within an eighth: tokens are no later in the end than in the beginning. A closed loop
// tells more: tokens that come at once go on together.
func (m *overhead) capacity(ctx context.Context) (float64, error) {
	_, all, err := m.load.closed(ctx, m.way.Through, m.Streams, 4*m.Streams, m.StreamTokens)
	if err != nil {
		return 0, err
	}
	most := rate(4*m.Streams*m.StreamTokens, all.Seconds())
	defer m.on.Pace(0)
	for ; time.Duration(m.StreamTokens)*m.pace(most) <= m.Lasts; most *= apart {
		for range tries {
			late, e := m.late(ctx, m.way.Through, m.pace(most), m.Lasts/4)
			if ctx.Err() != nil {
				return 0, ctx.Err()
			}
			if e == nil && late.grows() <= m.Sustained.Seconds() {
				return most, nil
			}
			err = e // a queue that is full is a pace that is too fast
		}
	}
	return 0, errors.Join(errUnkept, err)
}

// pace is the time between a stream's tokens for so many tokens a second in all.
func (m *overhead) pace(tokens float64) time.Duration {
	return time.Duration(float64(m.Streams) / tokens * float64(time.Second))
}

// late lets the base keep a pace for a while.
func (m *overhead) late(ctx context.Context, call Call, pace, lasts time.Duration) (lateness, error) {
	m.on.Pace(pace)
	runtime.GC() // none is due for a while
	return m.load.open(ctx, call, m.Streams, m.StreamTokens, pace, lasts)
}

// openLoop finds the capacity and then has the base send half as much, by turns.
func (m *overhead) openLoop(ctx context.Context, tell Progress) (OpenLoop, error) {
	out := OpenLoop{Streams: m.Streams}
	var err error
	tell.Begin(fmt.Sprintf("%s, how much %d streams can have", m.way.Name, m.Streams))
	if out.Capacity, err = m.capacity(ctx); err != nil {
		return out, err
	}
	pace := m.pace(out.Capacity / 2)
	out.TokensPerSecond = quotient(float64(m.Streams), pace.Seconds())
	defer m.on.Pace(0)
	var direct, through lateness
	var cpu time.Duration
	var added []float64
	for range m.Rounds {
		tell.Begin(fmt.Sprintf("%s, %d streams at half of its capacity", m.way.Name, m.Streams))
		for range windows {
			bare, err := m.late(ctx, m.way.Direct, pace, m.Lasts/windows)
			if err != nil {
				return out, err
			}
			var late lateness
			took, err := m.taken(func() (err error) {
				late, err = m.late(ctx, m.way.Through, pace, m.Lasts/windows)
				return err
			})
			if err != nil {
				return out, err
			}
			added = append(added, quantile(late.every, .99)-quantile(bare.every, .99))
			cpu += took
			direct.add(bare)
			through.add(late)
		}
		tell.Done()
	}
	out.compare(direct, through)
	out.AddedP99Usual = quantile(added, .5)
	out.CPUPerToken = quotient(cpu.Seconds(), float64(out.Tokens))
	return out, nil
}

// compare fills in what came through and what came directly.
func (o *OpenLoop) compare(direct, through lateness) {
	o.Tokens = len(through.every)
	o.P50, o.P99 = quantile(through.every, .5), quantile(through.every, .99)
	o.DirectP50, o.DirectP99 = quantile(direct.every, .5), quantile(direct.every, .99)
	o.AddedP50, o.AddedP99 = o.P50-o.DirectP50, o.P99-o.DirectP99
	o.AddedFirstP50 = quantile(through.first, .5) - quantile(direct.first, .5)
	o.AddedFirstP99 = quantile(through.first, .99) - quantile(direct.first, .99)
	o.AddedLastP50 = quantile(through.last, .5) - quantile(direct.last, .5)
	o.AddedLastP99 = quantile(through.last, .99) - quantile(direct.last, .99)
}

// fit is the line y = a + b·x of least squares, and the share of y's variance that it
// explains (1 for points that have none).
func fit(x, y []float64) (a, b, explained float64) {
	mx, my := mean(x), mean(y)
	var xx, xy, yy float64
	for i := range x {
		xx += (x[i] - mx) * (x[i] - mx)
		xy += (x[i] - mx) * (y[i] - my)
		yy += (y[i] - my) * (y[i] - my)
	}
	b = quotient(xy, xx)
	a = my - b*mx
	if yy == 0 {
		return a, b, 1
	}
	return a, b, math.Min(1, xy*b/yy)
}
