package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/internal/testenv/apiserver"
	"kubernaut.io/dynamic-toolset/service"
)

// watchCluster runs a Kubernetes source on the test's namespace.
func watchCluster(t *testing.T, cfg *rest.Config, opts Options) (*Source, *clustertest.Sink) {
	t.Helper()
	sink := clustertest.NewSink()
	opts.Sink, opts.Logger = sink, clustertest.Logger(t)
	k, err := New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	clustertest.Background(t, k.Run)
	t.Cleanup(func() {
		if sink.Overlaps() > 0 {
			t.Errorf("%d calls of the cluster.Sink overlapped", sink.Overlaps())
		}
	})
	return k, sink
}

func waitSync(t *testing.T, s *Source) {
	t.Helper()
	select {
	case <-s.FirstSync():
	case <-time.After(soon):
		t.Fatalf("no first sync: %+v", s.Status())
	}
}

func TestKubernetesFollowsServices(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.Create("first")
	k, sink := watchCluster(t, a.CP.RESTConfig(), Options{Namespaces: []string{a.NS}})
	waitSync(t, k)
	if got := sink.Names(); got != a.Names("first") {
		t.Fatalf("first state: %s", got)
	}
	testenv.Eventually(t, soon, "reachable", func() bool { return k.Status().Reachable })
	if s := k.Status(); !s.Synced || s.LastError != "" || !s.UnreachableSince.IsZero() {
		t.Errorf("status %+v", s)
	}

	svc := apiserver.Backend(a.NS, "second")
	svc.Labels = map[string]string{"app": "x"}
	svc.Annotations = map[string]string{"kubernaut.io/toolset": "true", "secret": "s", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
	start := time.Now()
	svc, err := a.CoreV1().Services(a.NS).Create(t.Context(), svc, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	created := time.Since(start)
	seen := sink.WantNames(t, soon, a.Names("first", "second"))
	t.Logf("created in %v, seen %v after the answer", created, seen)
	got := sink.Get(a.NS, "second")
	if len(got.Annotations) != 1 || got.Annotations["kubernaut.io/toolset"] != "true" || got.Labels["app"] != "x" ||
		got.ManagedFields != nil || got.Spec.ClusterIP == "" || got.Spec.Ports[0].Port != 9090 || got.UID != svc.UID {
		t.Errorf("not stripped as it should be: %+v", got)
	}
	if got := sink.Get(a.NS, "first"); got.ManagedFields != nil || got.ResourceVersion == "" {
		t.Errorf("the listed one is not stripped as it should be: %+v", got)
	}

	svc.Labels["app"] = "y"
	if _, err := a.CoreV1().Services(a.NS).Update(t.Context(), svc, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, soon, "the change", func() bool { return sink.Get(a.NS, "second").Labels["app"] == "y" })
	a.Delete("first")
	sink.WantNames(t, soon, a.Names("second"))
}

func TestKubernetesAllNamespaces(t *testing.T) {
	t.Parallel()
	a, b := newAPI(t), newAPI(t)
	a.Create("there")
	b.Create("there")
	k, sink := watchCluster(t, a.CP.RESTConfig(), Options{})
	waitSync(t, k)
	if sink.Get(a.NS, "there") == nil || sink.Get(b.NS, "there") == nil {
		t.Errorf("state %s", sink.Names())
	}
	a.Create("x")
	testenv.Eventually(t, soon, "x", func() bool { return sink.Get(a.NS, "x") != nil })
	a.Delete("x")
	testenv.Eventually(t, soon, "no x", func() bool { return sink.Get(a.NS, "x") == nil })
	k.fan.mu.Lock()
	defer k.fan.mu.Unlock()
	if k.fan.waiting != nil {
		t.Error("a copy of the first state is kept though nobody needs it")
	}
}

// What happens in one namespace before another one has been listed is part of the first
// state, which is passed on once and complete.
func TestFirstStateOfSeveralNamespaces(t *testing.T) {
	sink := clustertest.NewSink()
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
	if got := sink.Counts(); got != "0 replaces, 0 upserts, 0 deletes, 0 overlaps" || clustertest.IsClosed(f.first) {
		t.Errorf("half a state was handed over: %s", got)
	}
	f.replace(1, list("b", "x"))
	if got := sink.Names(); got != "a/comes a/stays b/x" || sink.Lists() != 1 || !clustertest.IsClosed(f.first) {
		t.Errorf("the first state is %q, handed over in %d pieces", got, sink.Lists())
	}
	f.delete(0, svc("a", "comes"))
	f.replace(1, list("b", "y"))
	if got := sink.Names(); got != "a/stays b/y" {
		t.Errorf("after the first state: %q", got)
	}
}

func TestKubernetesSeveralNamespaces(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	b := &api{&apiserver.API{T: t, CP: a.CP, Interface: a.Interface, NS: a.Namespace("")}}
	other := &api{&apiserver.API{T: t, CP: a.CP, Interface: a.Interface, NS: a.Namespace("")}}
	a.Create("x")
	b.Create("y")
	other.Create("z")
	k, sink := watchCluster(t, a.CP.RESTConfig(), Options{Namespaces: []string{a.NS, b.NS, a.NS}})
	waitSync(t, k)
	has := func(want int) func() bool {
		return func() bool { return sink.Len() == want }
	}
	if !has(2)() || sink.Get(a.NS, "x") == nil || sink.Get(b.NS, "y") == nil || sink.Lists() != 1 {
		t.Fatalf("first state %s, %s", sink.Names(), sink.Counts())
	}
	a.Create("x2")
	testenv.Eventually(t, soon, "x2", has(3))
	b.Delete("y")
	testenv.Eventually(t, soon, "no y", has(2))
	if err := k.Relist(t.Context()); err != nil || !has(2)() {
		t.Errorf("after Relist: %v, %s", err, sink.Names())
	}
	clustertest.Remains(t, 100*time.Millisecond, "nothing else", has(2))
}

// Several pages, bursts of changes, and a Relist in the middle of them.
func TestKubernetesBurst(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	const n = 300
	var wg sync.WaitGroup
	k, sink := watchCluster(t, a.CP.RESTConfig(), Options{Namespaces: []string{a.NS}, PageSize: 7})
	waitSync(t, k)
	start := time.Now()
	for w := range 10 {
		wg.Go(func() {
			for i := w; i < n; i += 10 {
				// Headless, since allocating addresses would take time.
				svc := apiserver.Backend(a.NS, fmt.Sprint("s", i))
				svc.Spec.ClusterIP = "None"
				if _, err := a.CoreV1().Services(a.NS).Create(t.Context(), svc, metav1.CreateOptions{}); err != nil {
					t.Error(err)
				}
				if i%3 == 0 {
					if err := a.CoreV1().Services(a.NS).Delete(t.Context(), svc.Name, metav1.DeleteOptions{}); err != nil {
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
	size := sink.Len
	took := testenv.Eventually(t, soon, "all of them", func() bool { return size() == n-n/3 })
	t.Logf("%d created and %d deleted in %v; complete %v later; %s", n, n/3, made, took, sink.Counts())
	clustertest.Remains(t, 200*time.Millisecond, "the state", func() bool { return size() == n-n/3 })
}

// A Relist is complete: what existed before the call is in the Sink after it.
func TestKubernetesRelist(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	k, sink := watchCluster(t, a.CP.RESTConfig(), Options{Namespaces: []string{a.NS}})
	waitSync(t, k)
	for i := range 20 {
		name := fmt.Sprint("s", i)
		a.Create(name)
		if err := k.Relist(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sink.Get(a.NS, name) == nil {
			t.Fatalf("%s is unknown after Relist", name)
		}
		a.Delete(name)
		if err := k.Relist(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sink.Get(a.NS, name) != nil {
			t.Fatalf("%s is known though it was deleted before Relist", name)
		}
	}
	// The watch goes on after it.
	a.Create("later")
	t.Logf("seen by the watch after %v", sink.WantNames(t, soon, a.Names("later")))

	// The end of an outage causes a list at once.
	lists := sink.Lists()
	k.back(outage{began: time.Now()})
	testenv.Eventually(t, soon, "a list", func() bool { return sink.Lists() > lists })

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.Relist(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	before := sink.Lists()
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if err := k.Relist(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("200 calls at once made %d lists", sink.Lists()-before)
	if n := sink.Lists() - before; n > 50 {
		t.Errorf("%d lists: calls do not share the work", n)
	}
}

// The resync corrects a watch that has missed events.
func TestKubernetesResync(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	k, sink := watchCluster(t, a.CP.RESTConfig(), Options{Namespaces: []string{a.NS}, Resync: 300 * time.Millisecond})
	waitSync(t, k)
	sink.Upsert(apiserver.Backend(a.NS, "phantom"))
	sink.WantNames(t, soon, "")
}

func TestConnectToRealServer(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	cfg, err := cluster.Connect(a.CP.Kubeconfig(), "", "1")
	if err != nil {
		t.Fatal(err)
	}
	k, err := New(cfg, Options{Sink: clustertest.NewSink()})
	if err != nil {
		t.Fatal(err)
	}
	defer k.conns.CloseAll()
	if err := k.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if _, ok := k.Client().(*kubernetes.Clientset); !ok {
		t.Errorf("%T", k.Client())
	}
}
