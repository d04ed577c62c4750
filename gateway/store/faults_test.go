package store

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/graft-gateway/graft/gateway/store/redistest"
)

// Whatever happens to Redis, at most mostLost reads pay for it: the rest are skipped.
func TestALostRedisCostsTwoReads(t *testing.T) {
	for _, test := range []struct {
		name       string
		lose, find func(*redistest.Server)
	}{
		{"killed", (*redistest.Server).Kill, (*redistest.Server).Restart},
		{"hung", (*redistest.Server).Freeze, (*redistest.Server).Thaw},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := redistest.Start(t)
			c := overRedis(t, server.URL())
			fill(c, 10)
			written(t, c, 10)
			if found := check(t, c, 10); found != 10 {
				t.Fatalf("found %d of 10", found)
			}
			test.lose(server)
			impatient(c)
			if found := check(t, c, 1000); found != 0 {
				t.Errorf("found %d in a lost Redis", found)
			}
			if s := c.Stats().Redis; s.Failures != mostLost || s.Skipped != 1000-mostLost || len(s.Away) != 1 {
				t.Errorf("%+v", s)
			}
			// Writers find it again, and nobody else looks.
			test.find(server)
			c.remote.deadline, c.remote.breakers.deadline = time.Second, time.Second
			within(t, "Redis is found again", func() bool {
				c.Set(key(0), value(0), time.Hour)
				return len(c.Stats().Redis.Away) == 0
			})
			within(t, "it is used again", func() bool {
				c.Set(key(0), value(0), time.Hour)
				return check(t, c, 1) == 1
			})
		})
	}
}

func TestASlowRedisIsLeftAlone(t *testing.T) {
	server := redistest.Start(t)
	quick := overRedis(t, server.URL())
	fill(quick, 10)
	written(t, quick, 10)
	line := redistest.StartLine(t, server.Addr())
	line.Break(redistest.Fault{Late: 20 * time.Millisecond})
	c := open(t, Options{Redis: &RedisOptions{URL: line.URL()}})
	for i := range 200 {
		if found := check(t, c, 1); found != 0 {
			t.Fatalf("found a value in less time than it takes")
		}
		c.Set(key(i), value(i), time.Hour) // writes do not make it look quick
	}
	if s := c.Stats().Redis; s.Failures != mostLost || s.Skipped != 200-mostLost {
		t.Errorf("%+v", s)
	}
}

func TestARedisThatWasNeverThereIsLeftAlone(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	for name, url := range map[string]string{
		"one server": "redis://" + listener.Addr().String(),
		"a cluster":  "redis://" + listener.Addr().String() + "?cluster=true",
		"sentinels":  "redis://" + listener.Addr().String() + "?master_name=m",
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, Options{Redis: &RedisOptions{URL: url}})
			if found := check(t, c, 500); found != 0 {
				t.Errorf("found %d", found)
			}
			if s := c.Stats().Redis; s.Failures > mostLost || s.Skipped < 500-mostLost {
				t.Errorf("%+v", s)
			}
			if err := c.Check(context.Background()); err == nil {
				t.Error("nothing is wrong with it, says Check")
			}
		})
	}
}

// A listener that takes connections and says nothing.
func TestABlackHoleIsLeftAlone(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for name, suffix := range map[string]string{"one server": "", "a cluster": "?cluster=true"} {
		t.Run(name, func(t *testing.T) {
			c := open(t, Options{Redis: &RedisOptions{URL: "redis://" + listener.Addr().String() + suffix}})
			fill(c, 100)
			if found := check(t, c, 500); found != 0 {
				t.Errorf("found %d", found)
			}
			if s := c.Stats().Redis; s.Failures > mostLost {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestAFullRedisKeepsWhatItHas(t *testing.T) {
	server := redistest.Start(t, "--maxmemory-policy", "noeviction")
	c := overRedis(t, server.URL())
	fill(c, 10)
	written(t, c, 10)
	server.Do("CONFIG", "SET", "maxmemory", "1") // less than it has
	for i := range 100 {
		c.Set(key(1000+i), value(i), time.Hour)
	}
	written(t, c, 110)
	s := c.Stats().Redis
	if s.WriteFailures == 0 || s.WriteFailures+s.Dropped != 100 || len(s.Full) != 1 || len(s.Away) > 0 {
		t.Errorf("%+v", s)
	}
	if found := check(t, c, 10); found != 10 {
		t.Errorf("found %d of 10 in a full Redis", found)
	}
	if err := c.Check(context.Background()); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("check: %v", err)
	}
}

func TestAPoisonedValueIsAMiss(t *testing.T) {
	server := redistest.Start(t)
	c := overRedis(t, server.URL())
	fill(c, 3)
	written(t, c, 3)
	name := c.remote.name(key(0))
	good := server.Do("GET", name)
	flipped := []byte(good)
	flipped[len(flipped)-1] ^= 1
	foreign := newSealer([]byte("somebody else's secret")).seal(nil, key(0), value(0))
	forged := uint64(0)
	for what, poison := range map[string]string{
		"a bit":                string(flipped),
		"another key's value":  server.Do("GET", c.remote.name(key(1))),
		"another's seal":       string(foreign),
		"cut":                  good[:len(good)-1],
		"longer":               good + "x",
		"no seal":              "x",
		"empty":                "",
		"another version":      "\x01" + good[1:],
		"only a seal":          good[:sealSize],
		"larger than any room": strings.Repeat("x", MaxRedisValue+sealSize+10),
	} {
		server.Do("SET", name, poison)
		if got, ok := c.Get(context.Background(), key(0), nil); ok {
			t.Errorf("%s: got %q", what, got)
		}
		if what != "larger than any room" {
			forged++
		}
	}
	if s := c.Stats().Redis; s.Forged != forged || len(s.Away) > 0 {
		t.Errorf("%d forged, want %d: %+v", s.Forged, forged, s)
	}
	server.Do("DEL", name)
	server.Do("LPUSH", name, "a list")
	if _, ok := c.Get(context.Background(), key(0), nil); ok {
		t.Error("got a list")
	}
	server.Do("DEL", name)
	c.Set(key(0), value(0), time.Hour)
	written(t, c, 4)
	if found := check(t, c, 3); found != 3 {
		t.Errorf("found %d of 3 after the poison", found)
	}
}

func TestAUserWhoMayDoLittleIsEnough(t *testing.T) {
	server := redistest.Start(t, "--user", "graft", "on", ">pass", "~graft:*", "-@all", "+get", "+set", "+ping", "+hello")
	c := overRedis(t, strings.Replace(server.URL(), "redis://", "redis://graft:pass@", 1))
	fill(c, 10)
	written(t, c, 10)
	if found := check(t, c, 10); found != 10 {
		t.Errorf("found %d of 10", found)
	}
	for name, test := range map[string]struct{ url, want string }{
		"a wrong password": {strings.Replace(server.URL(), "redis://", "redis://graft:wrong@", 1), "WRONGPASS"},
		"no rights":        {strings.Replace(server.URL(), "redis://", "redis://graft:pass@", 1), "NOPERM"},
	} {
		o := RedisOptions{URL: test.url}
		if name == "no rights" {
			o.Prefix = "other:"
		}
		c := open(t, Options{Redis: &o})
		if err := c.Check(context.Background()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
		if found := check(t, c, 20); found != 0 {
			t.Errorf("%s: found %d", name, found)
		}
	}
}

func TestALeavingClientIsNoFault(t *testing.T) {
	server := redistest.Start(t)
	c := overRedis(t, server.URL())
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	for range 100 {
		c.Get(gone, key(0), nil)
		c.Get(late, key(0), nil)
	}
	if s := c.Stats().Redis; s.Failures != 0 || s.Skipped != 200 || len(s.Away) > 0 {
		t.Errorf("%+v", s)
	}
}

func TestCloseIsBoundedWhateverRedisDoes(t *testing.T) {
	server := redistest.Start(t)
	c := overRedis(t, server.URL())
	server.Freeze()
	fill(c, 2*queueValues)
	c.Set(key(-1), bytes.Repeat([]byte("x"), MaxRedisValue), time.Hour)
	began := time.Now()
	c.Close()
	// Generous: what is bounded to 1.25 s must not take as long as a test.
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("close took %v", took)
	}
	s := c.Stats().Redis
	if s.Writes+s.WriteFailures+s.Dropped != 2*queueValues+1 || s.QueuedBytes != 0 {
		t.Errorf("%+v", s)
	}
	fill(c, 1)
	if found := check(t, c, 1); found != 0 {
		t.Error("found something in a closed cache")
	}
}

func TestAFullQueueDrops(t *testing.T) {
	server := redistest.Start(t)
	c := overRedis(t, server.URL())
	server.Freeze()
	big := make([]byte, MaxRedisValue)
	for i := range 100 {
		c.Set(key(i), big, time.Hour)
	}
	if s := c.Stats().Redis; s.Dropped < 100-queueBytes/MaxRedisValue || s.QueuedBytes > queueBytes {
		t.Errorf("%+v", s)
	}
	server.Thaw()
}

func TestAClusterLosesOnlyWhatItsMasterHad(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	for name, url := range map[string]string{"all nodes": cluster.URL(), "one address": cluster.Masters[0].URL() + "?cluster=true"} {
		t.Run(name, func(t *testing.T) {
			c := overRedis(t, url)
			fill(c, 300)
			written(t, c, 300)
			if found := check(t, c, 300); found != 300 {
				t.Fatalf("found %d of 300", found)
			}
		})
	}
	c := overRedis(t, cluster.URL())
	held := 0
	for i := range 300 {
		slot, err := strconv.Atoi(cluster.Masters[1].Do("CLUSTER", "KEYSLOT", c.remote.name(key(i))))
		if err != nil {
			t.Fatal(err)
		}
		if low, high := cluster.Slots(1); low <= slot && slot <= high {
			held++
		}
	}
	cluster.Masters[1].Kill()
	if found := check(t, c, 300); found != 300-held {
		t.Errorf("found %d of 300 with a master killed that had %d", found, held)
	}
	s := c.Stats().Redis
	if s.Failures > mostLost+1 || len(s.Away) != 1 || s.Away[0] != cluster.Masters[1].Addr() {
		t.Errorf("%+v", s)
	}
	if held < 50 || held > 150 {
		t.Errorf("the killed master had %d of 300", held)
	}
	cluster.Masters[1].Restart()
	within(t, "the master is used again", func() bool {
		fill(c, 300)
		return check(t, c, 300) == 300
	})
}
