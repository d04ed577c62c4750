package store

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestABreakerOpensLooksAgainAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &breaker{deadline: defaultDeadline, log: slog.New(slog.DiscardHandler)}
		var asked []string
		var fault error
		run := b.ProcessHook(func(_ context.Context, command redis.Cmder) error {
			asked = append(asked, command.Name())
			return fault
		})
		do := func(name string) error { return run(t.Context(), redis.NewStatusCmd(t.Context(), name, "key")) }
		expect := func(want error, names ...string) {
			t.Helper()
			for _, name := range names {
				if err := do(name); !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", name, err, want)
				}
			}
		}
		away := errors.New("connection refused")

		// One failure in many answers opens nothing; errors in replies are answers.
		expect(nil, "get")
		for range 5 {
			fault = away
			expect(away, "get")
			fault = redis.Nil
			for range 21 {
				expect(redis.Nil, "get")
			}
		}
		fault = away
		expect(away, "get", "get")
		expect(errOpen, "get", "set", "get")

		// Reads never look again, however long they wait; the first write does.
		time.Sleep(time.Hour)
		asked = nil
		expect(errOpen, "get", "set", "set", "get")
		if len(asked) != looks || asked[0] != "ping" {
			t.Errorf("asked %v, want pings of one look", asked)
		}
		// The wait doubles.
		for wait := 2 * firstWait; wait < 4*longestWait; wait *= 2 {
			asked = nil
			time.Sleep(min(wait, longestWait) - time.Millisecond)
			expect(errOpen, "set")
			if len(asked) != 0 {
				t.Errorf("asked %v within %v", asked, wait)
			}
			time.Sleep(time.Millisecond)
			expect(errOpen, "set")
			if len(asked) != looks {
				t.Errorf("asked %v after %v", asked, wait)
			}
		}
		time.Sleep(longestWait)
		fault = nil
		asked = nil
		expect(errOpen, "get")
		expect(nil, "set", "get")
		if got := strings.Join(asked, " "); got != "ping get set get" {
			t.Errorf("asked %s; want what was lost to be asked for again first", got)
		}
		// The client's own commands pass whatever the state.
		fault = away
		expect(away, "get", "get", "ping", "cluster")
	})
}
