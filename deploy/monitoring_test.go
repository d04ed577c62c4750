package deploy

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// prometheusFile is what ours uses of Prometheus' configuration.
type prometheusFile struct {
	Global struct {
		ScrapeInterval     string `json:"scrape_interval"`
		ScrapeTimeout      string `json:"scrape_timeout"`
		EvaluationInterval string `json:"evaluation_interval"`
	} `json:"global"`
	RuleFiles     []string `json:"rule_files"`
	ScrapeConfigs []struct {
		JobName       string `json:"job_name"`
		StaticConfigs []struct {
			Targets []string `json:"targets"`
		} `json:"static_configs"`
		DNS []struct {
			Names           []string `json:"names"`
			Type            string   `json:"type"`
			Port            int      `json:"port"`
			RefreshInterval string   `json:"refresh_interval"`
		} `json:"dns_sd_configs"`
	} `json:"scrape_configs"`
}

// rulesFile is a file of Prometheus' alerts.
type rulesFile struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []struct {
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			For         string            `json:"for"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

// dashboard is what is looked at of Grafana's.
type dashboard struct {
	UID        string `json:"uid"`
	Title      string `json:"title"`
	Templating struct {
		List []struct {
			Name       string     `json:"name"`
			Datasource datasource `json:"datasource"`
			Query      struct {
				Query string `json:"query"`
			} `json:"query"`
		} `json:"list"`
	} `json:"templating"`
	Panels []struct {
		ID          int        `json:"id"`
		Type        string     `json:"type"`
		Title       string     `json:"title"`
		Description string     `json:"description"`
		Datasource  datasource `json:"datasource"`
		GridPos     struct{ X, Y, W, H int }
		Targets     []struct {
			Expr         string     `json:"expr"`
			LegendFormat string     `json:"legendFormat"`
			Datasource   datasource `json:"datasource"`
		} `json:"targets"`
	} `json:"panels"`
}

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, ".json") {
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return
	}
	strictly(t, path, data, into)
}

func TestPanelsSayWhatTheyShow(t *testing.T) {
	var board dashboard
	read(t, "monitoring/grafana/graft.json", &board)
	var sources struct {
		APIVersion  int `json:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			IsDefault, Editable          bool
			JSONData                     map[string]string
		} `json:"datasources"`
	}
	read(t, "monitoring/grafana/datasources.yml", &sources)
	var providers struct {
		APIVersion int `json:"apiVersion"`
		Providers  []struct {
			Name, Type                      string
			DisableDeletion, AllowUIUpdates bool
			Options                         struct{ Path string }
		} `json:"providers"`
	}
	read(t, "monitoring/grafana/dashboards.yml", &providers)
	if len(sources.Datasources) != 1 || len(providers.Providers) != 1 {
		t.Fatalf("%d sources, %d providers", len(sources.Datasources), len(providers.Providers))
	}
	source := datasource{sources.Datasources[0].Type, sources.Datasources[0].UID}
	mounted := false
	for _, v := range everything(t).Services["grafana"].Volumes {
		mounted = mounted || v.Target == providers.Providers[0].Options.Path+"/graft.json"
	}
	if !mounted {
		t.Errorf("the dashboard is not mounted in %s, where Grafana looks", providers.Providers[0].Options.Path)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range board.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d %q is there twice, or has no title", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, both := taken[[2]int{x, y}]; both || x >= 24 {
					t.Fatalf("%s lies over %s or outside", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 || p.Datasource != source {
			t.Errorf("%s: description %q, %d queries, source %v", p.Title, p.Description, len(p.Targets), p.Datasource)
		}
		for _, target := range p.Targets {
			if target.Datasource != source || target.LegendFormat == "" {
				t.Errorf("%s: a query of %v has legend %q", p.Title, target.Datasource, target.LegendFormat)
			}
		}
	}
}

func TestPrometheusAsksWhoIsThere(t *testing.T) {
	var config prometheusFile
	read(t, "monitoring/prometheus.yml", &config)
	project := everything(t)
	for _, d := range []string{config.Global.ScrapeInterval, config.Global.ScrapeTimeout, config.Global.EvaluationInterval} {
		if _, err := time.ParseDuration(d); err != nil {
			t.Error(err)
		}
	}
	reaches := func(job, service string, port int) {
		s, ok := project.Services[service]
		if !ok {
			t.Errorf("job %s asks %s, which is no service", job, service)
			return
		}
		if _, shared := s.Networks["metrics"]; !shared {
			t.Errorf("job %s cannot reach %s: they share no network", job, service)
		}
		if want := map[string]int{"gateway": 8080, "vllm": 8000}[service]; want != port {
			t.Errorf("job %s asks port %d of %s, want %d", job, port, service, want)
		}
	}
	for _, c := range config.ScrapeConfigs {
		for _, d := range c.DNS {
			reaches(c.JobName, d.Names[0], d.Port)
			if _, err := time.ParseDuration(d.RefreshInterval); err != nil || d.Type != "A" {
				t.Errorf("job %s: %s, %v", c.JobName, d.Type, err)
			}
		}
		for _, s := range c.StaticConfigs {
			for _, target := range s.Targets {
				host, port, _ := strings.Cut(target, ":")
				if n, err := strconv.Atoi(port); err != nil {
					t.Errorf("job %s: %s has no port", c.JobName, target)
				} else if host != "127.0.0.1" {
					reaches(c.JobName, host, n)
				}
			}
		}
	}
	var targets []string
	for _, v := range project.Services["prometheus"].Volumes {
		targets = append(targets, v.Target)
	}
	for _, path := range config.RuleFiles {
		if !slices.Contains(targets, path) {
			t.Errorf("%s is not mounted", path)
		}
	}
}

func TestAlertsSayWhatToDo(t *testing.T) {
	var config prometheusFile
	read(t, "monitoring/prometheus.yml", &config)
	jobs := map[string]bool{}
	for _, c := range config.ScrapeConfigs {
		jobs[c.JobName] = true
	}
	var rules rulesFile
	read(t, "monitoring/rules.yml", &rules)
	job := regexp.MustCompile(`job="([^"]*)"`)
	for who, all := range queries(t) {
		for _, query := range all {
			for _, m := range job.FindAllStringSubmatch(query, -1) {
				if !jobs[m[1]] {
					t.Errorf("%s asks for job %s, which there is not", who, m[1])
				}
			}
		}
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if _, err := time.ParseDuration(r.For); err != nil || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("alert %s: for %s, labels %v, annotations %v", r.Alert, r.For, r.Labels, r.Annotations)
			}
		}
	}
}
