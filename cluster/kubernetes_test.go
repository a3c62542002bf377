package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/service"
)

// watchCluster runs a Kubernetes source on the test's namespace.
func watchCluster(t *testing.T, cfg *rest.Config, opts KubernetesOptions) (*Kubernetes, *recorder) {
	t.Helper()
	sink := newRecorder()
	opts.Sink, opts.Logger = sink, logger(t)
	k, err := NewKubernetes(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	background(t, k.Run)
	t.Cleanup(func() {
		if sink.overlaps > 0 {
			t.Errorf("%d calls of the Sink overlapped", sink.overlaps)
		}
	})
	return k, sink
}

func waitSync(t *testing.T, s Source) {
	t.Helper()
	select {
	case <-s.FirstSync():
	case <-time.After(soon):
		t.Fatalf("no first sync: %+v", s.Status())
	}
}

func TestKubernetesFollowsServices(t *testing.T) {
	a := newAPI(t)
	a.create("first")
	k, sink := watchCluster(t, a.cp.RESTConfig(), KubernetesOptions{Namespaces: []string{a.ns}})
	waitSync(t, k)
	if got := sink.names(); got != a.want("first") {
		t.Fatalf("first state: %s", got)
	}
	eventually(t, soon, "reachable", func() bool { return k.Status().Reachable })
	if s := k.Status(); !s.Synced || s.LastError != "" || !s.UnreachableSince.IsZero() {
		t.Errorf("status %+v", s)
	}

	svc := backend(a.ns, "second")
	svc.Labels = map[string]string{"app": "x"}
	svc.Annotations = map[string]string{"kubernaut.io/toolset": "true", "secret": "s", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
	start := time.Now()
	svc, err := a.CoreV1().Services(a.ns).Create(t.Context(), svc, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	created := time.Since(start)
	seen := sink.wantNames(t, soon, a.want("first", "second"))
	t.Logf("created in %v, seen %v after the answer", created, seen)
	got := sink.get(a.ns, "second")
	if len(got.Annotations) != 1 || got.Annotations["kubernaut.io/toolset"] != "true" || got.Labels["app"] != "x" ||
		got.ManagedFields != nil || got.Spec.ClusterIP == "" || got.Spec.Ports[0].Port != 9090 || got.UID != svc.UID {
		t.Errorf("not stripped as it should be: %+v", got)
	}
	if got := sink.get(a.ns, "first"); got.ManagedFields != nil || got.ResourceVersion == "" {
		t.Errorf("the listed one is not stripped as it should be: %+v", got)
	}

	svc.Labels["app"] = "y"
	if _, err := a.CoreV1().Services(a.ns).Update(t.Context(), svc, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, "the change", func() bool { return sink.get(a.ns, "second").Labels["app"] == "y" })
	a.delete("first")
	sink.wantNames(t, soon, a.want("second"))
}

func TestKubernetesAllNamespaces(t *testing.T) {
	a := newAPI(t)
	k, sink := watchCluster(t, a.cp.RESTConfig(), KubernetesOptions{})
	waitSync(t, k)
	if sink.get("default", "kubernetes") == nil {
		t.Errorf("state %s", sink.names())
	}
	a.create("x")
	eventually(t, soon, "x", func() bool { return sink.get(a.ns, "x") != nil })
	a.delete("x")
	eventually(t, soon, "no x", func() bool { return sink.get(a.ns, "x") == nil })
	k.fan.mu.Lock()
	defer k.fan.mu.Unlock()
	if k.fan.waiting != nil {
		t.Error("a copy of the first state is kept though nobody needs it")
	}
}

// What happens in one namespace while another has not been listed yet is in the
// first state, which is handed over once, and whole.
func TestFirstStateOfSeveralNamespaces(t *testing.T) {
	sink := newRecorder()
	f := newFanIn(sink, 2)
	svc := func(namespace, name string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	}
	list := func(namespace string, names ...string) service.Replacement {
		r := sink.Begin(namespace)
		for _, name := range names {
			r.Add([]*corev1.Service{svc(namespace, name)})
		}
		return r
	}
	f.replace(0, list("a", "goes", "stays"))
	f.delete(0, svc("a", "goes"))
	f.upsert(0, svc("a", "comes"))
	if got := sink.counts(); got != "0 replaces, 0 upserts, 0 deletes, 0 overlaps" || isClosed(f.first) {
		t.Errorf("half a state was handed over: %s", got)
	}
	f.replace(1, list("b", "x"))
	if got := sink.names(); got != "a/comes a/stays b/x" || sink.lists() != 1 || !isClosed(f.first) {
		t.Errorf("the first state is %q, handed over in %d pieces", got, sink.lists())
	}
	f.delete(0, svc("a", "comes"))
	f.replace(1, list("b", "y"))
	if got := sink.names(); got != "a/stays b/y" {
		t.Errorf("after the first state: %q", got)
	}
}

func TestKubernetesSeveralNamespaces(t *testing.T) {
	a := newAPI(t)
	b := &api{t: t, cp: a.cp, Interface: a.Interface, ns: a.namespace("")}
	other := &api{t: t, cp: a.cp, Interface: a.Interface, ns: a.namespace("")}
	a.create("x")
	b.create("y")
	other.create("z")
	k, sink := watchCluster(t, a.cp.RESTConfig(), KubernetesOptions{Namespaces: []string{a.ns, b.ns, a.ns}})
	waitSync(t, k)
	has := func(want int) func() bool {
		return func() bool { sink.mu.Lock(); defer sink.mu.Unlock(); return len(sink.state) == want }
	}
	if !has(2)() || sink.get(a.ns, "x") == nil || sink.get(b.ns, "y") == nil || sink.lists() != 1 {
		t.Fatalf("first state %s, %s", sink.names(), sink.counts())
	}
	a.create("x2")
	eventually(t, soon, "x2", has(3))
	b.delete("y")
	eventually(t, soon, "no y", has(2))
	if err := k.Relist(t.Context()); err != nil || !has(2)() {
		t.Errorf("after Relist: %v, %s", err, sink.names())
	}
	remains(t, 100*time.Millisecond, "nothing else", has(2))
}

// Pages, bursts, and a Relist in the middle of them.
func TestKubernetesBurst(t *testing.T) {
	a := newAPI(t)
	const n = 300
	var wg sync.WaitGroup
	k, sink := watchCluster(t, a.cp.RESTConfig(), KubernetesOptions{Namespaces: []string{a.ns}, PageSize: 7})
	waitSync(t, k)
	start := time.Now()
	for w := range 10 {
		wg.Go(func() {
			for i := w; i < n; i += 10 {
				// Headless: addresses would take time.
				svc := backend(a.ns, fmt.Sprint("s", i))
				svc.Spec.ClusterIP = "None"
				if _, err := a.CoreV1().Services(a.ns).Create(t.Context(), svc, metav1.CreateOptions{}); err != nil {
					t.Error(err)
				}
				if i%3 == 0 {
					if err := a.CoreV1().Services(a.ns).Delete(t.Context(), svc.Name, metav1.DeleteOptions{}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 10 {
		wg.Go(func() {
			time.Sleep(time.Duration(time.Now().UnixNano() % 200e6))
			if err := k.Relist(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	made := time.Since(start)
	size := func() int { sink.mu.Lock(); defer sink.mu.Unlock(); return len(sink.state) }
	took := eventually(t, soon, "all of them", func() bool { return size() == n-n/3 })
	t.Logf("%d created and %d deleted in %v; complete %v later; %s", n, n/3, made, took, sink.counts())
	remains(t, 200*time.Millisecond, "the state", func() bool { return size() == n-n/3 })
}

// Relist is fresh: what was there before the call is in the Sink after it.
func TestKubernetesRelist(t *testing.T) {
	a := newAPI(t)
	k, sink := watchCluster(t, a.cp.RESTConfig(), KubernetesOptions{Namespaces: []string{a.ns}})
	waitSync(t, k)
	for i := range 20 {
		name := fmt.Sprint("s", i)
		a.create(name)
		if err := k.Relist(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sink.get(a.ns, name) == nil {
			t.Fatalf("%s is unknown after Relist", name)
		}
		a.delete(name)
		if err := k.Relist(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sink.get(a.ns, name) != nil {
			t.Fatalf("%s is known though it was deleted before Relist", name)
		}
	}
	// The watch goes on after it.
	a.create("later")
	t.Logf("seen by the watch after %v", sink.wantNames(t, soon, a.want("later")))

	// The end of an outage makes for a list at once.
	lists := sink.lists()
	k.back(outage{began: time.Now()})
	eventually(t, soon, "a list", func() bool { return sink.lists() > lists })

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Relist(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	before := sink.lists()
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if err := k.Relist(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("200 calls at once made %d lists", sink.lists()-before)
	if n := sink.lists() - before; n > 50 {
		t.Errorf("%d lists: calls do not share the work", n)
	}
}

// A watch that misses events would be put right by the resync.
func TestKubernetesResync(t *testing.T) {
	a := newAPI(t)
	k, sink := watchCluster(t, a.cp.RESTConfig(), KubernetesOptions{Namespaces: []string{a.ns}, Resync: 300 * time.Millisecond})
	waitSync(t, k)
	sink.Upsert(backend(a.ns, "phantom"))
	sink.wantNames(t, soon, "")
}

func TestStripShrinks(t *testing.T) {
	svc := backend("n", "s")
	svc.UID = types.UID("u")
	svc.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "m"}}
	svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "1.2.3.4"}}
	svc.Annotations = map[string]string{"a": "b"}
	got := strip(svc)
	if got.ManagedFields != nil || got.Annotations != nil || got.Status.LoadBalancer.Ingress != nil || got.UID != "u" || got.Name != "s" {
		t.Errorf("%+v", got)
	}
}
