package main

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"kubernaut.io/dynamic-toolset/bench/internal/fixtures"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// Every change becomes visible where the run looks for it, and not before it is made.
func TestEveryChangeShows(t *testing.T) {
	plan := &fixtures.Plan{Services: 400}
	client := fake.NewClientset()
	for i := range plan.Services {
		svc := plan.Service(i)
		if _, err := client.CoreV1().Services(svc.Namespace).Create(t.Context(), svc, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	seq, kinds := newChanges(plan, 7), map[changeKind]int{}
	shown := func(c *change) (toolset, service string) { return render(t, client, c) }
	for range 500 {
		c := seq.take()
		kinds[c.kind]++
		toolset, services := shown(c)
		before := toolset
		if c.kind == relabel {
			before = services
		}
		if strings.Contains(before, c.shows) != (c.kind == remove) {
			t.Fatalf("before the change %q: %q in %s", c.kind, c.shows, before)
		}
		if _, err := c.do(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		toolset, services = shown(c)
		after := toolset
		if c.kind == relabel {
			after = services
		}
		if strings.Contains(after, c.shows) == (c.kind == remove) {
			t.Fatalf("after the change %q: %q in %s", c.kind, c.shows, after)
		}
	}
	for _, m := range mix {
		if kinds[m.kind] < 500*m.of20/20/2 {
			t.Errorf("%d of 500 changes are %q", kinds[m.kind], m.kind)
		}
	}
	added := seq.added
	seq.cleanUp(t.Context(), client)
	for _, k := range added {
		if _, err := client.CoreV1().Services(k.Namespace).Get(context.Background(), k.Name, metav1.GetOptions{}); err == nil {
			t.Errorf("%s is still there", k)
		}
	}
}

// render returns the JSON of the toolset and of the Service that the change is about, or "".
func render(t *testing.T, client *fake.Clientset, c *change) (toolset, services string) {
	t.Helper()
	svc, err := client.CoreV1().Services(c.namespace).Get(t.Context(), c.name, metav1.GetOptions{})
	if err != nil {
		return "", ""
	}
	catalogue := catalogue.New(identify, nil)
	catalogue.Replace([]*corev1.Service{svc})
	catalogue.Build()
	snap := catalogue.Snapshot()
	return string(snap.Toolsets().AppendJSON(nil, &snapshot.Filter{})), string(snap.Services().AppendJSON(nil, &snapshot.Filter{}))
}

func identify(svc *corev1.Service) *service.Backend {
	return detect.Default().Identify(svc, detect.Options{}).Backend
}
