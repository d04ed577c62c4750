package deploy

import (
	"context"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const root = ".."

// secrets are what env.sh writes, with values that nothing else has.
var secrets = map[string]string{
	"REDIS_PASSWORD": "a-password", "GRAFT_CACHE_SECRET": "a-secret", "GRAFT_API_KEYS": "a-key", "VLLM_API_KEY": "another-key", "HF_TOKEN": "a-token",
}

// composed loads the files as docker compose does, in the order given, with the
// schema's and the consistency checks on.
func composed(t *testing.T, env map[string]string, profiles []string, files ...string) *types.Project {
	t.Helper()
	var list []string
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	for i, file := range files {
		files[i] = filepath.Join(root, file)
	}
	options, err := cli.NewProjectOptions(files, cli.WithWorkingDirectory(root), cli.WithEnv(list),
		cli.WithProfiles(profiles), cli.WithConsistency(true), cli.WithNormalization(true), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatalf("profiles %v: %v", profiles, err)
	}
	return project
}

func everything(t *testing.T) *types.Project {
	return composed(t, secrets, []string{"*"}, "docker-compose.yml")
}

func TestComposeLoadsWithEveryProfile(t *testing.T) {
	always := []string{"gateway", "redis"}
	for _, c := range []struct {
		profiles []string
		services []string
	}{
		{nil, nil},
		{[]string{"gpu"}, []string{"vllm"}},
		{[]string{"monitoring"}, []string{"grafana", "prometheus"}},
		{[]string{"gpu", "monitoring"}, []string{"grafana", "prometheus", "vllm"}},
		{[]string{"pull"}, []string{"pull"}},
		{[]string{"*"}, []string{"grafana", "prometheus", "pull", "vllm"}},
	} {
		for _, files := range [][]string{{"docker-compose.yml"}, {"docker-compose.yml", "deploy/compose/cuda.yml"}} {
			for _, env := range []map[string]string{nil, secrets} {
				project := composed(t, env, c.profiles, slices.Clone(files)...)
				got := slices.Sorted(maps.Keys(project.Services))
				want := slices.Sorted(slices.Values(slices.Concat(always, c.services)))
				if !slices.Equal(got, want) {
					t.Errorf("profiles %v of %v start %v, want %v", c.profiles, files, got, want)
				}
			}
		}
	}
}

func TestComposeRefusesUnknownKeys(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	broken := strings.Replace(string(data), "    stop_grace_period:", "    stop_grace_perod:", 1)
	file := filepath.Join(dir, "docker-compose.yml")
	if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := cli.NewProjectOptions([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := options.LoadProject(t.Context()); err == nil || !strings.Contains(err.Error(), "stop_grace_perod") {
		t.Errorf("a misspelt key gives %v", err)
	}
}

func TestComposeNeedsNoSecretsAndHoldsNone(t *testing.T) {
	bare := composed(t, nil, []string{"*"}, "docker-compose.yml")
	for name, service := range bare.Services {
		for variable, value := range service.Environment {
			if _, secret := secrets[variable]; secret && value != nil && *value != "" {
				t.Errorf("%s has a default for %s in the repository", name, variable)
			}
		}
	}
	if got := bare.Services["gateway"].Command; !slices.Contains(got, "/etc/graft/demo.yaml") {
		t.Errorf("without settings the gateway serves %v, want the embedded family", got)
	}
	for name, variables := range map[string][]string{
		"gateway": {"REDIS_PASSWORD", "GRAFT_CACHE_SECRET", "GRAFT_API_KEYS", "VLLM_API_KEY"},
		"redis":   {"REDIS_PASSWORD"},
		"vllm":    {"VLLM_API_KEY", "HF_TOKEN"},
		"pull":    {"HF_TOKEN"},
	} {
		got := map[string]string{}
		for variable, value := range everything(t).Services[name].Environment {
			if _, secret := secrets[variable]; secret && value != nil {
				got[variable] = *value
			}
		}
		if len(got) != len(variables) {
			t.Errorf("%s is told %v, want %v and no more", name, got, variables)
		}
		for _, variable := range variables {
			if got[variable] != secrets[variable] {
				t.Errorf("%s: %s does not reach it", name, variable)
			}
		}
	}
}

func TestComposeMountsWhatIsThere(t *testing.T) {
	project := everything(t)
	for name, service := range project.Services {
		for _, volume := range service.Volumes {
			if volume.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(volume.Source); err != nil {
				t.Errorf("%s mounts %s: %v", name, volume.Source, err)
			}
			if !volume.ReadOnly {
				t.Errorf("%s may write to %s of the repository", name, volume.Source)
			}
		}
		if build := service.Build; build != nil {
			if _, err := os.Stat(filepath.Join(build.Context, build.Dockerfile)); err != nil {
				t.Errorf("%s is built from %s: %v", name, build.Dockerfile, err)
			}
		}
	}
	for _, config := range []string{"demo.yaml", "llama.yaml"} {
		if _, err := os.Stat(filepath.Join("config", config)); err != nil {
			t.Error(err)
		}
	}
}

func TestComposePublishesOnLoopbackAlone(t *testing.T) {
	published := map[string]bool{}
	for name, service := range everything(t).Services {
		if service.NetworkMode != "" {
			t.Errorf("%s leaves the project's networks: network_mode %s", name, service.NetworkMode)
		}
		for _, port := range service.Ports {
			published[name] = true
			if ip := net.ParseIP(port.HostIP); ip == nil || !ip.IsLoopback() {
				t.Errorf("%s publishes port %s on %q", name, port.Published, port.HostIP)
			}
		}
	}
	if want := map[string]bool{"gateway": true, "grafana": true}; !maps.Equal(published, want) {
		t.Errorf("ports of %v are published, want the gateway's and Grafana's", published)
	}
}

// pinned says whether an image has a tag that names a version.
func pinned(image string) bool {
	name := image[strings.LastIndex(image, "/")+1:]
	_, tag, _ := strings.Cut(name, ":")
	return strings.ContainsAny(tag, "0123456789") && tag != "latest" || strings.Contains(name, "@sha256:")
}

func TestComposeImagesArePinned(t *testing.T) {
	for name, service := range everything(t).Services {
		if service.Build != nil {
			if service.PullPolicy != types.PullPolicyBuild {
				t.Errorf("%s: an image that is built here must not be looked for elsewhere: pull_policy %q", name, service.PullPolicy)
			}
		} else if !pinned(service.Image) {
			t.Errorf("%s: image %s is not pinned", name, service.Image)
		}
	}
	for image, want := range map[string]bool{"redis": false, "redis:latest": false, "a:5000/redis": false, "redis:8.6.7": true, "a:5000/redis:8": true} {
		if pinned(image) != want {
			t.Errorf("pinned(%q) is %v", image, !want)
		}
	}
}

func TestComposeServicesAreConfined(t *testing.T) {
	project := everything(t)
	for name, service := range project.Services {
		if !slices.Contains(service.CapDrop, "ALL") || len(service.CapAdd) > 0 || service.Privileged {
			t.Errorf("%s keeps capabilities", name)
		}
		if !slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may gain privileges", name)
		}
		if name != "pull" {
			if service.Restart != "unless-stopped" {
				t.Errorf("%s: restart is %q", name, service.Restart)
			}
			// The gateway's images bring theirs.
			if name != "gateway" && (service.HealthCheck == nil || service.HealthCheck.Disable) {
				t.Errorf("%s has no health check", name)
			}
		}
		if name == "vllm" { // its image runs as root and compiles kernels into its home
			continue
		}
		if !service.ReadOnly {
			t.Errorf("%s may write to its image", name)
		}
		if user, _, _ := strings.Cut(service.User, ":"); user == "" || user == "0" {
			t.Errorf("%s runs as user %q", name, service.User)
		}
		if name != "pull" && (service.Deploy == nil || service.Deploy.Resources.Limits == nil || service.Deploy.Resources.Limits.MemoryBytes == 0) {
			t.Errorf("%s has no limit of memory", name)
		}
	}
	for _, network := range []string{"cache", "models", "metrics"} {
		if !project.Networks[network].Internal {
			t.Errorf("network %s has a way out", network)
		}
	}
}

func TestComposeWaitsForLastAnswers(t *testing.T) {
	// limits.grace of the configurations, and the 5 s that the server gives the rest.
	const grace = 35 * time.Second
	if got := everything(t).Services["gateway"].StopGracePeriod; got == nil || time.Duration(*got) <= grace {
		t.Errorf("the gateway is killed after %v, and may need %v", got, grace)
	}
}

func TestComposeCUDAHasAGPU(t *testing.T) {
	project := composed(t, nil, nil, "docker-compose.yml", "deploy/compose/cuda.yml")
	gateway := project.Services["gateway"]
	if gateway.Build.Dockerfile != "deploy/docker/Dockerfile.cuda" || gateway.Image != "graft:cuda" {
		t.Errorf("the gateway is built from %s as %s", gateway.Build.Dockerfile, gateway.Image)
	}
	reserved := gateway.Deploy.Resources.Reservations
	if reserved == nil || len(reserved.Devices) != 1 || reserved.Devices[0].Driver != "nvidia" {
		t.Errorf("reserved is %+v", reserved)
	}
	if gateway.Deploy.Resources.Limits == nil {
		t.Error("the limits are lost")
	}
}
