package deploy

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

// readiness runs the images' health check.
func readiness(t *testing.T, port string) (string, error) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash here; the images have one")
	}
	out, err := exec.CommandContext(t.Context(), bash, "docker/ready", port).CombinedOutput()
	return string(out), err
}

func TestReadySaysWhatTheGatewaySays(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		says   string
	}{
		"ready":    {http.StatusOK, ""},
		"draining": {http.StatusServiceUnavailable, "answered 503"},
		"another":  {http.StatusNotFound, "answered 404"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" || r.Method != http.MethodGet {
				t.Errorf("%s %s was asked", r.Method, r.URL.Path)
			}
			w.WriteHeader(c.status)
		}))
		_, port, err := net.SplitHostPort(server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		out, err := readiness(t, port)
		if (err == nil) != (c.status == http.StatusOK) || !strings.Contains(out, c.says) {
			t.Errorf("%s: %v, says %q", name, err, out)
		}
		server.Close()
		if _, err := readiness(t, port); err == nil {
			t.Errorf("%s: nobody listens, and it is ready", name)
		}
	}
}
