package redistest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// slots is the number of hash slots of every Redis Cluster.
const slots = 16384

// Cluster is a Redis Cluster of masters alone, each with its share of the slots.
type Cluster struct {
	Masters []*Server
}

// StartCluster starts masters servers and joins them. A killed master takes its slots
// away and no others: the rest go on.
func StartCluster(t testing.TB, masters int, options ...string) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range masters {
		c.Masters = append(c.Masters, Start(t, append([]string{
			"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
			"--cluster-require-full-coverage", "no", "--cluster-node-timeout", "2000",
		}, options...)...))
	}
	for i, server := range c.Masters {
		first, last := c.Slots(i)
		server.Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last))
		if i > 0 {
			server.Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(c.Masters[0].port))
		}
	}
	c.await(t)
	return c
}

// Slots returns the first and the last slot of a master.
func (c *Cluster) Slots(master int) (first, last int) {
	return master * slots / len(c.Masters), (master+1)*slots/len(c.Masters) - 1
}

// URL names all masters as clients of clusters take it.
func (c *Cluster) URL() string {
	url := c.Masters[0].URL() + "?cluster=true"
	for _, server := range c.Masters[1:] {
		url += "&addr=" + server.Addr()
	}
	return url
}

// await waits until every node knows an owner for every slot.
func (c *Cluster) await(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		ready := 0
		var info string
		for _, server := range c.Masters {
			info = server.Do("CLUSTER", "INFO")
			if strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_slots_ok:%d", slots)) &&
				strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", len(c.Masters))) {
				ready++
			}
		}
		if ready == len(c.Masters) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the cluster did not form: %s", info)
		}
	}
}
