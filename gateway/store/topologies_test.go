package store

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/graft-gateway/graft/gateway/store/redistest"
)

func TestSentinelsSayWhereTheMasterIs(t *testing.T) {
	master := redistest.Start(t)
	sentinel := redistest.StartSentinel(t, master)
	c := overRedis(t, sentinel.URL()+"?master_name=m")
	fill(c, 20)
	written(t, c, 20)
	if found := check(t, c, 20); found != 20 {
		t.Errorf("found %d of 20", found)
	}
	master.Kill()
	impatient(c)
	if found := check(t, c, 200); found != 0 {
		t.Errorf("found %d in a lost master", found)
	}
	if s := c.Stats().Redis; s.Failures > mostLost || s.Skipped < 200-mostLost {
		t.Errorf("%+v", s)
	}
	other := open(t, Options{Redis: &RedisOptions{URL: sentinel.URL() + "?master_name=unknown"}})
	if err := other.Check(context.Background()); err == nil {
		t.Error("a master that the sentinels do not know is no error")
	}
}

func TestTLSIsSpoken(t *testing.T) {
	folder := t.TempDir()
	certificate, key := filepath.Join(folder, "certificate"), filepath.Join(folder, "key")
	selfSigned(t, certificate, key)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	redistest.Start(t, "--tls-port", strconv.Itoa(port), "--tls-cert-file", certificate, "--tls-key-file", key,
		"--tls-ca-cert-file", certificate, "--tls-auth-clients", "no")
	url := "rediss://127.0.0.1:" + strconv.Itoa(port)
	c := overRedis(t, url+"?skip_verify=true")
	fill(c, 10)
	written(t, c, 10)
	if found := check(t, c, 10); found != 10 {
		t.Errorf("found %d of 10", found)
	}
	strict := open(t, Options{Redis: &RedisOptions{URL: url}})
	// A busy machine may not come to the end of a handshake in a dial's time.
	for try := 1; ; try++ {
		err := strict.Check(context.Background())
		if err != nil && strings.Contains(err.Error(), "certificate") {
			return
		}
		if err == nil || try == 50 {
			t.Fatalf("a certificate that nobody vouches for: %v", err)
		}
	}
}

func selfSigned(t *testing.T, certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: signed}, key: {Type: "PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
