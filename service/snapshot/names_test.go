package snapshot

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
)

func TestNamesAreUniqueAndStable(t *testing.T) {
	named := func(ns, svc, name string) *corev1.Service {
		s := servicetest.Service(ns, svc, "loki")
		s.Annotations = map[string]string{"name": name}
		return s
	}
	c := newState()
	c.Replace([]*corev1.Service{
		named("a", "b1", "metrics"), named("a", "b2", "metrics"), named("a", "metrics", "metrics"),
		named("a", "metrics-b1", "metrics-b1"), named("b", "b1", "metrics"),
	})
	names := func() string {
		c.Build()
		var of []string
		for _, p := range c.services.list.chunks[0].parts {
			of = append(of, p.of.name)
		}
		return strings.Join(of, " ")
	}
	if got, want := names(), "metrics-b1-2 metrics-b2 metrics metrics-b1 metrics"; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	c.Delete("a", "metrics")
	if got, want := names(), "metrics metrics-b2 metrics-b1 metrics"; got != want {
		t.Errorf("with one gone: got %v, want %v", got, want)
	}
	c.Upsert(servicetest.Service("a", "metrics", "loki"))
	if got, want := names(), "metrics-b1-2 metrics-b2 metrics metrics-b1 metrics"; got != want {
		t.Errorf("with one back: got %v, want %v", got, want)
	}
}
