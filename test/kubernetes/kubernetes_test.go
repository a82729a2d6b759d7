// Package kubernetes_test checks the manifests in documents against the types of Kubernetes.
package kubernetes_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// manifests returns the manifests of a document: blocks of YAML that begin with an apiVersion.
func manifests(t *testing.T, document string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", document))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1) {
		if !strings.HasPrefix(string(block[1]), "apiVersion:") {
			continue
		}
		all = append(all, strings.Split(string(block[1]), "\n---\n")...)
	}
	return all
}

// decode decodes a manifest. Fields that its kind does not have are errors.
func decode(manifest string) (any, error) {
	var kind struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal([]byte(manifest), &kind); err != nil {
		return nil, err
	}
	var object any
	switch kind.APIVersion + " " + kind.Kind {
	case "apps/v1 Deployment":
		object = new(appsv1.Deployment)
	case "v1 Service":
		object = new(corev1.Service)
	case "networking.k8s.io/v1 Ingress":
		object = new(networkingv1.Ingress)
	case "networking.k8s.io/v1 NetworkPolicy":
		object = new(networkingv1.NetworkPolicy)
	default:
		return nil, fmt.Errorf("%s %s is not known to this test", kind.APIVersion, kind.Kind)
	}
	return object, yaml.UnmarshalStrict([]byte(manifest), object)
}

func TestManifests(t *testing.T) {
	t.Parallel()
	for document, number := range map[string]int{"kubernetes.md": 5, "deployment.md": 1} {
		all := manifests(t, document)
		if len(all) != number {
			t.Errorf("%s has %d manifests, want %d", document, len(all), number)
		}
		for _, m := range all {
			object, err := decode(m)
			if err != nil {
				t.Errorf("%s: %v in:\n%s", document, err, m)
				continue
			}
			if d, ok := object.(*appsv1.Deployment); ok {
				checkDeployment(t, d)
			}
		}
	}
}

// checkDeployment checks what the types do not: that a pod has the time to drain, and what refers
// to each other.
func checkDeployment(t *testing.T, d *appsv1.Deployment) {
	t.Helper()
	spec := d.Spec.Template.Spec
	c := spec.Containers[0]
	const drains = 30 // seconds of the context in the program
	stop := c.Lifecycle.PreStop.Sleep.Seconds
	if *spec.TerminationGracePeriodSeconds <= stop+drains && d.Spec.Strategy.RollingUpdate != nil {
		t.Errorf("the grace period of %d s is too short", *spec.TerminationGracePeriodSeconds)
	}
	for k, v := range d.Spec.Selector.MatchLabels {
		if d.Spec.Template.Labels[k] != v {
			t.Errorf("the selector %s=%s selects no pod", k, v)
		}
	}
	for _, p := range []*corev1.Probe{c.ReadinessProbe, c.LivenessProbe} {
		if p.HTTPGet != nil && p.HTTPGet.Port.Type == intstr.String && !hasPort(c, p.HTTPGet.Port.StrVal) {
			t.Errorf("there is no port %s", p.HTTPGet.Port.StrVal)
		}
	}
}

func hasPort(c corev1.Container, name string) bool {
	return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == name })
}

// TestManifestsBelongTogether: the parts of the way without sticky sessions find each other.
func TestManifestsBelongTogether(t *testing.T) {
	t.Parallel()
	var container corev1.Container
	var labels map[string]string
	for _, m := range manifests(t, "kubernetes.md") {
		object, err := decode(m)
		if err != nil {
			t.Fatal(err)
		}
		switch o := object.(type) {
		case *appsv1.Deployment:
			container, labels = o.Spec.Template.Spec.Containers[0], o.Spec.Template.Labels
		case *corev1.Service:
			for k, v := range o.Spec.Selector {
				if labels[k] != v {
					t.Errorf("the service selects %s=%s", k, v)
				}
			}
			for _, p := range o.Spec.Ports {
				if !hasPort(container, p.TargetPort.StrVal) || p.TargetPort.StrVal == "forward" {
					t.Errorf("the service has the port %s", p.TargetPort.StrVal)
				}
			}
		case *networkingv1.NetworkPolicy:
			for _, rule := range o.Spec.Ingress {
				for _, p := range rule.Ports {
					if !hasPort(container, p.Port.StrVal) || (p.Port.StrVal == "forward") != (len(rule.From) == 1) {
						t.Errorf("the policy has the port %s from %v", p.Port.StrVal, rule.From)
					}
				}
			}
		case *networkingv1.Ingress:
			if name := o.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name; name != "chat" {
				t.Errorf("the ingress leads to %s", name)
			}
		}
	}
	for _, name := range []string{"POD_IP", "FORWARD_SECRET", "REDIS_ADDR"} {
		if !slices.ContainsFunc(container.Env, func(e corev1.EnvVar) bool { return e.Name == name }) {
			t.Errorf("the container has no variable %s", name)
		}
	}
}

// TestMistakes shows that the check can fail.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]string{
		"a field that does not exist": "apiVersion: v1\nkind: Service\nspec: { selectors: { app: chat } }\n",
		"another type":                "apiVersion: apps/v1\nkind: Deployment\nspec: { replicas: three }\n",
		"a field twice":               "apiVersion: v1\nkind: Service\nspec: {}\nspec: {}\n",
		"another kind":                "apiVersion: v1\nkind: Sevrice\n",
		"no YAML":                     "apiVersion: v1\n\tkind: Service\n",
	} {
		if _, err := decode(m); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
