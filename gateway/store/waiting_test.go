package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graft-gateway/graft/gateway/store/redistest"
)

// What may be wrong with a Redis for good, and whether it can still be read.
var faults = []struct {
	name  string
	fault redistest.Fault
	reads bool
}{
	{"dead", redistest.Fault{Dead: true}, false},
	{"hung", redistest.Fault{Hung: true}, false},
	{"full", redistest.Fault{Full: true}, true},
	{"lying", redistest.Fault{Lying: true}, false},
	{"late by 5 ms", redistest.Fault{Late: 5 * time.Millisecond}, false},
	{"late by 20 ms", redistest.Fault{Late: 20 * time.Millisecond}, false},
	{"late by 500 ms", redistest.Fault{Late: 500 * time.Millisecond}, false},
	{"dripping", redistest.Fault{Rate: 10_000}, false},
	{"late with large values", redistest.Fault{Late: 50 * time.Millisecond, Large: 1000}, false},
	{"dripping with large values", redistest.Fault{Rate: 10_000, Large: 1000}, false},
}

const (
	// once is what a request may lose to a Redis that does not do what it should.
	once = 10 * time.Millisecond
	// mostLost is how many reads in a row a Redis that is lost may cost.
	mostLost = 2
	// requestReads is how many values a request of the tests asks for, one by one. The
	// third of them are too large for some faults.
	requestReads = 24
)

func sized(i int) string {
	if i%3 == 0 {
		return strings.Repeat(fmt.Sprint(i, " "), 1000)
	}
	return fmt.Sprint(i)
}

// ask reads as a request does, and returns what it lost and what it found.
func ask(t *testing.T, c *Cache) (lost time.Duration, found int) {
	began := time.Now()
	for i := range requestReads {
		value, ok := c.Get(t.Context(), key(i), nil)
		if ok && string(value) != sized(i) {
			t.Errorf("value %d is wrong", i)
		}
		if ok {
			found++
		}
	}
	return time.Since(began), found
}

// store writes as requests do.
func store(c *Cache) {
	for i := range requestReads {
		c.Set(key(i), []byte(sized(i)), time.Hour)
	}
}

// over runs a test in a bubble, with a cache over a pretended Redis that has all values.
func over(t *testing.T, test func(t *testing.T, redis *redistest.Pretend, c *Cache)) {
	synctest.Test(t, func(t *testing.T) {
		redis := redistest.NewPretend()
		// The library shares timers of those who wait for a connection with all tests, and
		// a bubble must not.
		c, err := Open(Options{Secret: secret, Redis: &RedisOptions{URL: "redis://pretended?pool_size=100", Dial: redis.Dial}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			c.Close()
			redis.Break(redistest.Fault{Dead: true})
			time.Sleep(time.Minute) // until the library's goroutines have seen that
		}()
		store(c)
		synctest.Wait()
		if lost, found := ask(t, c); lost != 0 || found != requestReads {
			t.Fatalf("before the fault: %d of %d, after %v", found, requestReads, lost)
		}
		test(t, redis, c)
	})
}

func TestARequestWaitsForRedisOnce(t *testing.T) {
	for _, fault := range faults {
		for _, together := range []int{1, 64} {
			t.Run(fmt.Sprintf("%s, %d requests", fault.name, together), func(t *testing.T) {
				over(t, func(t *testing.T, redis *redistest.Pretend, c *Cache) {
					redis.Break(fault.fault)
					began := time.Now()
					var pending sync.WaitGroup
					for i := range together {
						pending.Go(func() {
							time.Sleep(time.Duration(i) * 50 * time.Microsecond)
							if lost, found := ask(t, c); lost > once || fault.reads && found < requestReads {
								t.Errorf("a first request lost %v, and found %d", lost, found)
							}
						})
					}
					pending.Wait()
					if took := time.Since(began); took > once+3200*time.Microsecond {
						t.Errorf("the first requests lost time for %v", took)
					}
					// Half a minute more of requests, which write, so that Redis is looked
					// after.
					for range 300 {
						store(c)
						if lost, _ := ask(t, c); lost > 0 {
							t.Fatalf("after %v a request lost %v", time.Since(began), lost)
						}
						time.Sleep(100 * time.Millisecond)
					}
				})
			})
		}
	}
}

// What is found out before there are requests costs none of them anything.
func TestAFaultThatIsSeenAtStartCostsNoRequest(t *testing.T) {
	for _, fault := range []redistest.Fault{{Dead: true}, {Hung: true}} {
		over(t, func(t *testing.T, redis *redistest.Pretend, c *Cache) {
			redis.Break(fault)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			if err := c.Check(ctx); err == nil {
				t.Errorf("%+v: nothing is wrong with it, says Check", fault)
			}
			if lost, _ := ask(t, c); lost > 0 {
				t.Errorf("%+v: a request lost %v", fault, lost)
			}
		})
	}
}

func TestAFullRedisIsSpared(t *testing.T) {
	over(t, func(t *testing.T, redis *redistest.Pretend, c *Cache) {
		redis.Break(redistest.Fault{Full: true})
		before := redis.Asked("SET")
		for range 600 { // a minute
			store(c)
			synctest.Wait()
			time.Sleep(100 * time.Millisecond)
		}
		// The waits are .1, .2, .4, .8, 1.6, 3.2 and then 5 s long.
		if n := redis.Asked("SET") - before; n < 10 || n > 17+writers {
			t.Errorf("%d writes were sent to it in a minute", n)
		}
		if s := c.Stats().Redis; len(s.Full) != 1 || len(s.Away) != 0 || s.WriteFailures+s.Dropped != 600*requestReads {
			t.Errorf("%+v", s)
		}
	})
}

func TestARedisThatIsWellAgainIsFoundByWriters(t *testing.T) {
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			over(t, func(t *testing.T, redis *redistest.Pretend, c *Cache) {
				redis.Break(fault.fault)
				for range 300 {
					store(c)
					ask(t, c)
					time.Sleep(100 * time.Millisecond)
				}
				redis.Break(redistest.Fault{})
				began := time.Now()
				for {
					store(c)
					synctest.Wait()
					lost, found := ask(t, c)
					if lost > 0 {
						t.Errorf("a request lost %v", lost)
					}
					if found == requestReads {
						break
					}
					if time.Since(began) > 2*longestWait {
						t.Fatalf("found %d of %d after %v: %+v", found, requestReads, time.Since(began), c.Stats().Redis)
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
		})
	}
}
