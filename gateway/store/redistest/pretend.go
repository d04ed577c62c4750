package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is what is wrong with a Redis. Its zero value is nothing.
type Fault struct {
	Dead  bool // connections end, and are refused
	Hung  bool // connections stay open and nothing is answered
	Full  bool // writes are refused
	Lying bool // values have a bit that nobody wrote
	// Late is how much later than usual each answer begins.
	Late time.Duration
	// Rate is how many bytes of an answer come in a second; 0 is all at once.
	Rate int
	// Large spares answers of fewer bytes from Late and Rate.
	Large int
}

// Pretend is a Redis inside the test, for [testing/synctest]: its faults are the test's
// own, and what they cost is counted in the bubble's time. It knows the commands of the
// cache and no others. It is safe for concurrent use; Break with Dead ends its
// connections, and with them its goroutines.
type Pretend struct {
	mu          sync.Mutex // guards what follows
	values      map[string][]byte
	fault       Fault
	connections map[net.Conn]bool
	asked       map[string]int
}

// NewPretend makes one that is well and empty.
func NewPretend() *Pretend {
	return &Pretend{values: map[string][]byte{}, connections: map[net.Conn]bool{}, asked: map[string]int{}}
}

// Break makes this its fault from now on, and the only one.
func (p *Pretend) Break(fault Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault
	if fault.Dead {
		for connection := range p.connections {
			connection.Close()
		}
	}
}

// Asked is how often a command came, by its name in capitals.
func (p *Pretend) Asked(command string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[command]
}

// Dial connects to it, whatever the address.
func (p *Pretend) Dial(context.Context, string, string) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault.Dead {
		return nil, errors.New("connection refused")
	}
	client, server := net.Pipe()
	p.connections[server] = true
	go p.serve(server)
	return client, nil
}

// serve answers one connection until it ends. Commands that come together are late
// together.
func (p *Pretend) serve(connection net.Conn) {
	defer func() {
		connection.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.connections, connection)
	}()
	from := bufio.NewReaderSize(connection, 1<<20)
	var due time.Time
	for {
		first := from.Buffered() == 0
		text, err := readReply(from)
		if err != nil {
			return
		}
		if first {
			due = time.Now()
		}
		answer, fault := p.answer(strings.Split(text, "\n"))
		if fault.Hung {
			continue
		}
		if len(answer) < fault.Large {
			fault.Late, fault.Rate = 0, 0
		}
		time.Sleep(time.Until(due.Add(fault.Late)))
		if drip(connection, answer, fault.Rate) != nil {
			return
		}
	}
}

// answer is what a command gives, and the fault of that moment. A value with a line feed
// comes in several words.
func (p *Pretend) answer(words []string) (answer []byte, fault Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := strings.ToUpper(words[0])
	p.asked[name]++
	switch {
	case name == "PING":
		return []byte("+PONG\r\n"), p.fault
	case name == "SET" && p.fault.Full:
		return []byte("-OOM command not allowed when used memory > 'maxmemory'.\r\n"), p.fault
	case name == "SET":
		// The time to live is the last two words: EX and seconds.
		end := len(words)
		if end >= 5 && (words[end-2] == "ex" || words[end-2] == "px") {
			end -= 2
		}
		p.values[words[1]] = []byte(strings.Join(words[2:end], "\n"))
		return []byte("+OK\r\n"), p.fault
	case name == "EXISTS":
		n := 0
		if _, ok := p.values[words[1]]; ok {
			n = 1
		}
		return fmt.Appendf(nil, ":%d\r\n", n), p.fault
	case name == "GET":
		value, ok := p.values[words[1]]
		if !ok {
			return []byte("$-1\r\n"), p.fault
		}
		answer = fmt.Appendf(nil, "$%d\r\n%s\r\n", len(value), value)
		if p.fault.Lying {
			answer[len(answer)-3] ^= 1
		}
		return answer, p.fault
	}
	return []byte("-ERR unknown command '" + strconv.Quote(name) + "'\r\n"), p.fault
}

// drip writes data at so many bytes a second, 0 at once, a hundredth of a second's at a
// time.
func drip(to io.Writer, data []byte, rate int) error {
	for rate > 0 && len(data) > 0 {
		n := min(max(rate/100, 1), len(data))
		if _, err := to.Write(data[:n]); err != nil {
			return err
		}
		data = data[n:]
		time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
	}
	_, err := to.Write(data)
	return err
}
