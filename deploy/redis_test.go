package deploy

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// forbidden are commands that a cache's client has no business with, one of each kind.
var forbidden = []string{
	"eval return(1) 0", "evalsha ffffffffffffffffffffffffffffffffffffffff 0", "eval_ro return(1) 0", "script load return(1)",
	"fcall f 0", "function list", "function load x", "keys *", "scan 0", "flushall", "flushdb", "config get *", "config set save 1",
	"acl list", "acl setuser default on", "debug sleep 0", "module list", "module load /x", "shutdown nosave", "save", "bgsave",
	"replicaof no one", "client list", "client kill 127.0.0.1:1", "client pause 1", "monitor", "subscribe x", "publish x y",
	"dbsize", "randomkey", "rename a b", "dump a", "restore a 0 x", "migrate 127.0.0.1 1 a 0 1", "slowlog get", "latency doctor",
	"cluster reset", "cluster meet 127.0.0.1 1", "cluster forget x", "cluster addslots 1", "lpush l x", "del a", "unlink a", "hset h a b", "swapdb 0 1",
}

// allowed are what the gateway's cache does, with what Redis answers.
var allowed = [][2]string{
	{"ping", "PONG"}, {"set a b px 60000", "OK"}, {"get a", "b"}, {"exists a b", "1"}, {"strlen a", "1"}, {"get b", ""},
}

func TestUsersMayRunNoScripts(t *testing.T) {
	data, err := os.ReadFile("redis/users.acl")
	if err != nil {
		t.Fatal(err)
	}
	users := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "user" {
			t.Fatalf("%q is no user: an ACL file can hold nothing else", line)
		}
		users[words[1]] = words[2:]
	}
	if len(users) != 2 || !slices.Contains(users["default"], "off") || !slices.Contains(users["graft"], "on") {
		t.Errorf("users are %v", users)
	}
	for name, rules := range users {
		none := slices.Index(rules, "-@all")
		if none < 0 {
			t.Fatalf("%s starts with commands", name)
		}
		for i, rule := range rules {
			switch {
			case strings.HasPrefix(rule, "+@") || rule == "allcommands" || rule == "allchannels" || strings.HasPrefix(rule, "&"):
				t.Errorf("%s: %s allows more than one can name", name, rule)
			case strings.HasPrefix(rule, "+") && (i < none || name == "default"):
				t.Errorf("%s: %s", name, rule)
			case rule == "nopass" || strings.HasPrefix(rule, ">") || strings.HasPrefix(rule, "#") || strings.HasPrefix(rule, "<"):
				t.Errorf("%s has a password in the repository, or needs none: %s", name, rule)
			}
			for _, command := range forbidden {
				word, rest, _ := strings.Cut(command, " ")
				sub, _, _ := strings.Cut(rest, " ")
				if rule == "+"+word || rule == "+"+word+"|"+sub {
					t.Errorf("%s may %s", name, command)
				}
			}
		}
	}
}

func TestRedisIsACacheAndNothingElse(t *testing.T) {
	data, err := os.ReadFile("redis/redis.conf")
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for _, line := range strings.Split(string(data), "\n") {
		if key, value, ok := strings.Cut(line, " "); ok && !strings.HasPrefix(line, "#") {
			set[key] = value
		}
	}
	for key, want := range map[string]string{
		"save": `""`, "appendonly": "no", "maxmemory-policy": "volatile-ttl", "enable-debug-command": "no",
		"enable-module-command": "no", "enable-protected-configs": "no", "aclfile": "/run/redis/users.acl",
	} {
		if set[key] != want {
			t.Errorf("%s is %q, want %q", key, set[key], want)
		}
	}
	if _, ok := set["requirepass"]; ok {
		t.Error("a password is in the repository")
	}
}

// master is a Redis started by start.sh, until the test ends.
type master struct {
	port, password, run string
	kill                func()
}

// startRedis starts one with variables of its own, and waits until it answers.
func startRedis(t *testing.T, port, password, run string, variables []string, options ...string) master {
	t.Helper()
	for _, program := range []string{"redis-server", "redis-cli"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed (Debian and Ubuntu: apt-get install redis-server)", program)
		}
	}
	etc, err := filepath.Abs("redis")
	if err != nil {
		t.Fatal(err)
	}
	words := append([]string{"redis/start.sh"}, options...)
	command := exec.Command("sh", append(words, "--port", port)...)
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "REDIS_ETC=" + etc, "REDIS_RUN=" + run, "REDIS_PASSWORD=" + password, "REDIS_MAXMEMORY=64mb"}, variables...)
	log, err := os.Create(filepath.Join(run, "log"))
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	m := master{port: port, password: password, run: run}
	killed := false
	m.kill = func() {
		if !killed {
			killed = true
			_ = command.Process.Kill()
			_ = command.Wait()
			log.Close()
		}
	}
	t.Cleanup(m.kill)
	m.await(t, "was alive", func() bool { return m.alive(password) == nil })
	return m
}

// await asks again until it is so, or fails after 30 s with Redis's log.
func (m master) await(t *testing.T, what string, so func() bool) {
	t.Helper()
	late, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for ticks := time.NewTicker(50 * time.Millisecond); !so(); {
		select {
		case <-ticks.C:
		case <-late.Done():
			log, _ := os.ReadFile(filepath.Join(m.run, "log"))
			t.Fatalf("the Redis on port %s never %s:\n%s", m.port, what, log)
		}
	}
}

func (m master) alive(password string) error {
	command := exec.Command("sh", "redis/alive.sh")
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "REDIS_PORT=" + m.port, "REDIS_PASSWORD=" + password}
	return command.Run()
}

// ask runs a command as the gateway's user.
func (m master) ask(words ...string) string {
	command := exec.Command("redis-cli", append([]string{"-c", "-p", m.port, "--user", "graft", "--no-auth-warning"}, words...)...)
	command.Env = append(os.Environ(), "REDISCLI_AUTH="+m.password)
	out, _ := command.CombinedOutput()
	return strings.TrimSpace(string(out))
}

// freePorts finds some that are free together with those of a cluster's bus above them.
func freePorts(t *testing.T, count int) []string {
	t.Helper()
	free := func(port int) bool {
		listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			return false
		}
		return listener.Close() == nil
	}
	var ports []string
	for port := 21000 + os.Getpid()%10000; port < 50000; port++ {
		if free(port) && free(port+10000) {
			if ports = append(ports, fmt.Sprint(port)); len(ports) == count {
				return ports
			}
		}
	}
	t.Fatal("too few ports are free")
	return nil
}

func TestRealRedisRefusesScriptsAndMore(t *testing.T) {
	m := startRedis(t, freePorts(t, 1)[0], "a password with spaces, 'quotes' and a #", t.TempDir(), nil, "--bind", "127.0.0.1")
	for _, c := range allowed {
		if got := m.ask(strings.Fields(c[0])...); got != c[1] {
			t.Errorf("%s: %q, want %q", c[0], got, c[1])
		}
	}
	for _, command := range forbidden {
		got := m.ask(strings.Fields(command)...)
		if !strings.HasPrefix(got, "NOPERM") && !strings.HasPrefix(got, "ERR Unknown subcommand") && !strings.HasPrefix(got, "ERR unknown command") && !strings.Contains(got, "command not allowed") {
			t.Errorf("%s: %q, want a refusal", command, got)
		}
	}
	if got := m.ask("info", "memory"); !strings.Contains(got, "maxmemory_policy:volatile-ttl") || !strings.Contains(got, "maxmemory:67108864\r") {
		t.Errorf("memory: %s", got)
	}
	users, err := os.ReadFile(filepath.Join(m.run, "users.acl"))
	if err != nil || strings.Contains(string(users), m.password) {
		t.Errorf("the password itself is written down: %v", err)
	}
	if m.alive("another") == nil {
		t.Error("another password is as good")
	}
	stranger := m
	stranger.password = ""
	if got := stranger.ask("get", "a"); !strings.Contains(got, "NOAUTH") {
		t.Errorf("without a password: %q", got)
	}
}

func TestRedisWithoutAPasswordLetsNobodyIn(t *testing.T) {
	m := startRedis(t, freePorts(t, 1)[0], "", t.TempDir(), nil, "--bind", "127.0.0.1")
	for _, password := range []string{"", "x"} {
		m.password = password
		if got := m.ask("get", "a"); !strings.Contains(got, "NOAUTH") && !strings.Contains(got, "WRONGPASS") {
			t.Errorf("with password %q: %q", password, got)
		}
	}
}

func TestThreeMastersBecomeACluster(t *testing.T) {
	const count = 3
	ports := freePorts(t, count)
	peers := make([]string, count)
	for i, port := range ports {
		peers[i] = "127.0.0.1:" + port
	}
	start := func(i int, run, announce string) master {
		return startRedis(t, ports[i], "p", run,
			[]string{fmt.Sprintf("CLUSTER_INDEX=redis-%d", i), "CLUSTER_MASTERS=3", "CLUSTER_PORT=" + ports[i], "CLUSTER_PEERS=" + strings.Join(peers, " "), "CLUSTER_PAUSE=0.2"},
			"--cluster", "--bind", "127.0.0.1", "127.0.0.2", "--cluster-announce-ip", announce, "--cluster-enabled", "yes",
			"--cluster-config-file", filepath.Join(run, "nodes.conf"), "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "2000")
	}
	masters, runs := make([]master, count), make([]string, count)
	for i := range masters {
		runs[i] = t.TempDir()
		masters[i] = start(i, runs[i], "127.0.0.1")
	}
	whole := func(m master) func() bool {
		return func() bool {
			info := m.ask("cluster", "info")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_ok:16384") && strings.Contains(info, "cluster_size:3")
		}
	}
	for _, m := range masters {
		m.await(t, "saw a whole cluster", whole(m))
	}
	for i := range 30 {
		if got := masters[i%count].ask("set", fmt.Sprint("key", i), "v", "px", "60000"); got != "OK" {
			t.Fatalf("set: %q", got)
		}
	}
	masters[1].kill()
	masters[0].await(t, "saw that a master is away", func() bool { return !whole(masters[0])() })
	// It comes back empty, as who it was, under another address.
	masters[1] = start(1, runs[1], "127.0.0.2")
	for _, m := range masters {
		m.await(t, "saw a whole cluster again", whole(m))
	}
	masters[0].await(t, "learnt the new address", func() bool {
		nodes := masters[0].ask("cluster", "nodes")
		return strings.Contains(nodes, "127.0.0.2:"+ports[1]) && strings.Count(nodes, "\n") == count-1
	})
	if got := masters[2].ask("cluster", "meet", "127.0.0.1", "1"); !strings.HasPrefix(got, "NOPERM") {
		t.Errorf("the gateway may change the cluster: %q", got)
	}
}
