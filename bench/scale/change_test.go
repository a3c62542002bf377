package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/fake"

	"kubernaut.io/dynamic-toolset/bench/internal/fixtures"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/snapshot"
	"kubernaut.io/dynamic-toolset/service/workloads"
)

// Every change becomes visible where the run looks for it, and not before it is made.
func TestEveryChangeShows(t *testing.T) {
	t.Run("Services", func(t *testing.T) { everyChangeShows(t, &fixtures.Plan{Services: 200}, mixOf(false)) })
	t.Run("workloads, too", func(t *testing.T) { everyChangeShows(t, &fixtures.Plan{Services: 200, Workloads: true}, mixOf(true)) })
}

// mixOf returns how many of 20 changes are of each kind.
func mixOf(workloads bool) map[changeKind]int {
	of20 := map[changeKind]int{}
	for _, m := range mix {
		of20[m.kind] = m.of20
	}
	if workloads {
		of20[reimage] = of20[annotate] / 2
		of20[annotate] -= of20[reimage]
	}
	return of20
}

func everyChangeShows(t *testing.T, plan *fixtures.Plan, of20 map[changeKind]int) {
	client := fake.NewClientset()
	if _, err := plan.Fill(t.Context(), client, t.Logf); err != nil {
		t.Fatal(err)
	}
	seq, kinds, back := newChanges(plan, 7), map[changeKind]int{}, 0
	shown := func(c *change) (toolset, service string) { return render(t, client, c) }
	for range 500 {
		c := seq.take()
		kinds[c.kind]++
		if c.gone != (c.undoes != nil) || c.gone && (c.undoes.gone || c.undoes.shows != c.shows) {
			t.Fatalf("%+v takes back %+v", c, c.undoes)
		}
		if c.kind == reimage && c.gone {
			back++
		}
		toolset, services := shown(c)
		before := toolset
		if c.kind == relabel {
			before = services
		}
		if strings.Contains(before, c.shows) != c.gone {
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
		if strings.Contains(after, c.shows) == c.gone {
			t.Fatalf("after the change %q: %q in %s", c.kind, c.shows, after)
		}
	}
	for kind, n := range of20 {
		if kinds[kind] < 500*n/20/2 {
			t.Errorf("%d of 500 changes are %q", kinds[kind], kind)
		}
	}
	if len(kinds) != len(of20) {
		t.Errorf("changes %v, want these of 20: %v", kinds, of20)
	}
	if plan.Workloads && (back == 0 || back == kinds[reimage]) {
		t.Errorf("%d of %d images were taken back", back, kinds[reimage])
	}
	added, turned := seq.added, seq.turned
	seq.cleanUp(t.Context(), client)
	for _, k := range added {
		if _, err := client.CoreV1().Services(k.namespace).Get(context.Background(), k.name, metav1.GetOptions{}); err == nil {
			t.Errorf("%s/%s is still there", k.namespace, k.name)
		}
	}
	for _, r := range turned {
		svc := r.svc
		d, err := client.AppsV1().Deployments(svc.Namespace).Get(t.Context(), svc.Name, metav1.GetOptions{})
		if err != nil || d.Spec.Template.Spec.Containers[0].Image != fixtures.Image(svc) {
			t.Errorf("the pods of %s/%s still run another image: %v", svc.Namespace, svc.Name, err)
		}
	}
}

// A back end stays one, whichever port it is given.
func TestPortsLeaveBackEndsWhatTheyAre(t *testing.T) {
	if firstPort+ports > keptPort {
		t.Errorf("the ports reach keptPort, %d", keptPort)
	}
	for i := range 20 {
		svc := (&fixtures.Plan{Services: 200}).Toolset(i)
		for port := firstPort; port < firstPort+ports; port++ {
			svc.Spec.Ports[0].Port, svc.Spec.Ports[0].TargetPort = int32(port), intstr.FromInt(port)
			if b := detect.Default().Identify(svc, detect.Options{}).Backend; b == nil || !strings.HasSuffix(b.Endpoint, fmt.Sprintf(":%d", port)) {
				t.Errorf("%s with port %d: %+v", svc.Name, port, b)
			}
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
	index := &workloads.Index{}
	catalogue := catalogue.New(func(svc *corev1.Service) *service.Backend {
		return detect.Default().Identify(svc, detect.Options{Workloads: index}).Backend
	}, nil)
	follower := index.Follow(catalogue)
	follower.Replace([]*corev1.Service{svc})
	if d, err := client.AppsV1().Deployments(c.namespace).Get(t.Context(), c.name, metav1.GetOptions{}); err == nil {
		w := &service.Workload{Kind: "Deployment", Key: service.Key{Namespace: d.Namespace, Name: d.Name}, Labels: d.Spec.Template.Labels}
		for _, from := range d.Spec.Template.Spec.Containers {
			to := service.Container{Image: from.Image}
			for _, p := range from.Ports {
				to.Ports = append(to.Ports, service.ContainerPort{Name: p.Name, Number: p.ContainerPort})
			}
			w.Containers = append(w.Containers, to)
		}
		follower.SetWorkload(w)
	}
	catalogue.Build()
	snap := catalogue.Snapshot()
	return string(snap.Toolsets().AppendJSON(nil, &snapshot.Filter{})), string(snap.Services().AppendJSON(nil, &snapshot.Filter{}))
}
