package store

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// trips is how many reads in a row fail before the breaker opens.
	trips = 2
	// An open breaker lets a writer look again after firstWait, then after twice as
	// long each time, up to longestWait.
	firstWait   = 100 * time.Millisecond
	longestWait = 5 * time.Second
)

// errOpen is what a command gets that an open breaker did not let through.
var errOpen = errors.New("redis is away: its circuit breaker is open")

// breaker decides whether one server is worth asking. Invariants:
//
//   - reads open it and never look whether the server is back: they are on a request's
//     path;
//   - a write that comes when the wait is over sends a PING first, within a read's
//     deadline, and only its answer closes the breaker: a server that takes writes
//     slowly is still too slow to read from;
//   - at most one PING is under way.
//
// It is a hook of the client that talks to the server: of each node in a cluster.
type breaker struct {
	server   string
	deadline time.Duration
	log      *slog.Logger

	mu       sync.Mutex // guards what follows
	failures int        // reads in a row
	open     bool
	probing  bool
	wait     time.Duration
	retry    time.Time // when a write may look again
}

// DialHook changes nothing.
func (b *breaker) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook guards the cache's pipelines, which are all of reads. A pipeline
// that lasted too long counts as one read that failed.
func (b *breaker) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if !isRead(commands[0]) {
			return next(ctx, commands)
		}
		if b.isOpen() {
			for _, command := range commands {
				command.SetErr(errOpen)
			}
			return errOpen
		}
		err := next(ctx, commands)
		if errors.Is(ctx.Err(), context.Canceled) {
			return err
		}
		var fault error
		for _, command := range commands {
			if !answered(command.Err()) {
				fault = command.Err()
			}
		}
		b.report(fault, true)
		return err
	}
}

// isRead says whether a command is one of the cache's own reads.
func isRead(command redis.Cmder) bool {
	return command.Name() == "get" || command.Name() == "exists"
}

// ProcessHook guards what the cache sends, and lets the client's own commands pass.
func (b *breaker) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		switch command.Name() {
		case "get":
			if b.isOpen() {
				return errOpen
			}
		case "set":
			if !b.recovered(ctx, next) {
				return errOpen
			}
		default:
			return next(ctx, command)
		}
		err := next(ctx, command)
		if !errors.Is(ctx.Err(), context.Canceled) {
			b.report(err, command.Name() == "get")
		}
		return err
	}
}

func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// recovered says whether a write may go, after looking again where that is due.
func (b *breaker) recovered(ctx context.Context, next redis.ProcessHook) bool {
	b.mu.Lock()
	if !b.open || b.probing || time.Now().Before(b.retry) {
		defer b.mu.Unlock()
		return !b.open
	}
	b.probing = true
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, b.deadline)
	defer cancel()
	err := next(ctx, redis.NewStatusCmd(ctx, "ping"))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	if answered(err) {
		b.open, b.failures = false, 0
		b.log.Info("redis answers again", "server", b.server)
		return true
	}
	b.wait = min(2*b.wait, longestWait)
	b.retry = time.Now().Add(b.wait)
	return false
}

// report counts how a command ended. A write that went well says nothing of reads.
func (b *breaker) report(err error, read bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if answered(err) {
		if read && !b.open {
			b.failures = 0
		}
		return
	}
	if b.failures++; b.failures >= trips && !b.open {
		b.open, b.wait = true, firstWait
		b.retry = time.Now().Add(b.wait)
		b.log.Warn("redis does not answer: the cache goes on without it", "server", b.server, "error", err)
	}
}

// answered says whether the server replied in time, be it with an error.
func answered(err error) bool {
	var reply redis.Error
	return err == nil || errors.Is(err, redis.Nil) || errors.As(err, &reply) || tooSmall(err)
}

// tooSmall says whether a value was larger than the buffer for it. The library has no
// name for this error.
func tooSmall(err error) bool {
	return err != nil && strings.Contains(err.Error(), "buffer too small")
}

// breakers are the breakers of all servers, by address.
type breakers struct {
	deadline time.Duration
	log      *slog.Logger

	mu     sync.Mutex // guards byName
	byName map[string]*breaker
}

// of returns a new breaker for a server: a node that a cluster's client lost and found
// again is another client, and may be another server.
func (s *breakers) of(server string) *breaker {
	b := &breaker{server: server, deadline: s.deadline, log: s.log}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName == nil {
		s.byName = map[string]*breaker{}
	}
	s.byName[server] = b
	return b
}

// away lists the servers whose breakers are open.
func (s *breakers) away() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for server, b := range s.byName {
		if b.isOpen() {
			list = append(list, server)
		}
	}
	return list
}
