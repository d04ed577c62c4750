package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// manifests are the objects by kind; configMaps have their files as keys.
type manifests struct {
	deployments  []appsv1.Deployment
	statefulSets []appsv1.StatefulSet
	services     []corev1.Service
	scalers      []autoscalingv2.HorizontalPodAutoscaler
	budgets      []policyv1.PodDisruptionBudget
	policies     []networkingv1.NetworkPolicy
	claims       []corev1.PersistentVolumeClaim
	accounts     []corev1.ServiceAccount
	namespaces   []corev1.Namespace
	configMaps   map[string]map[string]string
}

// kustomization is what ours use of one.
type kustomization struct {
	metav1.TypeMeta `json:",inline"`
	Namespace       string   `json:"namespace"`
	Resources       []string `json:"resources"`
	Images          []struct {
		Name, NewName, NewTag string
	} `json:"images"`
	ConfigMapGenerator []struct {
		Name      string   `json:"name"`
		Namespace string   `json:"namespace"`
		Files     []string `json:"files"`
	} `json:"configMapGenerator"`
}

func strictly(t *testing.T, name string, data []byte, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict(data, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func keep[T any](t *testing.T, name string, data []byte, into *[]T) {
	t.Helper()
	var object T
	strictly(t, name, data, &object)
	*into = append(*into, object)
}

// load reads a folder's kustomization with all that it names.
func (m *manifests) load(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "kustomization.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var k kustomization
	strictly(t, path, data, &k)
	for _, generated := range k.ConfigMapGenerator {
		files := map[string]string{}
		for _, name := range generated.Files {
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			files[name] = string(content)
		}
		m.configMaps[generated.Name] = files
	}
	for _, resource := range k.Resources {
		resource = filepath.Join(dir, resource)
		if info, err := os.Stat(resource); err == nil && info.IsDir() {
			m.load(t, resource)
			continue
		}
		data, err := os.ReadFile(resource)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range strings.Split(string(data), "\n---\n") {
			m.decode(t, resource, []byte(document))
		}
	}
}

func (m *manifests) decode(t *testing.T, name string, data []byte) {
	t.Helper()
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(data, &kind); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	switch kind.APIVersion + " " + kind.Kind {
	case "apps/v1 Deployment":
		keep(t, name, data, &m.deployments)
	case "apps/v1 StatefulSet":
		keep(t, name, data, &m.statefulSets)
	case "v1 Service":
		keep(t, name, data, &m.services)
	case "autoscaling/v2 HorizontalPodAutoscaler":
		keep(t, name, data, &m.scalers)
	case "policy/v1 PodDisruptionBudget":
		keep(t, name, data, &m.budgets)
	case "networking.k8s.io/v1 NetworkPolicy":
		keep(t, name, data, &m.policies)
	case "v1 PersistentVolumeClaim":
		keep(t, name, data, &m.claims)
	case "v1 ServiceAccount":
		keep(t, name, data, &m.accounts)
	case "v1 Namespace":
		keep(t, name, data, &m.namespaces)
	default:
		t.Fatalf("%s: %s %s is a kind that this test does not know", name, kind.APIVersion, kind.Kind)
	}
}

func loadManifests(t *testing.T) *manifests {
	t.Helper()
	m := &manifests{configMaps: map[string]map[string]string{}}
	m.load(t, "kubernetes")
	return m
}

// workload is what Deployments and StatefulSets have in common.
type workload struct {
	name     string
	replicas int32
	selector *metav1.LabelSelector
	pod      corev1.PodTemplateSpec
	claims   []corev1.PersistentVolumeClaim
}

func (m *manifests) workloads() []workload {
	var all []workload
	for _, d := range m.deployments {
		all = append(all, workload{d.Name, *d.Spec.Replicas, d.Spec.Selector, d.Spec.Template, nil})
	}
	for _, s := range m.statefulSets {
		all = append(all, workload{s.Name, *s.Spec.Replicas, s.Spec.Selector, s.Spec.Template, s.Spec.VolumeClaimTemplates})
	}
	return all
}

// chosen are the workloads whose pods a selector means.
func (m *manifests) chosen(t *testing.T, selector *metav1.LabelSelector) []workload {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(m.workloads(), func(w workload) bool { return !s.Matches(labels.Set(w.pod.Labels)) })
}

// hasPort says whether a pod listens on a port, by name or number.
func hasPort(w workload, port intstr.IntOrString) bool {
	for _, c := range w.pod.Spec.Containers {
		for _, p := range c.Ports {
			if port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal {
				return true
			}
		}
	}
	return false
}
