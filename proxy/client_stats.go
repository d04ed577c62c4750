package proxy

import (
	"errors"
	"maps"
	"sync"
	"time"
)

// ClientStats tells what a client did so far.
type ClientStats struct {
	// Requests counts by outcome: "ok", "cancelled" (by the caller), or the fault. A
	// request that is asked again counts again; one that the breaker stopped is "open".
	Requests map[string]uint64
	Retries  uint64 // requests that were asked again
	Dials    uint64 // connections ever opened
	Breaker  string // closed, half-open or open
	Opened   uint64 // how often the breaker opened
	// Connect is of connections that were opened for a request, FirstByte until the
	// first byte of its answer's body, Body from there to its end.
	Connect, FirstByte, Body Spent
}

// Spent is time that was spent in a phase.
type Spent struct {
	Count   uint64
	Seconds float64
}

func (s *Spent) add(d time.Duration) {
	s.Count++
	s.Seconds += d.Seconds()
}

// Stats tells what was done so far.
func (c *Client) Stats() ClientStats {
	c.meter.mu.Lock()
	stats := c.meter.stats
	stats.Requests = maps.Clone(stats.Requests)
	c.meter.mu.Unlock()
	stats.Dials, stats.Breaker, stats.Opened = c.Dials(), c.breaker.state(), c.breaker.times.Load()
	return stats
}

// spent is the time that one request took, by phase.
type spent struct {
	connect, firstByte, body time.Duration
	dialled, begun           bool // whether there was a new connection, and an answer
}

// meter is the ClientStats in the making.
type meter struct {
	mu    sync.Mutex // guards stats
	stats ClientStats
}

func (m *meter) count(err error) {
	outcome := "ok"
	var e *Error
	switch {
	case errors.As(err, &e):
		outcome = string(e.Fault)
	case err != nil:
		outcome = "cancelled"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stats.Requests == nil {
		m.stats.Requests = map[string]uint64{}
	}
	m.stats.Requests[outcome]++
}

func (m *meter) retry() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Retries++
}

func (m *meter) spend(s spent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.dialled {
		m.stats.Connect.add(s.connect)
	}
	if s.begun {
		m.stats.FirstByte.add(s.firstByte)
		m.stats.Body.add(s.body)
	}
}
