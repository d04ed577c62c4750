// Package redistest starts Redis for tests: real redis-server processes on free ports
// of loopback, alone or as a cluster, that can be killed, frozen and started again.
//
//	server := redistest.Start(t)                       // redis://127.0.0.1:PORT
//	server.Freeze(); server.Thaw(); server.Kill(); server.Restart()
//	cluster := redistest.StartCluster(t, 3)            // three masters, every slot served
//
// A test that needs Redis where there is none fails and says what to install. All
// processes end with their test, by their process id.
package redistest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a process.
const patience = 20 * time.Second

// Server is one redis-server process. One goroutine uses it at a time.
type Server struct {
	t       testing.TB
	folder  string
	port    int
	file    string   // a configuration to start with, empty for none
	options []string // of the command line
	process *exec.Cmd
}

// Start starts a server that keeps nothing on disk. Options are redis-server's own, as
// on its command line: "--maxmemory", "2mb".
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	folder := t.TempDir()
	return started(&Server{t: t, folder: folder, options: append([]string{
		"--save", "", "--appendonly", "no", "--dir", folder,
	}, options...)})
}

// StartSentinel starts a sentinel that watches master by the name of m.
func StartSentinel(t testing.TB, master *Server) *Server {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "sentinel.conf") // which it writes to
	monitor := fmt.Sprintf("sentinel monitor m 127.0.0.1 %d 1\n", master.port)
	if err := os.WriteFile(file, []byte(monitor), 0o600); err != nil {
		t.Fatal(err)
	}
	return started(&Server{t: t, folder: folder, file: file, options: []string{"--sentinel"}})
}

// started starts a new server at a free port.
func started(s *Server) *Server {
	t := s.t
	t.Helper()
	// Somebody else may take a free port before Redis does.
	var err error
	for range 5 {
		s.port = freePort(t)
		if err = s.start(); err == nil {
			t.Cleanup(s.Kill)
			return s
		}
	}
	t.Fatalf("redis-server did not start: %v", err)
	return nil
}

// Addr is where the server listens, host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL is Addr as clients take it.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Kill ends the process at once. A server that was killed can be killed again.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	// A frozen process dies of SIGKILL as well.
	s.process.Process.Kill()
	s.process.Wait()
	s.process = nil
}

// Restart starts a killed server again at the same port, empty.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	if err := s.start(); err != nil {
		s.t.Fatalf("redis-server did not start again: %v", err)
	}
}

// Freeze stops the process where it is: connections stay open and nothing answers.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// Do sends one command over a connection of its own and returns the reply as text: of
// an array the elements, one a line. An error reply fails the test.
func (s *Server) Do(words ...string) string {
	s.t.Helper()
	reply, err := s.ask(words...)
	if err != nil {
		s.t.Fatalf("redis: %s: %v", strings.Join(words, " "), err)
	}
	return reply
}

func (s *Server) start() error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		s.t.Fatal("redis-server is missing: run e2e/install.sh, or install it (Debian and Ubuntu: apt-get install redis-server)")
	}
	arguments := append([]string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--logfile", filepath.Join(s.folder, "log"),
	}, s.options...)
	if s.file != "" {
		arguments = append([]string{s.file}, arguments...)
	}
	s.process = exec.Command(path, arguments...)
	if err := s.process.Start(); err != nil {
		return err
	}
	end := time.Now().Add(patience)
	for {
		if reply, err := s.ask("PING"); err == nil && reply == "PONG" && s.alive() {
			return nil
		}
		if !s.alive() || time.Now().After(end) {
			s.Kill()
			log, _ := os.ReadFile(filepath.Join(s.folder, "log"))
			return fmt.Errorf("port %d: %s", s.port, log)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// alive says whether the process runs: one whose port was taken ends by itself, and
// another's server may answer in its place.
func (s *Server) alive() bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Process.Pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(state), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func (s *Server) ask(words ...string) (string, error) {
	connection, err := net.DialTimeout("tcp", s.Addr(), patience)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(patience))
	request := fmt.Sprintf("*%d\r\n", len(words))
	for _, word := range words {
		request += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := connection.Write([]byte(request)); err != nil {
		return "", err
	}
	return readReply(bufio.NewReader(connection))
}

// readReply reads one reply of the older of Redis' two protocols.
func readReply(from *bufio.Reader) (string, error) {
	line, err := from.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	kind, rest := line[:1], line[1:]
	switch kind {
	case "-":
		return "", fmt.Errorf("%s", rest)
	case "$":
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 {
			return "", err
		}
		data := make([]byte, n+2)
		if _, err := io.ReadFull(from, data); err != nil {
			return "", err
		}
		return string(data[:n]), nil
	case "*":
		n, err := strconv.Atoi(rest)
		if err != nil {
			return "", err
		}
		elements := make([]string, 0, max(n, 0))
		for range n {
			element, err := readReply(from)
			if err != nil {
				return "", err
			}
			elements = append(elements, element)
		}
		return strings.Join(elements, "\n"), nil
	}
	return rest, nil
}

func freePort(t testing.TB) int {
	t.Helper()
	for {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := listener.Addr().(*net.TCPAddr).Port
		listener.Close()
		// A cluster's nodes also listen 10,000 ports higher.
		if port < 55000 {
			return port
		}
	}
}
