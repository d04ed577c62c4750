package redistest

import (
	"strings"
	"testing"
)

func TestAServerForgetsWhatItHadWhenItIsStartedAgain(t *testing.T) {
	server := Start(t)
	server.Do("SET", "a", "1")
	if got := server.Do("GET", "a"); got != "1" {
		t.Errorf("GET a: %q", got)
	}
	addr := server.Addr()
	server.Kill()
	server.Kill()
	server.Restart()
	if got := server.Do("GET", "a"); got != "" || server.Addr() != addr {
		t.Errorf("after the restart at %s: %q at %s", addr, got, server.Addr())
	}
}

func TestAClusterServesEverySlot(t *testing.T) {
	cluster := StartCluster(t, 3)
	if n := strings.Count(cluster.Masters[2].Do("CLUSTER", "NODES"), "connected"); n != 3 {
		t.Errorf("%d nodes", n)
	}
	if want := "?cluster=true&addr=" + cluster.Masters[1].Addr(); !strings.Contains(cluster.URL(), want) {
		t.Errorf("url %s lacks %s", cluster.URL(), want)
	}
}
