package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority makes certificates in a folder of the test's.
type authority struct {
	t      *testing.T
	folder string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, folder: t.TempDir()}
	a.cert, a.key = a.sign("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign writes NAME.pem and NAME.key.
func (a *authority) sign(name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", "CERTIFICATE", der)
	a.write(name+".key", "PRIVATE KEY", private)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) write(name, kind string, data []byte) {
	a.t.Helper()
	if err := os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) file(name string) string { return filepath.Join(a.folder, name) }

// serve wants a client's certificate of the authority.
func (a *authority) serve(handler http.HandlerFunc) string {
	a.t.Helper()
	pair, err := tls.LoadX509KeyPair(a.file("server.pem"), a.file("server.key"))
	if err != nil {
		a.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	a.t.Cleanup(server.Close)
	return server.URL
}

func TestTLS(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	a.sign("server", &x509.Certificate{DNSNames: []string{"base.example"}})
	a.sign("client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	var seen string
	url := a.serve(func(w http.ResponseWriter, r *http.Request) {
		seen = r.TLS.PeerCertificates[0].Subject.CommonName
		storyteller(w, r)
	})
	whole := TLS{CA: a.file("ca.pem"), Certificate: a.file("client.pem"), PrivateKey: a.file("client.key"), ServerName: "base.example"}
	change := func(f func(*TLS)) TLS { t := whole; f(&t); return t }
	for _, test := range []struct {
		name string
		tls  TLS
		says string // empty: it works
	}{
		{"all right", whole, ""},
		{"any certificate", TLS{Insecure: true, Certificate: whole.Certificate, PrivateKey: whole.PrivateKey}, ""},
		{"another authority", change(func(t *TLS) { t.CA = other.file("ca.pem") }), "tls.ca"},
		{"the system's authorities", change(func(t *TLS) { t.CA = "" }), "tls.ca"},
		{"another name", change(func(t *TLS) { t.ServerName = "" }), "tls.server_name"},
		{"no certificate of ours", change(func(t *TLS) { t.Certificate, t.PrivateKey = "", "" }), "certificate required"},
	} {
		t.Run(test.name, func(t *testing.T) {
			endpoint := short(url)
			endpoint.TLS = test.tls
			endpoint.Timeouts = Timeouts{}
			endpoint.Retries = -1
			c := mustClient(t, endpoint)
			err := c.Get(t.Context(), "/v1/x", nil)
			if test.says == "" {
				if err != nil || seen != "client" {
					t.Errorf("seen %q, %v", seen, err)
				}
				return
			}
			if e := asError(t, err); e.Fault != Unreachable || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
	t.Run("a key that is another's", func(t *testing.T) {
		if _, err := NewClient(Endpoint{URL: url, TLS: change(func(t *TLS) { t.PrivateKey = a.file("server.key") })}); err == nil {
			t.Error("it was taken")
		}
	})
}

func TestTLSHandshakesEnd(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	endpoint := short("https://" + listener.Addr().String())
	endpoint.Retries = -1
	if e := asError(t, mustClient(t, endpoint).Get(t.Context(), "/v1/x", nil)); e.Fault != TimedOut || e.Phase != Connecting {
		t.Errorf("a server that accepts and says nothing: %v", e)
	}
	plain := httptest.NewServer(http.HandlerFunc(storyteller))
	defer plain.Close()
	endpoint = short(strings.Replace(plain.URL, "http:", "https:", 1))
	c := mustClient(t, endpoint)
	if e := asError(t, c.Get(t.Context(), "/v1/x", nil)); e.Fault != Unreachable || !strings.Contains(e.Message, "is it http?") || c.Stats().Retries != 0 {
		t.Errorf("a server without TLS: %v", e)
	}
}

func TestUsersOfTheURLAreSentAndNotTold(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		http.Error(w, user+" may not come in with "+password+" "+r.Header.Get("Authorization"), http.StatusForbidden)
	}))
	defer server.Close()
	endpoint := short(strings.Replace(server.URL, "http://", "http://me:hush@", 1))
	endpoint.Key = ""
	err := mustClient(t, endpoint).Get(t.Context(), "/v1/x", nil)
	if e := asError(t, err); e.Message != "me may not come in with *** Basic ***" {
		t.Errorf("got %v", err)
	}
}
