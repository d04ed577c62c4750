package cli

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/graft-gateway/graft/gateway"
)

var update = flag.Bool("update", false, "write testdata/metrics.txt anew")

// ask sends a request and returns the status.
func ask(t *testing.T, url, body string) int {
	t.Helper()
	response, err := http.Post(url+"/v1/completions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// measured serves a pair over a gateway behind HTTP, and what passes on to nobody, with a
// cache in memory and in a Redis that is away; it answers some requests.
func measured(t *testing.T) (*wiring, *prometheus.Registry) {
	t.Helper()
	t.Setenv("GRAFT_CACHE_SECRET", "0123456789abcdef")
	_, routes, err := wire(t, "bases: {b: {folder: embedded:base}}\nroutes: {large: {base: b, logprobs: {completions: 20}}}", "")
	if err != nil {
		t.Fatal(err)
	}
	back := httptest.NewServer(gateway.New(gateway.Config{Routes: routes}).Handler())
	t.Cleanup(back.Close)
	w, routes, err := wire(t, fmt.Sprintf(`
bases: {b: {url: %q, model: large}, away: {url: http://127.0.0.1:9/v1, model: x, retries: 0}}
experts: {chat: {tuned: embedded:small-chat, untuned: embedded:small}}
routes: {tuned: {base: b, experts: {chat: 1}}, through: {base: b}, away: {base: away}}
cache: {redis: "redis://127.0.0.1:9/0"}
`, back.URL), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, ready := range w.prompts.ready {
		<-ready
	}
	metrics := registry(env, w)
	front := httptest.NewServer(gateway.New(gateway.Config{Routes: routes, Metrics: metrics}).Handler())
	t.Cleanup(front.Close)
	for model, want := range map[string]int{"tuned": 200, "through": 200, "away": 503} {
		if got := ask(t, front.URL, fmt.Sprintf(`{"model":%q,"prompt":"The river","max_tokens":3}`, model)); got != want {
			t.Fatalf("%s: status %d", model, got)
		}
	}
	return w, metrics
}

// own leaves out what every Go process tells.
func own[F interface{ GetName() string }](families []F) []F {
	return slices.DeleteFunc(families, func(f F) bool {
		return strings.HasPrefix(f.GetName(), "go_") || strings.HasPrefix(f.GetName(), "process_")
	})
}

// The dashboard and the alerts are held to this file by the tests of deploy.
func TestMetricsAndTheirLabelsAreAsTheyWere(t *testing.T) {
	_, metrics := measured(t)
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	families = own(families)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	var lines strings.Builder
	for _, f := range families {
		fmt.Fprint(&lines, f.GetName())
		for _, label := range f.Metric[0].Label {
			fmt.Fprint(&lines, " ", label.GetName())
		}
		fmt.Fprintln(&lines)
	}
	const path = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(path, []byte(lines.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if lines.String() != string(want) {
		t.Errorf("got\n%swant\n%s(-update writes it)", &lines, want)
	}
}

func TestConnectionsToABaseAreCountedTogether(t *testing.T) {
	w, metrics := measured(t)
	for key, s := range w.servers {
		key.vocabulary = "another"
		w.servers[key] = s
		break
	}
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "graft_base_named_total" && len(f.Metric) != 1 {
			t.Errorf("%v", f.Metric)
		}
	}
}
