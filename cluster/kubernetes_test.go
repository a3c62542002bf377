package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
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
	case <-time.After(10 * time.Second):
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

	svc := service(a.ns, "second")
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
	if len(k.fan.parts[0]) != 0 {
		t.Error("a copy of the Services is kept though nobody needs it")
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
				svc := service(a.ns, fmt.Sprint("s", i))
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
	k.back(true)
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
	sink.Upsert(service(a.ns, "phantom"))
	sink.wantNames(t, soon, "")
}

func TestKubernetesOutage(t *testing.T) {
	a := newAPI(t)
	a.create("stays", "goes")
	k, sink := watchCluster(t, a.cp.RESTConfig(), KubernetesOptions{Namespaces: []string{a.ns}, CheckInterval: time.Hour}) // a broken watch is enough
	waitSync(t, k)
	eventually(t, soon, "reachable", func() bool { return k.Status().Reachable })
	for round := range 2 {
		if err := a.cp.StopAPIServer(); err != nil {
			t.Fatal(err)
		}
		stopped := time.Now()
		took := eventually(t, 6*time.Second, "unreachable", func() bool { return !k.Status().Reachable })
		t.Logf("round %d: the outage is noticed after %v", round, took)
		s := k.Status()
		if !s.Synced || !strings.Contains(s.LastError, "nothing listens") || s.UnreachableSince.Before(stopped) {
			t.Errorf("status %+v", s)
		}
		if err := k.Relist(t.Context()); !errors.Is(err, ErrUnreachable) {
			t.Errorf("Relist: %v", err)
		}
		time.Sleep(4 * time.Second) // back-off grows
		if got := sink.names(); got != a.want("goes", "stays") {
			t.Errorf("the state was not kept: %s", got)
		}
		// Something is deleted that we cannot see: as soon as the server is
		// there, and perhaps before we are.
		if err := a.cp.StartAPIServer(t.Context()); err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		a.delete("goes")
		sink.wantNames(t, 5*time.Second, a.want("stays"))
		t.Logf("round %d: the deletion is known %v after the server is ready", round, time.Since(started))
		eventually(t, 3*time.Second, "reachable", func() bool { s := k.Status(); return s.Reachable && s.LastError == "" })
		t.Logf("round %d: reachable %v after the server is ready", round, time.Since(started))
		a.create("goes") // the watch works again
		sink.wantNames(t, soon, a.want("goes", "stays"))
	}
}

// Packets vanish; no connection breaks. Meanwhile a Service is deleted.
func TestKubernetesSilentOutage(t *testing.T) {
	a := newAPI(t)
	a.create("stays", "goes")
	var network freezer
	cfg := a.cp.RESTConfig()
	cfg.Dial = network.dial
	k, sink := watchCluster(t, cfg, KubernetesOptions{Namespaces: []string{a.ns}})
	waitSync(t, k)
	eventually(t, soon, "reachable", func() bool { return k.Status().Reachable })
	time.Sleep(100 * time.Millisecond)
	network.set(true)
	took := eventually(t, 8*time.Second, "unreachable", func() bool { return !k.Status().Reachable })
	t.Logf("the outage is noticed after %v: %s", took, k.Status().LastError)
	if took > 6500*time.Millisecond {
		t.Error("too late")
	}
	a.delete("goes")
	remains(t, 2*time.Second, "the state", func() bool { return sink.names() == a.want("goes", "stays") })
	network.set(false)
	t.Logf("the deletion is known %v after the network is back", sink.wantNames(t, 5*time.Second, a.want("stays")))
	eventually(t, soon, "reachable", func() bool { return k.Status().Reachable })
	a.create("goes")
	sink.wantNames(t, soon, a.want("goes", "stays"))
}

func TestKubernetesStartsBeforeTheServer(t *testing.T) {
	a := newAPI(t)
	a.create("x")
	if err := a.cp.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	k, sink := watchCluster(t, a.cp.RESTConfig(), KubernetesOptions{Namespaces: []string{a.ns}})
	eventually(t, soon, "an error", func() bool { return k.Status().LastError != "" })
	if s := k.Status(); s.Synced || s.Reachable || s.UnreachableSince.IsZero() {
		t.Errorf("status %+v", s)
	}
	if err := k.Check(t.Context()); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("Check: %v", err)
	}
	time.Sleep(3 * time.Second)
	if err := a.cp.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("synced %v after the server is ready", sink.wantNames(t, 5*time.Second, a.want("x")))
}

func TestKubernetesForbidden(t *testing.T) {
	a := newAPI(t)
	a.create("x")
	user := "system:serviceaccount:" + a.ns + ":toolset"
	cfg := a.cp.RESTConfigAs(user)
	all, err := NewKubernetes(cfg, KubernetesOptions{Sink: newRecorder()})
	if err != nil {
		t.Fatal(err)
	}
	defer all.http.CloseIdleConnections()
	err = all.Check(t.Context())
	if !errors.Is(err, ErrForbidden) {
		t.Fatalf("Check: %v", err)
	}
	for _, want := range []string{"list and watch services in all namespaces", "ClusterRole", `"list,watch"`, user} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	k, sink := watchCluster(t, cfg, KubernetesOptions{Namespaces: []string{a.ns}})
	eventually(t, soon, "an error", func() bool { return strings.Contains(k.Status().LastError, "bind a Role") })
	// The list and the check of the server run side by side.
	eventually(t, soon, "the API server is reachable, if of no use", func() bool { return k.Status().Reachable })
	if s := k.Status(); s.Synced {
		t.Errorf("status %+v", s)
	}
	if err := k.Relist(t.Context()); !errors.Is(err, ErrForbidden) {
		t.Errorf("Relist: %v", err)
	}
	a.grant(user, "toolset", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}})
	t.Logf("synced %v after the role was bound", sink.wantNames(t, 6*time.Second, a.want("x")))
	if err := k.Check(t.Context()); err != nil {
		t.Errorf("Check with the right: %v", err)
	}
	if s := k.Status(); s.LastError != "" {
		t.Errorf("an error remains: %+v", s)
	}
}

func TestKubernetesUnauthorized(t *testing.T) {
	a := newAPI(t)
	cfg := a.cp.RESTConfig()
	cfg.CertData, cfg.KeyData = nil, nil
	cfg.BearerToken = "wrong"
	k, _ := watchCluster(t, cfg, KubernetesOptions{})
	if err := k.Check(t.Context()); !errors.Is(err, ErrUnauthorized) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("Check: %v", err)
	}
	eventually(t, soon, "an error", func() bool { return strings.Contains(k.Status().LastError, "credentials") })
	if k.Status().Reachable {
		t.Error("reachable, though nothing can be asked")
	}
}

// Neither a server that does not answer nor a Relist under way delays the end.
func TestKubernetesRunEndsInTime(t *testing.T) {
	a := newAPI(t)
	var network freezer
	cfg := a.cp.RESTConfig()
	cfg.Dial = network.dial
	k, err := NewKubernetes(cfg, KubernetesOptions{Sink: newRecorder(), Namespaces: []string{a.ns}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	waitSync(t, k)
	network.set(true) // a list that gets no answer is the hardest to leave
	result := make(chan error, 1)
	go func() { result <- k.Relist(context.Background()) }()
	time.Sleep(200 * time.Millisecond)
	start := time.Now()
	cancel()
	select {
	case err := <-ended:
		t.Logf("Run ended after %v: %v", time.Since(start), err)
	case <-time.After(2 * time.Second):
		t.Fatal("Run goes on")
	}
	if err := <-result; !errors.Is(err, ErrNotRunning) {
		t.Errorf("a Relist under way: %v", err)
	}
	if err := k.Relist(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a Relist afterwards: %v", err)
	}
}

func TestFanIn(t *testing.T) {
	sink := newRecorder()
	f := newFanIn(sink, 2)
	f.replace(0, []*corev1.Service{service("a", "1")})
	f.upsert(0, service("a", "2"))
	if isClosed(f.first) || sink.counts() != "0 replaces, 0 upserts, 0 deletes, 0 overlaps" {
		t.Error("half a state was handed on")
	}
	f.replace(1, []*corev1.Service{service("b", "1")})
	if got := sink.names(); got != "a/1 a/2 b/1" || !isClosed(f.first) {
		t.Errorf("state %s", got)
	}
	f.delete(0, service("a", "1"))
	f.replace(1, nil)
	if got := sink.names(); got != "a/2" {
		t.Errorf("state %s", got)
	}
	f.replace(0, nil)
	f.replace(0, []*corev1.Service{service("a", "1")})
	if got := sink.names(); got != "a/1" {
		t.Errorf("state %s", got)
	}
}

func TestNewKubernetesRefuses(t *testing.T) {
	if _, err := NewKubernetes(&rest.Config{Host: "https://x"}, KubernetesOptions{}); err == nil {
		t.Error("no Sink")
	}
	for _, ns := range []string{"UPPER", "a b", "", strings.Repeat("x", 64)} {
		if _, err := NewKubernetes(&rest.Config{Host: "https://x"}, KubernetesOptions{Sink: newRecorder(), Namespaces: []string{ns}}); err == nil {
			t.Errorf("namespace %q is accepted", ns)
		}
	}
	k, err := NewKubernetes(&rest.Config{Host: "https://x"}, KubernetesOptions{Sink: newRecorder()})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Relist(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Relist before Run: %v", err)
	}
}

func TestStripShrinks(t *testing.T) {
	svc := service("n", "s")
	svc.UID = types.UID("u")
	svc.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "m"}}
	svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "1.2.3.4"}}
	svc.Annotations = map[string]string{"a": "b"}
	got := strip(svc)
	if got.ManagedFields != nil || got.Annotations != nil || got.Status.LoadBalancer.Ingress != nil || got.UID != "u" || got.Name != "s" {
		t.Errorf("%+v", got)
	}
}
