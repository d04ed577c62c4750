package proxy

import (
	"context"
	"sync"
	"time"

	"github.com/graft-gateway/graft/eft"
)

// Gatherer is a [Server] that answers for several texts in one request. A server that
// computes in passes lets a request that comes just behind the beginning of one wait for
// all of it, so that texts out of step take two passes a token between them.
type Gatherer interface {
	// Gather returns for each of asks what [Text].Rows would for a text of tenant.
	Gather(ctx context.Context, tenant string, asks []Ask) ([][]eft.Row, error)
	// Size is how many prompts an ask adds to a request, and how many ids.
	Size(ask Ask) (prompts, ids int)
}

// Ask is a question for rows: the one behind Prefix, and one behind each token of Path.
type Ask struct {
	Prefix, Path []eft.Token
}

const (
	// Of one request, unless it holds one ask alone.
	gatherPrompts, gatherIDs, gatherAsks = 256, 1 << 18, 64
	// gatherLight is how many tokens the server has not seen an ask may bring that goes
	// with others: a long prompt would keep them waiting.
	gatherLight = 64
	// holdCalls is for how many calls' time an ask is held that finds others under way.
	holdCalls = 1.5
	// gatherQuick is a call so short that waiting for others costs more than it gives.
	gatherQuick = 4 * time.Millisecond
	// patienceMost bounds patience, as does a quarter of a call.
	patienceMost = 10 * time.Millisecond
	// delaysKept is of how many of the last rounds' texts patience is made.
	delaysKept = 64
	// growAfter is behind how many departures smaller requests are made larger again.
	growAfter = 256
)

// gather holds the texts of one model in step: what is measured of them, and a queue for
// each tenant, since a request can have but one. It is safe for concurrent use.
type gather struct {
	server Gatherer
	tenant bool // whether the server keeps tenants apart
	counts *counts

	mu       sync.Mutex // guards what follows, the queues, and their asks and batches
	queues   map[string]*queue
	call     time.Duration // what one takes, of late; 0 is not known
	delays   [delaysKept]time.Duration
	delayed  int // how many delays were ever seen
	most     int // asks of one request
	departed int // since most was changed
}

func newGather(server Gatherer, tenant bool, counts *counts) *gather {
	return &gather{server: server, tenant: tenant, counts: counts, queues: map[string]*queue{}, most: gatherAsks}
}

// took is told how long a call took. A single one that hung says little.
func (g *gather) took(d time.Duration) {
	if g.call == 0 {
		g.call = d
		return
	}
	g.call += (min(d, 2*g.call) - g.call) / 8
}

// delay is told how long behind its rows a text asked again.
func (g *gather) delay(d time.Duration) {
	g.delays[g.delayed%delaysKept] = d
	g.delayed++
}

// patience is how long those who have asked wait for texts in step with them. A text
// that is left behind loses a call, one that is waited for costs the others the wait:
// of some waits it is the one by which the delays of late give the most rounds.
func (g *gather) patience() time.Duration {
	n := min(g.delayed, delaysKept)
	best, rate := time.Duration(0), 0.0
	for _, share := range [...]time.Duration{0, 64, 32, 16, 8, 4} {
		wait := time.Duration(0)
		if share > 0 {
			wait = min(g.call/share, patienceMost)
		}
		late := 0
		for _, d := range g.delays[:n] {
			if d > wait {
				late++
			}
		}
		// Rounds of a call and the wait, two of them for who is late.
		r := 1 / (float64(g.call+wait) * (1 + float64(late)/float64(max(n, 1))))
		if r > rate {
			best, rate = wait, r
		}
	}
	return best
}

// failed is told of a request for n asks that failed for another reason than that the
// server did not answer: it may have been too large, or one of them a bad one.
func (g *gather) failed(n int) { g.most, g.departed = max(n/2, 1), 0 }

// leaving counts a departure.
func (g *gather) leaving() {
	if g.departed++; g.departed >= growAfter && g.most < gatherAsks {
		g.most, g.departed = 2*g.most, 0
	}
}
