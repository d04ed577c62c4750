package proxy

import "sync/atomic"

// Stats counts what a base was asked for since it was connected to. Rows that were
// asked for again, since nobody knew whose they were, count again.
type Stats struct {
	Rows     uint64 // of positions, from streams or not
	Streamed uint64 // those of them that streams gave
	Named    uint64 // positions whose tokens were asked for by id
	// Streams were opened, Broken of them failed half-way, and Unread counts the tokens
	// that were asked for in streams and not read: the base may have made them for
	// nothing.
	Streams, Broken, Unread uint64
	// Gatherings are requests for rows of several texts, Gathered what texts asked in them.
	Gatherings, Gathered uint64
	IdentityChecks       uint64 // how often the server was asked which model it has
	Connections          uint64 // that were ever opened to it
	Changes              uint64 // how often another model was found and taken
	Refusals             uint64 // how often what was found could not be taken
}

// counts are the Stats in the making.
type counts struct {
	rows, streamed, named, streams, broken, unread, gatherings, gathered, checks, changes, refusals atomic.Uint64
}

// Stats tells what the base was asked for.
func (b *Base) Stats() Stats {
	c := &b.counts
	return Stats{
		Rows:           c.rows.Load(),
		Streamed:       c.streamed.Load(),
		Named:          c.named.Load(),
		Streams:        c.streams.Load(),
		Broken:         c.broken.Load(),
		Unread:         c.unread.Load(),
		Gatherings:     c.gatherings.Load(),
		Gathered:       c.gathered.Load(),
		IdentityChecks: c.checks.Load(),
		Connections:    b.watch.connections.Dials(),
		Changes:        c.changes.Load(),
		Refusals:       c.refusals.Load(),
	}
}
