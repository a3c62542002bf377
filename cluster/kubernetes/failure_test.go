package kubernetes

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

func TestKubernetesOutage(t *testing.T) {
	a := newAPI(t)
	a.Create("stays", "goes")
	k, sink := watchCluster(t, a.CP.RESTConfig(), Options{Namespaces: []string{a.NS}, CheckInterval: time.Hour}) // a broken watch is enough
	waitSync(t, k)
	testenv.Eventually(t, soon, "reachable", func() bool { return k.Status().Reachable })
	for round := range 2 {
		if err := a.CP.StopAPIServer(); err != nil {
			t.Fatal(err)
		}
		stopped := time.Now()
		took := testenv.Eventually(t, 6*time.Second, "unreachable", func() bool { return !k.Status().Reachable })
		t.Logf("round %d: the outage is noticed after %v", round, took)
		s := k.Status()
		if !s.Synced || !strings.Contains(s.LastError, "nothing listens") || s.UnreachableSince.Before(stopped) {
			t.Errorf("status %+v", s)
		}
		if err := k.Relist(t.Context()); !errors.Is(err, cluster.ErrUnreachable) {
			t.Errorf("Relist: %v", err)
		}
		time.Sleep(4 * time.Second) // back-off grows
		if got := sink.Names(); got != a.Names("goes", "stays") {
			t.Errorf("the state was not kept: %s", got)
		}
		// Something is deleted while we can't see it: as soon as the server is there, and
		// perhaps before we are connected.
		if err := a.CP.StartAPIServer(t.Context()); err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		a.Delete("goes")
		sink.WantNames(t, 5*time.Second, a.Names("stays"))
		t.Logf("round %d: the deletion is known %v after the server is ready", round, time.Since(started))
		testenv.Eventually(t, 3*time.Second, "reachable", func() bool { s := k.Status(); return s.Reachable && s.LastError == "" })
		t.Logf("round %d: reachable %v after the server is ready", round, time.Since(started))
		a.Create("goes") // the watch works again
		sink.WantNames(t, soon, a.Names("goes", "stays"))
	}
}

// Packets are lost, but no connection breaks. Meanwhile a Service is deleted.
func TestKubernetesSilentOutage(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.Create("stays", "goes")
	network := clustertest.NewNetwork(t)
	cfg := a.CP.RESTConfig()
	cfg.Dial = network.Dial
	k, sink := watchCluster(t, cfg, Options{Namespaces: []string{a.NS}})
	waitSync(t, k)
	testenv.Eventually(t, soon, "reachable", func() bool { return k.Status().Reachable })
	time.Sleep(100 * time.Millisecond)
	network.Freeze(true)
	took := testenv.Eventually(t, 6500*time.Millisecond, "unreachable", func() bool { return !k.Status().Reachable })
	t.Logf("the outage is noticed after %v: %s", took, k.Status().LastError)
	a.Delete("goes")
	clustertest.Remains(t, 2*time.Second, "the state", func() bool { return sink.Names() == a.Names("goes", "stays") })
	network.Freeze(false)
	t.Logf("the deletion is known %v after the network is back", sink.WantNames(t, 5*time.Second, a.Names("stays")))
	testenv.Eventually(t, soon, "reachable", func() bool { return k.Status().Reachable })
	a.Create("goes")
	sink.WantNames(t, soon, a.Names("goes", "stays"))
}

func TestKubernetesStartsBeforeTheServer(t *testing.T) {
	a := newAPI(t)
	a.Create("x")
	if err := a.CP.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	k, sink := watchCluster(t, a.CP.RESTConfig(), Options{Namespaces: []string{a.NS}})
	testenv.Eventually(t, soon, "an error", func() bool { return k.Status().LastError != "" })
	if s := k.Status(); s.Synced || s.Reachable || s.UnreachableSince.IsZero() {
		t.Errorf("status %+v", s)
	}
	if err := k.Check(t.Context()); !errors.Is(err, cluster.ErrUnreachable) || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("Check: %v", err)
	}
	time.Sleep(3 * time.Second)
	if err := a.CP.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("synced %v after the server is ready", sink.WantNames(t, 5*time.Second, a.Names("x")))
}

func TestKubernetesForbidden(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.Create("x")
	user := "system:serviceaccount:" + a.NS + ":toolset"
	cfg := a.CP.RESTConfigAs(user)
	all, err := New(cfg, Options{Sink: clustertest.NewSink()})
	if err != nil {
		t.Fatal(err)
	}
	defer all.http.CloseIdleConnections()
	err = all.Check(t.Context())
	if !errors.Is(err, cluster.ErrForbidden) {
		t.Fatalf("Check: %v", err)
	}
	for _, want := range []string{"may not list services in the whole cluster", "ClusterRole", `"list"`, user} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	k, sink := watchCluster(t, cfg, Options{Namespaces: []string{a.NS}})
	testenv.Eventually(t, soon, "an error", func() bool { return strings.Contains(k.Status().LastError, "by a Role") })
	// The list and the check of the server run side by side.
	testenv.Eventually(t, soon, "the API server is reachable, if of no use", func() bool { return k.Status().Reachable })
	if s := k.Status(); s.Synced || s.Denied == nil || *s.Denied != (cluster.MissingRight{Account: user, Verb: "list", Resource: "services", Namespace: a.NS}) || s.DeniedSince.IsZero() {
		t.Errorf("status %+v", s)
	}
	if err := k.Relist(t.Context()); !errors.Is(err, cluster.ErrForbidden) {
		t.Errorf("Relist: %v", err)
	}
	a.Grant(user, "toolset", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}})
	t.Logf("synced %v after the role was bound", sink.WantNames(t, 6*time.Second, a.Names("x")))
	if err := k.Check(t.Context()); err != nil {
		t.Errorf("Check with the right: %v", err)
	}
	if s := k.Status(); s.LastError != "" || s.Denied != nil || !s.DeniedSince.IsZero() {
		t.Errorf("an error remains: %+v", s)
	}
}

func TestKubernetesUnauthorized(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	cfg := a.CP.RESTConfig()
	cfg.CertData, cfg.KeyData = nil, nil
	cfg.BearerToken = "wrong"
	k, _ := watchCluster(t, cfg, Options{})
	if err := k.Check(t.Context()); !errors.Is(err, cluster.ErrUnauthorized) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("Check: %v", err)
	}
	testenv.Eventually(t, soon, "an error", func() bool { return strings.Contains(k.Status().LastError, "credentials") })
	if k.Status().Reachable {
		t.Error("reachable, though nothing can be asked")
	}
}

// Run ends in time even if the server does not answer or a Relist is under way.
func TestKubernetesRunEndsInTime(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	network := clustertest.NewNetwork(t)
	cfg := a.CP.RESTConfig()
	cfg.Dial = network.Dial
	k, err := New(cfg, Options{Sink: clustertest.NewSink(), Namespaces: []string{a.NS}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	waitSync(t, k)
	network.Freeze(true) // a list without an answer is the hardest to end
	result := make(chan error, 1)
	go func() { result <- k.Relist(context.Background()) }()
	time.Sleep(200 * time.Millisecond)
	start := testenv.Start()
	cancel()
	select {
	case err := <-ended:
		t.Logf("Run ended after %v: %v", start.Within(t, 2*time.Second, "Run ends"), err)
	case <-time.After(soon):
		t.Fatal("Run goes on")
	}
	if err := <-result; !errors.Is(err, cluster.ErrNotRunning) {
		t.Errorf("a Relist under way: %v", err)
	}
	if err := k.Relist(t.Context()); !errors.Is(err, cluster.ErrNotRunning) {
		t.Errorf("a Relist afterwards: %v", err)
	}
}

func TestKubernetesWrongServer(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	cfg := a.CP.RESTConfig()
	cfg.CAData = nil
	k, err := New(cfg, Options{Sink: clustertest.NewSink()})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Check(t.Context()); !errors.Is(err, cluster.ErrUnreachable) || !strings.Contains(err.Error(), "is not trusted") {
		t.Errorf("Check: %v", err)
	}
}

func TestNewKubernetesRefuses(t *testing.T) {
	if _, err := New(&rest.Config{Host: "https://x"}, Options{}); err == nil {
		t.Error("no cluster.Sink")
	}
	for _, ns := range []string{"UPPER", "a b", "", strings.Repeat("x", 64)} {
		if _, err := New(&rest.Config{Host: "https://x"}, Options{Sink: clustertest.NewSink(), Namespaces: []string{ns}}); err == nil {
			t.Errorf("namespace %q is accepted", ns)
		}
	}
	k, err := New(&rest.Config{Host: "https://x"}, Options{Sink: clustertest.NewSink()})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Relist(t.Context()); !errors.Is(err, cluster.ErrNotRunning) {
		t.Errorf("Relist before Run: %v", err)
	}
}
