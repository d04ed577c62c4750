package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graft-gateway/graft/proxy/proxytest"
)

// Time-outs of the gateway that is tested, and what a loaded machine may add to them.
const (
	connectLimit, byteLimit = 500 * time.Millisecond, time.Second
	slack                   = 10 * time.Second
)

// fault is what goes wrong with a base server, once or from then on.
type fault struct {
	phase, name string
	// strike brings it about, before a request or in the middle of it.
	strike func(c *cell, always bool)
	// once and always are what a client sees of it; there is no such case where they
	// are nothing.
	once, always outcome
	// passed and passedAlways are the same of a route that passes requests through.
	passed, passedAlways outcome
}

// outcome is what a client may see.
type outcome string

const (
	nothing  outcome = ""
	whole    outcome = "whole"      // the answer that it has without faults
	changed  outcome = "another's"  // the answer of the model that the server has now
	asSent   outcome = "as sent"    // what the server answered in place of it
	brokeOff outcome = "broken off" // a part of it, and a connection that broke
	short    outcome = "short"      // a part of it that the server ended well
)

// phases of a fault.
const (
	atConnect   = "connect"
	atFirstByte = "first byte"
	inMidStream = "mid-stream"
)

// cell is a fault of one kind of server.
type cell struct {
	table   *faultTable
	fault   fault
	dialect dialect
	route   string
	server  *proxytest.Server
	// streamed says how the client of now wants its answer; pending is what is still to
	// happen to the server.
	streamed bool
	answered atomic.Bool // it has it
	pending  sync.WaitGroup
	lines    map[bool]string // what was seen, by always
	took     map[bool]time.Duration
}

// faultTable is all that is tried.
type faultTable struct {
	t      *testing.T
	models *models
	front  *process
	prompt []int
	cells  []*cell
	// answers are those without faults, by whether the route passes through and the
	// model.
	answers map[string]sight

	mu           sync.Mutex // guards what follows
	wrong, hangs int
}

// Whatever a base server does, a client sees a right answer, or a part of one and that
// it is a part, or an error, and all of it in time.
func TestFaultsOfTheBase(t *testing.T) {
	table := newFaultTable(t)
	goroutines, began := table.front.metric(t, "go_goroutines"), time.Now()
	var running sync.WaitGroup
	places := make(chan struct{}, 10)
	for _, c := range table.cells {
		places <- struct{}{}
		running.Go(func() {
			c.run()
			<-places
		})
	}
	running.Wait()
	t.Logf("after %.1f s:\n%s", time.Since(began).Seconds(), table)
	closeIdle()
	if err := settles(func() bool { return table.front.metric(t, "go_goroutines") <= goroutines+2 }); err != nil {
		t.Errorf("the gateway had %v goroutines before all faults, and has %v behind them", goroutines, table.front.metric(t, "go_goroutines"))
	}
	if table.wrong+table.hangs > 0 {
		t.Errorf("wrong tokens %d, hangs %d: both must be 0", table.wrong, table.hangs)
	}
}

// newFaultTable starts a server for each cell, and one gateway with a route to each.
func newFaultTable(t *testing.T) *faultTable {
	t.Helper()
	table := &faultTable{t: t, models: newModels(t), answers: map[string]sight{}}
	table.prompt = tokenizeChat(t, questions(t, "held-out", "fact")[0].Question)
	for i, f := range faults() {
		for j, d := range dialects() {
			c := &cell{table: table, fault: f, dialect: d, lines: map[bool]string{}, took: map[bool]time.Duration{}}
			once, always := c.outcomes()
			if once == nothing && always == nothing {
				continue
			}
			c.route = fmt.Sprintf("r%d-%d", i, j)
			c.server = proxytest.New(t, d.handler(table.models, rightModel))
			table.cells = append(table.cells, c)
		}
	}
	table.open(t, fmt.Sprintf("retries: 3, timeouts: {connect: %v, first_byte: %v, stall: %v}", connectLimit, byteLimit, byteLimit))
	table.learn(t)
	return table
}

// open starts the gateway, with a base and a route for each cell.
func (table *faultTable) open(t *testing.T, settings string) {
	t.Helper()
	var bases, routes strings.Builder
	for _, c := range table.cells {
		fmt.Fprintf(&bases, "  %s: {url: %s, %s, %s}\n", c.route, c.server.URL, c.dialect.config, settings)
		expert := ", experts: {chat: 1}"
		if c.dialect.through() {
			expert = ""
		}
		fmt.Fprintf(&routes, "  %[1]s: {base: %[1]s%s}\n", c.route, expert)
	}
	pair := "experts: {chat: {tuned: embedded:small-chat, untuned: embedded:small}}\n"
	table.front = configured(t, "bases:\n"+bases.String()+pair+"routes:\n"+routes.String()+"cache: {memory: 0}\n")
}

// learn looks for a question that the models answer differently, so that no cell could
// take one's tokens for the other's, and keeps the answers, of gateways that have the
// models in process.
func (table *faultTable) learn(t *testing.T) {
	t.Helper()
	inside := configured(t, `
bases: {right: {folder: embedded:base, top_logprobs: 20}, other: {folder: embedded:base-chat, top_logprobs: 20}}
experts: {chat: {tuned: embedded:small-chat, untuned: embedded:small}}
routes: {right: {base: right, experts: {chat: 1}}, other: {base: other, experts: {chat: 1}}}
`)
	for _, q := range questions(t, "held-out", "fact")[:100] {
		table.prompt = tokenizeChat(t, q.Question)
		for _, low := range []bool{false, true} {
			for name, where := range map[string]struct{ url, route string }{
				"mixed right": {inside.url, "right"}, "mixed other": {inside.url, "other"},
				"through right": {shared.url, "demo-base"}, "through other": {table.models.urls[otherWeights], "demo-base"},
			} {
				seen := look(t.Context(), where.url, table.question(where.route, true, low && strings.HasPrefix(name, "mixed")))
				if !seen.finished || seen.failure != "" {
					t.Fatalf("%s without faults: %+v", name, seen)
				}
				table.answers[answerKey(name, low)] = seen
			}
		}
		if table.telling() {
			return
		}
	}
	t.Fatal("no question has long answers that differ from model to model")
}

// telling says whether the answers are long enough to be broken, and told apart.
func (table *faultTable) telling() bool {
	for _, how := range []string{"mixed ", "through "} {
		for _, low := range []bool{false, true} {
			right, other := table.answers[answerKey(how+"right", low)].ids, table.answers[answerKey(how+"other", low)].ids
			if len(right) < 8 || len(other) < 8 || slices.Equal(right, other) {
				return false
			}
		}
	}
	return true
}

func answerKey(name string, low bool) string { return fmt.Sprint(name, low) }

// question is asked of every route. At a low strength the text is mostly what the base
// would say alone, which the gateway reads as a stream.
func (table *faultTable) question(route string, streamed, low bool) object {
	q := object{
		"model": route, "prompt": table.prompt, "max_tokens": 12, "temperature": 0, "stream": streamed, "return_token_ids": true,
	}
	if low {
		q["tuning"] = object{"strength": 0.1, "draft": "off"}
	}
	return q
}

// outcomes are what a client of this cell's route sees.
func (c *cell) outcomes() (once, always outcome) {
	if c.dialect.through() {
		return c.fault.passed, c.fault.passedAlways
	}
	return c.fault.once, c.fault.always
}

// run goes through the cell: faults once and always, for clients that want a stream and
// clients that want all at once; then the server is mended.
func (c *cell) run() {
	once, always := c.outcomes()
	c.recovers()
	for _, try := range []struct {
		always bool
		want   outcome
	}{{false, once}, {true, always}} {
		if try.want == nothing {
			continue
		}
		for _, streamed := range []bool{true, false} {
			c.streamed = streamed
			before := c.server.Struck()
			c.answered.Store(false)
			c.fault.strike(c, try.always)
			c.see(streamed, try.always, try.want)
			c.answered.Store(true)
			c.pending.Wait()
			if c.fault.phase != atConnect && c.fault.name != "stale connection" && c.server.Struck() == before {
				c.table.t.Errorf("%s: the fault did not strike", c.name(streamed, try.always))
			}
			c.mend()
			c.recovers()
		}
	}
	c.server.Quiet()
}

// mend makes the server as it was.
func (c *cell) mend() {
	c.server.Mend()
	c.server.Restart(c.dialect.handler(c.table.models, rightModel))
}

// low says whether the strength is.
func (c *cell) low() bool { return c.fault.phase == inMidStream && !c.dialect.through() }

func (c *cell) question(streamed bool) object { return c.table.question(c.route, streamed, c.low()) }

// answer is the one of a model without faults.
func (c *cell) answer(model string) sight {
	how := "mixed "
	if c.dialect.through() {
		how = "through "
	}
	return c.table.answers[answerKey(how+model, c.low())]
}

// see asks, and holds what comes against what should.
func (c *cell) see(streamed, always bool, want outcome) {
	t, name := c.table.t, c.name(streamed, always)
	seen := look(c.table.t.Context(), c.table.front.url, c.question(streamed))
	if seen.took > c.deadline() {
		c.table.count(&c.table.hangs, 1)
		t.Errorf("%s: it took %v, more than %v", name, seen.took, c.deadline())
	}
	model := "right"
	if strings.HasSuffix(string(want), string(changed)) {
		model = "other"
	}
	right := c.answer(model).ids
	if n := wrongTokens(seen.ids, right); n > 0 {
		c.table.count(&c.table.wrong, n)
		t.Errorf("%s: %v are no beginning of %v", name, seen.ids, right)
	}
	got := seen.outcome(right)
	if slices.Contains(strings.Split(string(want), "|"), string(changed)) && got == whole {
		got = changed
	}
	if !slices.Contains(strings.Split(string(want), "|"), string(got)) {
		t.Errorf("%s: the client saw %q, want %q: %+v", name, got, want, seen)
	}
	if seen.leaks(c.server.URL) {
		t.Errorf("%s: the client was told where the server is: %+v", name, seen)
	}
	if line := seen.line(right); streamed || len(line) > len(c.lines[always]) {
		c.lines[always] = line
	}
	c.took[always] = max(c.took[always], seen.took)
}

// deadline is what time-outs and retries come to, one after the other, for each of the
// few requests that an answer takes.
func (c *cell) deadline() time.Duration {
	return 4*max(connectLimit, byteLimit) + 3*(2*time.Second) + slack
}

func (c *cell) name(streamed, always bool) string {
	how, often := "whole", "once"
	if streamed {
		how = "streamed"
	}
	if always {
		often = "always"
	}
	return fmt.Sprintf("%s, %s, %s, %s, %s", c.fault.phase, c.fault.name, c.dialect.name, often, how)
}

// recovers asks until the answer is whole again: the gateway leaves a server alone for
// some seconds that has failed again and again.
func (c *cell) recovers() {
	var seen sight
	if err := settles(func() bool {
		seen = look(c.table.t.Context(), c.table.front.url, c.question(false))
		return seen.outcome(c.answer("right").ids) == whole
	}); err != nil {
		c.table.t.Errorf("%s: mended, it answers %+v", c.name(false, true), seen)
	}
}

func (table *faultTable) count(what *int, n int) {
	table.mu.Lock()
	defer table.mu.Unlock()
	*what += n
}

// String is the table in Markdown: for each fault, what clients saw of it when it
// happened once, and when it went on.
func (table *faultTable) String() string {
	var s strings.Builder
	s.WriteString("| phase | fault |")
	for _, d := range dialects() {
		s.WriteString(" " + d.name + " |")
	}
	s.WriteString("\n|---|---|" + strings.Repeat("---|", len(dialects())))
	for _, f := range faults() {
		fmt.Fprintf(&s, "\n| %s | %s |", f.phase, f.name)
		for _, d := range dialects() {
			s.WriteString(" " + table.cell(f, d) + " |")
		}
	}
	fmt.Fprintf(&s, "\nwrong tokens %d, hangs %d, cells %d", table.wrong, table.hangs, len(table.cells))
	return s.String()
}

// cell is what was seen of a fault: once, then always.
func (table *faultTable) cell(f fault, d dialect) string {
	for _, c := range table.cells {
		if c.fault.phase != f.phase || c.fault.name != f.name || c.dialect.name != d.name {
			continue
		}
		var parts []string
		for _, always := range []bool{false, true} {
			if line, ok := c.lines[always]; ok {
				parts = append(parts, fmt.Sprintf("%s %.1f s", line, c.took[always].Seconds()))
			} else {
				parts = append(parts, "–")
			}
		}
		return strings.Join(parts, " · ")
	}
	return "–"
}
