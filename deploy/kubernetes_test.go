package deploy

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestManifestsSelectWhatTheyMean(t *testing.T) {
	m := loadManifests(t)
	if len(m.deployments) != 2 || len(m.statefulSets) != 1 || len(m.services) != 3 || len(m.scalers) != 1 || len(m.budgets) != 2 || len(m.policies) != 5 {
		t.Errorf("%d Deployments, %d StatefulSets, %d Services, %d autoscalers, %d budgets, %d policies", len(m.deployments), len(m.statefulSets), len(m.services), len(m.scalers), len(m.budgets), len(m.policies))
	}
	one := func(what string, selector *metav1.LabelSelector) workload {
		t.Helper()
		chosen := m.chosen(t, selector)
		if len(chosen) != 1 {
			t.Fatalf("%s selects %d workloads, want one", what, len(chosen))
		}
		return chosen[0]
	}
	for _, w := range m.workloads() {
		if got := one(w.name, w.selector); got.name != w.name {
			t.Errorf("%s selects the pods of %s", w.name, got.name)
		}
		for _, c := range w.pod.Spec.TopologySpreadConstraints {
			if got := one(w.name+"'s spread", c.LabelSelector); got.name != w.name {
				t.Errorf("%s spreads %s", w.name, got.name)
			}
		}
	}
	for _, s := range m.services {
		w := one("Service "+s.Name, &metav1.LabelSelector{MatchLabels: s.Spec.Selector})
		for _, p := range s.Spec.Ports {
			if !hasPort(w, p.TargetPort) {
				t.Errorf("Service %s: port %s leads to %s, which %s has not", s.Name, p.Name, p.TargetPort.String(), w.name)
			}
		}
	}
	for _, b := range m.budgets {
		if got := one("PodDisruptionBudget "+b.Name, b.Spec.Selector); got.name != b.Name {
			t.Errorf("PodDisruptionBudget %s selects %s", b.Name, got.name)
		}
	}
	scaler := m.scalers[0].Spec
	if scaler.ScaleTargetRef.Kind != "Deployment" || scaler.ScaleTargetRef.Name != "graft" || *scaler.MinReplicas < 2 || scaler.MaxReplicas <= *scaler.MinReplicas {
		t.Errorf("the autoscaler scales %+v from %d to %d", scaler.ScaleTargetRef, *scaler.MinReplicas, scaler.MaxReplicas)
	}
	set := m.statefulSets[0]
	if *set.Spec.Replicas < 3 || !slices.ContainsFunc(m.services, func(s corev1.Service) bool {
		return s.Name == set.Spec.ServiceName && s.Spec.ClusterIP == corev1.ClusterIPNone && s.Spec.PublishNotReadyAddresses
	}) {
		t.Errorf("%d masters behind the Service %s: want 3 or more, and a headless one that tells all of them", *set.Spec.Replicas, set.Spec.ServiceName)
	}
}

func TestPoliciesLeadSomewhere(t *testing.T) {
	m := loadManifests(t)
	peers := func(name string, peers []networkingv1.NetworkPolicyPeer, self []workload) []workload {
		var all []workload
		for _, p := range peers {
			chosen := m.chosen(t, p.PodSelector)
			if len(chosen) == 0 {
				t.Errorf("NetworkPolicy %s: a peer selects nothing", name)
			}
			all = append(all, chosen...)
		}
		if self != nil {
			return self
		}
		return all
	}
	denied := map[string]bool{}
	for _, p := range m.policies {
		chosen := m.chosen(t, &p.Spec.PodSelector)
		if len(chosen) == 0 {
			t.Errorf("NetworkPolicy %s selects nothing", p.Name)
		}
		if len(p.Spec.Ingress)+len(p.Spec.Egress) == 0 && len(p.Spec.PolicyTypes) == 2 {
			for _, w := range chosen {
				denied[w.name] = true
			}
		}
		check := func(ports []networkingv1.NetworkPolicyPort, to []workload) {
			for _, port := range ports {
				for _, w := range to {
					if !hasPort(w, *port.Port) {
						t.Errorf("NetworkPolicy %s: %s has no port %s", p.Name, w.name, port.Port.String())
					}
				}
			}
		}
		for _, in := range p.Spec.Ingress {
			check(in.Ports, peers(p.Name, in.From, chosen))
		}
		for _, out := range p.Spec.Egress {
			check(out.Ports, peers(p.Name, out.To, nil))
		}
	}
	for _, w := range m.workloads() {
		if !denied[w.name] {
			t.Errorf("nothing denies %s what no policy allows", w.name)
		}
	}
}

// documented are the keys of the Secret that README.md tells how to make.
func documented(t *testing.T) map[string]bool {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "kubectl create secret generic graft ")
	if !ok {
		t.Fatal("README.md does not say how to make the Secret graft")
	}
	keys := map[string]bool{}
	command, _, _ := strings.Cut(rest, "\n\n")
	for _, word := range strings.Fields(command) {
		if literal, ok := strings.CutPrefix(word, "--from-literal="); ok {
			key, _, _ := strings.Cut(literal, "=")
			keys[key] = true
		}
	}
	return keys
}

func TestPodsFindWhatTheyReferTo(t *testing.T) {
	m := loadManifests(t)
	secret, used := documented(t), map[string]bool{}
	for _, w := range m.workloads() {
		spec := w.pod.Spec
		if account := spec.ServiceAccountName; account != "" && !slices.ContainsFunc(m.accounts, func(a corev1.ServiceAccount) bool { return a.Name == account }) {
			t.Errorf("%s: there is no ServiceAccount %s", w.name, account)
		}
		volumes := map[string]bool{}
		for _, claim := range w.claims {
			volumes[claim.Name] = true
		}
		for _, v := range spec.Volumes {
			volumes[v.Name] = true
			if v.ConfigMap != nil && m.configMaps[v.ConfigMap.Name] == nil {
				t.Errorf("%s: there is no ConfigMap %s", w.name, v.ConfigMap.Name)
			}
			if c := v.PersistentVolumeClaim; c != nil && !slices.ContainsFunc(m.claims, func(p corev1.PersistentVolumeClaim) bool { return p.Name == c.ClaimName }) {
				t.Errorf("%s: there is no claim %s", w.name, c.ClaimName)
			}
		}
		for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
			for _, mount := range c.VolumeMounts {
				if !volumes[mount.Name] {
					t.Errorf("%s: %s mounts a volume %s that there is not", w.name, c.Name, mount.Name)
				}
			}
			for _, e := range c.Env {
				if e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil {
					if _, is := secrets[e.Name]; is {
						t.Errorf("%s: %s is in the repository", w.name, e.Name)
					}
					continue
				}
				ref := e.ValueFrom.SecretKeyRef
				if used[ref.Key] = true; ref.Name != "graft" || !secret[ref.Key] {
					t.Errorf("%s: README.md does not make %s of the Secret %s", w.name, ref.Key, ref.Name)
				}
			}
		}
	}
	if !maps.Equal(used, secret) {
		t.Errorf("README.md makes the keys %v, and used are %v", secret, used)
	}
	for _, word := range m.statefulSets[0].Spec.Template.Spec.Containers[0].Command {
		if file, ok := strings.CutPrefix(word, "/etc/redis/"); ok && m.configMaps["graft-redis"][file] == "" {
			t.Errorf("redis runs %s, which is not in its ConfigMap", file)
		}
	}
	if m.configMaps["graft-config"]["graft.yaml"] == "" {
		t.Error("the gateway has no configuration")
	}
}

func TestPodsAreConfined(t *testing.T) {
	for _, w := range loadManifests(t).workloads() {
		spec := w.pod.Spec
		if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken || spec.EnableServiceLinks == nil || *spec.EnableServiceLinks {
			t.Errorf("%s is given a token or the addresses of others", w.name)
		}
		root := w.name == "vllm" // its image runs as root and compiles kernels into its home
		if s := spec.SecurityContext; s == nil || s.SeccompProfile == nil || !root && (s.RunAsNonRoot == nil || !*s.RunAsNonRoot || *s.RunAsUser == 0) {
			t.Errorf("%s: security context %+v", w.name, s)
		}
		for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
			s := c.SecurityContext
			if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") ||
				!root && (s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem) {
				t.Errorf("%s: %s has security context %+v", w.name, c.Name, s)
			}
			if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s: %s has no requests or no limit of memory", w.name, c.Name)
			}
			if c.Image != "graft:cpu" && !pinned(c.Image) {
				t.Errorf("%s: image %s is not pinned", w.name, c.Image)
			}
		}
		for _, c := range spec.Containers {
			for what, probe := range map[string]*corev1.Probe{"readiness": c.ReadinessProbe, "liveness": c.LivenessProbe, "startup": c.StartupProbe} {
				if probe == nil {
					t.Errorf("%s has no %s probe", w.name, what)
				} else if probe.HTTPGet != nil && !hasPort(w, probe.HTTPGet.Port) {
					t.Errorf("%s: the %s probe asks port %s, which there is not", w.name, what, probe.HTTPGet.Port.String())
				}
			}
		}
	}
}

func TestGatewayStartsAndStopsInItsTime(t *testing.T) {
	m := loadManifests(t)
	at := slices.IndexFunc(m.deployments, func(d appsv1.Deployment) bool { return d.Name == "graft" })
	deployment := m.deployments[at]
	pod := deployment.Spec.Template.Spec
	c := pod.Containers[0]
	if *deployment.Spec.Replicas < 2 {
		t.Errorf("%d replicas", *deployment.Spec.Replicas)
	}
	if c.ReadinessProbe.HTTPGet.Path != "/readyz" || c.LivenessProbe.HTTPGet.Path != "/healthz" {
		t.Errorf("probes ask %s and %s", c.ReadinessProbe.HTTPGet.Path, c.LivenessProbe.HTTPGet.Path)
	}
	const wait = 60 * 60 // seconds of the configuration's `wait`
	if got := c.StartupProbe.PeriodSeconds * c.StartupProbe.FailureThreshold; got <= wait || *deployment.Spec.ProgressDeadlineSeconds <= got {
		t.Errorf("the startup probe gives up after %d s and the rollout after %d s; the gateway may wait %d s for its base", got, *deployment.Spec.ProgressDeadlineSeconds, wait)
	}
	const grace = 30 + 5 // limits.grace, and what the server gives the last answers
	if stop := c.Lifecycle.PreStop.Sleep; stop == nil || *pod.TerminationGracePeriodSeconds <= grace+stop.Seconds {
		t.Errorf("the pod is killed %d s after it is told to stop", *pod.TerminationGracePeriodSeconds)
	}
}

func TestTheRedisClusterIsOfItsSize(t *testing.T) {
	set := loadManifests(t).statefulSets[0]
	env := map[string]string{}
	for _, e := range set.Spec.Template.Spec.Containers[0].Env {
		env[e.Name] = e.Value
	}
	var peers []string
	for i := range *set.Spec.Replicas {
		peers = append(peers, fmt.Sprintf("%s-%d.%s:6379", set.Name, i, set.Spec.ServiceName))
	}
	if got := strings.Fields(env["CLUSTER_PEERS"]); !slices.Equal(got, peers) || env["CLUSTER_MASTERS"] != fmt.Sprint(len(peers)) {
		t.Errorf("%s masters are told to meet %v, and there are %v", env["CLUSTER_MASTERS"], got, peers)
	}
}

// TestKustomizeBuilds asks kubectl, where there is one, whether it reads the same.
func TestKustomizeBuilds(t *testing.T) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("kubectl is not installed")
	}
	out, err := exec.CommandContext(t.Context(), kubectl, "kustomize", "kubernetes").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m := &manifests{configMaps: map[string]map[string]string{}}
	for _, document := range strings.Split(string(out), "\n---\n") {
		if !strings.Contains(document, "\nkind: ConfigMap\n") {
			m.decode(t, "kubectl kustomize", []byte(document))
		}
	}
	if got, want := len(m.workloads())+len(m.services)+len(m.policies), 3+3+5; got != want {
		t.Errorf("kubectl sees %d objects, want %d", got, want)
	}
	for _, d := range m.deployments {
		if d.Namespace != "graft" {
			t.Errorf("%s is in namespace %q", d.Name, d.Namespace)
		}
	}
}
