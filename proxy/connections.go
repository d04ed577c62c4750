package proxy

import (
	"net"
	"sync"
)

// connections numbers the connections to a server from 1, in the order in which they
// were opened, and knows which of them are open. It is safe for concurrent use.
type connections struct {
	mu     sync.Mutex // guards what follows
	opened uint64
	open   map[uint64]struct{}
}

// add counts a connection, before anything is sent on it, and sees it closed.
func (c *connections) add(conn net.Conn) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[uint64]struct{}{}
	}
	c.opened++
	c.open[c.opened] = struct{}{}
	return &connection{Conn: conn, of: c, number: c.opened}
}

func (c *connections) dials() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened
}

// alive says whether one of the first n connections is open.
func (c *connections) alive(n uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for number := range c.open {
		if number <= n {
			return true
		}
	}
	return false
}

// connection tells of its end: the transport closes one as soon as the server does.
type connection struct {
	net.Conn
	of     *connections
	number uint64
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c.number)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
