package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/gateway/doctor"
)

// listing is a server that lists models to whoever has its key.
func listing(t *testing.T, key string, models ...string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/html/v1/models":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>Welcome</html>")
		case r.URL.Path != "/v1/models":
			http.NotFound(w, r)
		case key != "" && r.Header.Get("Authorization") != "Bearer "+key:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"object":"list","data":[{"id":%q}]}`, strings.Join(models, `"},{"id":"`))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestServersOfPassThroughRoutesAreAsked(t *testing.T) {
	t.Setenv("RIGHT", "sk-right")
	t.Setenv("WRONG", "sk-wrong")
	open, closed := listing(t, "", "large"), listing(t, "sk-right", "large")
	for name, c := range map[string]struct{ base, model, problem, fix string }{
		"its only model":        {base: "url: " + open, model: "large"},
		"a model that it has":   {base: "url: " + open + "/v1, model: large", model: "large"},
		"the right key":         {base: "url: " + closed + "/v1, model: large, api_key_env: RIGHT", model: "large"},
		"lists nothing":         {base: "url: " + open + "/other/v1, model: large", model: "large"},
		"a model that it lacks": {base: "url: " + open + "/v1, model: huge", model: "huge", problem: `has no model "huge"; it has large`, fix: "correct bases.b"},
		"no key":                {base: "url: " + closed + "/v1, model: large", model: "large", problem: "status 401", fix: "api_key_env"},
		"the wrong key":         {base: "url: " + closed + "/v1, model: large, api_key_env: WRONG", model: "large", problem: "status 401", fix: "api_key_env"},
		"a page":                {base: "url: " + open + "/html/v1, model: large", model: "large", problem: "text/html", fix: "correct bases.b"},
		"nobody there":          {base: "url: http://u:hidden@127.0.0.1:9/v1, model: large, retries: 0", model: "large", problem: "connection refused", fix: "start the server"},
	} {
		_, report := examine(t, "bases: {b: {"+c.base+"}}\nroutes: {r: {base: b}}", 0)
		server := report.Servers[0]
		if !server.PassThrough || server.Model != c.model {
			t.Errorf("%s: %+v", name, server)
		}
		if c.problem == "" {
			if server.Verdict != doctor.OK {
				t.Errorf("%s: %+v", name, server.Findings)
			}
			continue
		}
		if server.Verdict != doctor.Broken || !strings.Contains(server.Findings[0].Problem, c.problem) || !strings.Contains(server.Findings[0].Fix, c.fix) {
			t.Errorf("%s: %+v", name, server.Findings)
		}
		if all := fmt.Sprintf("%+v", report); strings.Contains(all, "hidden") || strings.Contains(all, "sk-wrong") {
			t.Errorf("%s: a secret is told: %s", name, all)
		}
	}
}
