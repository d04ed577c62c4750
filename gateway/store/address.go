package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// parameters are what a Redis URL may say behind its question mark; all else is the
// cache's own business, time-outs above all.
const parameters = "addr, cluster, master_name, username, db, skip_verify, pool_size, protocol and client_name"

// readAddress reads a Redis URL:
//
//	redis://USER:PASSWORD@HOST:PORT/DB                       one server; rediss:// with TLS; unix:///PATH
//	redis://HOST:PORT?addr=HOST2:PORT2&addr=HOST3:PORT3      a cluster, by any of its nodes
//	redis://HOST:PORT?cluster=true                           a cluster, by one address
//	redis://HOST:PORT?master_name=NAME&addr=HOST2:PORT2      sentinels, and the master they watch
//
// With sentinels the URL's user and password are theirs, and the parameter username is
// the servers', whose password comes in [RedisOptions]: where a URL is shown, only a
// password before the host is hidden.
func readAddress(address string) (*redis.UniversalOptions, error) {
	u, err := url.Parse(address)
	if err != nil {
		// url's own error repeats the address, and with it the password.
		return nil, errors.New("redis: the URL cannot be read: want redis://HOST:PORT/DB")
	}
	if u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix" {
		return nil, fmt.Errorf("redis: the URL starts with %q: want redis://, rediss:// or unix://", u.Scheme)
	}
	query := u.Query()
	if query.Has("password") {
		return nil, errors.New("redis: the URL cannot set \"password\": the servers' stands before the host, or in the environment variable that the configuration names")
	}
	addresses, master, username := query["addr"], query.Get("master_name"), query.Get("username")
	cluster := len(addresses) > 0 && master == ""
	if said := query.Get("cluster"); said != "" {
		if cluster, err = strconv.ParseBool(said); err != nil || (!cluster && len(addresses) > 0) {
			return nil, fmt.Errorf("redis: cluster=%s: want true, or leave it out", said)
		}
	}
	for _, name := range []string{"addr", "cluster", "master_name", "username"} {
		query.Del(name)
	}
	for name := range query {
		if !slices.Contains([]string{"db", "skip_verify", "pool_size", "protocol", "client_name"}, name) {
			return nil, fmt.Errorf("redis: the URL cannot set %q, only %s", name, parameters)
		}
	}
	u.RawQuery = query.Encode()
	one, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, fmt.Errorf("redis: %s", strings.TrimPrefix(err.Error(), "redis: "))
	}
	o := &redis.UniversalOptions{
		Addrs: []string{one.Addr}, Username: one.Username, Password: one.Password, DB: one.DB,
		TLSConfig: one.TLSConfig, PoolSize: one.PoolSize, Protocol: one.Protocol, ClientName: one.ClientName,
		MasterName: master, IsClusterMode: cluster,
	}
	return o, manyServers(o, u.Scheme, addresses, username)
}

// manyServers fills in what only sentinels and clusters have, and checks what they
// have not.
func manyServers(o *redis.UniversalOptions, scheme string, addresses []string, username string) error {
	for _, address := range addresses {
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
			return fmt.Errorf("redis: addr=%s: want HOST:PORT", address)
		}
	}
	o.Addrs = append(o.Addrs, addresses...)
	switch {
	case o.MasterName != "" && o.IsClusterMode:
		return errors.New("redis: the URL has master_name, which is for sentinels, and cluster: want one of them")
	case o.MasterName != "":
		o.SentinelUsername, o.SentinelPassword = o.Username, o.Password
		o.Username, o.Password = username, ""
	case username != "":
		return errors.New("redis: the user stands before the host, redis://USER:PASSWORD@HOST:PORT; as a parameter it is for sentinels")
	case o.IsClusterMode && o.DB != 0:
		return fmt.Errorf("redis: a cluster has database 0 only, the URL says %d", o.DB)
	}
	if scheme == "unix" && (o.IsClusterMode || o.MasterName != "") {
		return errors.New("redis: a cluster or sentinels cannot be reached by a unix socket")
	}
	if o.TLSConfig != nil && (o.IsClusterMode || o.MasterName != "") {
		// Each server's certificate names that server, not the first.
		o.TLSConfig.ServerName = ""
	}
	return nil
}

// patient are the options under which a lost server costs a request next to nothing.
// The library's own cost seconds: it retries, and waits longer than the cache is worth.
func patient(o *redis.UniversalOptions) {
	o.MaxRetries = -1
	o.DialerRetries = 1
	o.DialTimeout = 100 * time.Millisecond
	o.ReadTimeout = writeTime
	o.WriteTimeout = writeTime
	o.PoolTimeout = defaultDeadline
	o.ContextTimeoutEnabled = true
	o.PipelinePoolSize = -1
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// connect makes the client, with a breaker for every server that it talks to. It
// connects to nothing yet.
func connect(o *redis.UniversalOptions, breakers *breakers) redis.UniversalClient {
	patient(o)
	// The library has one logger for the process, which prints a line for every
	// connection that fails. What an operator needs, the breakers say, once.
	redis.SetLogger(silent{})
	if !o.IsClusterMode {
		client := redis.NewUniversalClient(o)
		client.AddHook(breakers.of(strings.Join(o.Addrs, ",")))
		return client
	}
	options := o.Cluster()
	// Routing by policy asks the server for its list of commands, and waits for it.
	options.DisableRoutingPolicies = true
	options.MaxRedirects = 1
	options.ClusterStateReloadInterval = 10 * time.Second
	client := redis.NewClusterClient(options)
	client.OnNewNode(func(node *redis.Client) { node.AddHook(breakers.of(node.Options().Addr)) })
	return client
}

// silent is a logger for the library.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
