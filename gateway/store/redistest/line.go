package redistest

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Line is a connection to a server that spoils its answers. Of a [Fault] it has Hung,
// Late, Rate and Large, where Large is of what comes at once.
type Line struct {
	listener net.Listener
	pending  sync.WaitGroup

	mu    sync.Mutex // guards fault
	fault Fault
}

// StartLine starts one to a server's address. It ends with the test.
func StartLine(t testing.TB, server string) *Line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Line{listener: listener}
	t.Cleanup(func() {
		l.Break(Fault{})
		listener.Close()
		l.pending.Wait()
	})
	l.pending.Go(func() { l.accept(server) })
	return l
}

// URL is where clients connect to it.
func (l *Line) URL() string { return "redis://" + l.listener.Addr().String() }

// Break makes this its fault from now on, and the only one.
func (l *Line) Break(fault Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = fault
}

func (l *Line) broken() Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault
}

func (l *Line) accept(server string) {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		upstream, err := net.Dial("tcp", server)
		if err != nil {
			client.Close()
			continue
		}
		l.pending.Go(func() { l.forward(upstream, client, func() Fault { return Fault{} }) })
		l.pending.Go(func() { l.forward(client, upstream, l.broken) })
	}
}

// forward carries one direction until either end closes.
func (l *Line) forward(to, from net.Conn, broken func() Fault) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		fault := broken()
		if fault.Hung {
			continue
		}
		if n < fault.Large {
			fault.Late, fault.Rate = 0, 0
		}
		time.Sleep(fault.Late)
		if drip(to, buffer[:n], fault.Rate) != nil {
			return
		}
	}
}
