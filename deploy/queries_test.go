package deploy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// measured are metrics with their labels, as a gateway told them: gateway/cli's tests hold
// /metrics to this file.
func measured(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "gateway/cli/testdata/metrics.txt"))
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		labels[fields[0]] = fields[1:]
	}
	if len(labels["graft_cache_lookups_total"]) != 2 {
		t.Fatalf("metrics are no longer told as they were: %v", labels)
	}
	return labels
}

// others are metrics of every Go process, and of Prometheus itself.
var others = []string{"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}

var metricName = regexp.MustCompile(`^(graft|gen_ai)_[a-z0-9_]+$`)

// exposed finds the metrics that the gateway's source names.
func exposed(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, dir := range []string{"gateway", "gateway/cli"} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					if text, err := strconv.Unquote(literal.Value); err == nil && metricName.MatchString(text) {
						names[text] = true
					}
				}
				return true
			})
		}
	}
	if !names["graft_requests_total"] || !names["graft_native_bytes"] || len(names) < 15 {
		t.Fatalf("metrics are no longer found where they were: %v", slices.Sorted(maps.Keys(names)))
	}
	return names
}

var (
	quoted     = regexp.MustCompile(`"[^"]*"`)
	identifier = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
	grouping   = regexp.MustCompile(`\b(by|without|on|ignoring)\s*\([^)]*\)`)
	matchers   = regexp.MustCompile(`\{[^}]*\}`)
	interval   = regexp.MustCompile(`\[[^\]]*\]`)
	number     = regexp.MustCompile(`\b[0-9.]+\b`)
)

// words of the query language that our queries use.
var words = []string{"sum", "min", "max", "count", "rate", "histogram_quantile", "label_values"}

// asked are the metrics in a query.
func asked(query string) []string {
	if values, ok := strings.CutPrefix(query, "label_values("); ok {
		query, _, _ = strings.Cut(values, ",")
	}
	for _, cut := range []*regexp.Regexp{quoted, grouping, matchers, interval, number} {
		query = cut.ReplaceAllString(query, " ")
	}
	return slices.DeleteFunc(identifier.FindAllString(query, -1), func(word string) bool { return slices.Contains(words, word) })
}

// queries are all that the dashboard and the alerts ask, by who asks.
func queries(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	var board dashboard
	read(t, "monitoring/grafana/graft.json", &board)
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			all[p.Title] = append(all[p.Title], target.Expr)
		}
	}
	for _, v := range board.Templating.List {
		all["$"+v.Name] = append(all["$"+v.Name], v.Query.Query)
	}
	var rules rulesFile
	read(t, "monitoring/rules.yml", &rules)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			all[r.Alert] = append(all[r.Alert], r.Expr)
		}
	}
	return all
}

func TestQueriesAskForMetricsThatThereAre(t *testing.T) {
	known := exposed(t)
	for name := range measured(t) {
		if !known[name] {
			t.Errorf("%s is no longer in the gateway's source", name)
		}
	}
	for _, name := range others {
		known[name] = true
	}
	for who, all := range queries(t) {
		for _, query := range all {
			if strings.Count(query, "(") != strings.Count(query, ")") || strings.Count(query, "{") != strings.Count(query, "}") {
				t.Errorf("%s: %s is not closed", who, query)
			}
			metrics := asked(query)
			if len(metrics) == 0 {
				t.Errorf("%s: %s asks for nothing", who, query)
			}
			for _, name := range metrics {
				series := strings.TrimSuffix(name, "_bucket")
				if !known[series] {
					t.Errorf("%s asks for %s, which the gateway does not expose", who, name)
				}
				if series != name != strings.Contains(query, "histogram_quantile") {
					t.Errorf("%s: a quantile is of buckets, and buckets are for quantiles: %s", who, query)
				}
			}
		}
	}
}

func TestQueriesAreTakenApart(t *testing.T) {
	for query, want := range map[string][]string{
		`sum by (a, b) (rate(graft_x_total{route=~"$route",status="5.."}[$__rate_interval])) / up > 0.05`: {"graft_x_total", "up"},
		`histogram_quantile(0.95, sum by (le) (rate(x_bucket[5m])))`:                                      {"x_bucket"},
		`label_values(graft_requests_total, route)`:                                                       {"graft_requests_total"},
	} {
		if got := asked(query); !slices.Equal(got, want) {
			t.Errorf("%s asks for %v, want %v", query, got, want)
		}
	}
}

func TestMetricsAreGroupedAndChosenByTheirLabels(t *testing.T) {
	by, chosen := regexp.MustCompile(`\bby \(([^)]*)\)`), regexp.MustCompile(`([a-z_]+)\{([^}]*)\}`)
	labels := measured(t)
	scraped := []string{"instance", "job", "le"} // added by Prometheus, and by histograms
	for who, all := range queries(t) {
		for _, query := range all {
			for _, name := range asked(query) {
				has, ok := labels[strings.TrimSuffix(name, "_bucket")]
				if !ok {
					continue
				}
				var wants []string
				for _, group := range by.FindAllStringSubmatch(query, -1) {
					wants = append(wants, strings.Split(group[1], ", ")...)
				}
				for _, of := range chosen.FindAllStringSubmatch(query, -1) {
					for matcher := range strings.SplitSeq(of[2], ",") {
						if of[1] == name {
							wants = append(wants, identifier.FindString(matcher))
						}
					}
				}
				for _, label := range wants {
					if !slices.Contains(has, label) && !slices.Contains(scraped, label) {
						t.Errorf("%s: %s has no label %s", who, name, label)
					}
				}
			}
		}
	}
}
