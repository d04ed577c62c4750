package store

import (
	"strings"
	"testing"
)

func TestAddressesAreRead(t *testing.T) {
	for _, test := range []struct {
		url                        string
		addrs                      string
		db                         int
		user, password, master, sp string
		cluster, tls               bool
	}{
		{url: "redis://h", addrs: "h:6379"},
		{url: "redis://h:1/3", addrs: "h:1", db: 3},
		{url: "redis://[::1]:1?db=2", addrs: "[::1]:1", db: 2},
		{url: "redis://u:p%40@h:1", addrs: "h:1", user: "u", password: "p@"},
		{url: "rediss://:p@h", addrs: "h:6379", password: "p", tls: true},
		{url: "unix:///run/redis.sock", addrs: "/run/redis.sock"},
		{url: "redis://a:1?cluster=true", addrs: "a:1", cluster: true},
		{url: "redis://a:1?cluster=false", addrs: "a:1"},
		{url: "rediss://u:p@a:1?addr=b:2&addr=c:3", addrs: "a:1 b:2 c:3", cluster: true, tls: true, user: "u", password: "p"},
		{url: "redis://u:sp@a:1?master_name=m&addr=b:2&username=w&db=4", addrs: "a:1 b:2", master: "m", user: "w", sp: "sp", db: 4},
	} {
		t.Run(test.url, func(t *testing.T) {
			o, err := readAddress(test.url)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(o.Addrs, " "); got != test.addrs {
				t.Errorf("addresses %q, want %q", got, test.addrs)
			}
			if o.DB != test.db || o.Username != test.user || o.Password != test.password || o.SentinelPassword != test.sp || o.MasterName != test.master {
				t.Errorf("%+v", o)
			}
			if o.IsClusterMode != test.cluster || (o.TLSConfig != nil) != test.tls {
				t.Errorf("cluster %v, TLS %v", o.IsClusterMode, o.TLSConfig != nil)
			}
			if test.tls && test.cluster && o.TLSConfig.ServerName != "" {
				t.Error("all certificates must name the first node")
			}
		})
	}
}

func TestAddressesThatMeanNothingAreRefused(t *testing.T) {
	for url, want := range map[string]string{
		"":                                  "want redis://",
		"h:6379":                            "want redis://",
		"http://h":                          `starts with "http"`,
		"redis://h/x":                       "invalid database number",
		"redis://h?read_timeout=1s":         `cannot set "read_timeout"`,
		"redis://h?cluster=maybe":           "want true",
		"redis://h?cluster=false&addr=b:2":  "want true",
		"redis://h?addr=b":                  "want HOST:PORT",
		"redis://h/2?cluster=true":          "database 0 only",
		"redis://h?cluster=true&username=u": "before the host",
		"redis://h?master_name=m&cluster=1": "one of them",
		"redis://h?master_name=m&password=hunter2": "environment",
		"unix:///s?cluster=true":                   "unix socket",
		"redis://user:hunter2@h:port":              "cannot be read",
	} {
		t.Run(url, func(t *testing.T) {
			_, err := readAddress(url)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("error %v, want %q in it", err, want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the password is in %v", err)
			}
		})
	}
}
