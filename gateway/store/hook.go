// How a breaker guards the client's commands.

package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// DialHook changes nothing.
func (b *breaker) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook guards the cache's pipelines, which are all of reads. A pipeline
// that lasted too long counts as one read that failed; one that brings values may take
// its time.
func (b *breaker) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if !isRead(commands[0]) {
			return next(ctx, commands)
		}
		asking, ok := b.admit()
		if !ok {
			for _, command := range commands {
				command.SetErr(errOpen)
			}
			return errOpen
		}
		began := time.Now()
		err := next(ctx, commands)
		r := reading{took: time.Since(began), asking: asking, left: errors.Is(ctx.Err(), context.Canceled)}
		for _, command := range commands {
			switch err := command.Err(); {
			case !answered(err):
				if r.fault == nil {
					r.fault, r.what = err, valueOf(command)
				}
			case err == nil && valueOf(command) != "":
				r.hits++
			}
		}
		if valueOf(commands[0]) != "" && r.fault == nil {
			r.took = 0
		}
		b.read(r)
		return err
	}
}

// isRead says whether a command is one of the cache's own reads.
func isRead(command redis.Cmder) bool {
	return command.Name() == "get" || command.Name() == "exists"
}

// valueOf is the key whose value a command asks for, "" where it asks for none.
func valueOf(command redis.Cmder) string {
	if command.Name() != "get" {
		return ""
	}
	name, _ := command.Args()[1].(string)
	return name
}

// ProcessHook guards what the cache sends, and lets the client's own commands pass.
func (b *breaker) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		switch command.Name() {
		case "get":
			asking, ok := b.admit()
			if !ok {
				return errOpen
			}
			began := time.Now()
			err := next(ctx, command)
			r := reading{took: time.Since(began), what: valueOf(command), asking: asking, left: errors.Is(ctx.Err(), context.Canceled)}
			if !answered(err) {
				r.fault = err
			} else if err == nil {
				r.hits = 1
			}
			b.read(r)
			return err
		case "set":
			if !b.recovered(ctx, next) {
				return errOpen
			}
			if !b.hasRoom() {
				return errFull
			}
			err := next(ctx, command)
			if !errors.Is(ctx.Err(), context.Canceled) {
				b.wrote(err)
			}
			return err
		case "ping":
			// Somebody asks whether the server is there, and waits for longer than a read.
			err := next(ctx, command)
			if !answered(err) && !errors.Is(ctx.Err(), context.Canceled) {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.lose(b.deadline, err)
				b.lose(b.deadline, err)
			}
			return err
		default:
			return next(ctx, command)
		}
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
