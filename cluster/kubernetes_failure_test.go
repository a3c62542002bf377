package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

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
	took := eventually(t, 6500*time.Millisecond, "unreachable", func() bool { return !k.Status().Reachable })
	t.Logf("the outage is noticed after %v: %s", took, k.Status().LastError)
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
	for _, want := range []string{"may not list services in the whole cluster", "ClusterRole", `"list"`, user} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	k, sink := watchCluster(t, cfg, KubernetesOptions{Namespaces: []string{a.ns}})
	eventually(t, soon, "an error", func() bool { return strings.Contains(k.Status().LastError, "by a Role") })
	// The list and the check of the server run side by side.
	eventually(t, soon, "the API server is reachable, if of no use", func() bool { return k.Status().Reachable })
	if s := k.Status(); s.Synced || s.Denied == nil || *s.Denied != (MissingRight{Account: user, Verb: "list", Resource: "services", Namespace: a.ns}) || s.DeniedSince.IsZero() {
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
	if s := k.Status(); s.LastError != "" || s.Denied != nil || !s.DeniedSince.IsZero() {
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
	start := testenv.Start()
	cancel()
	select {
	case err := <-ended:
		t.Logf("Run ended after %v: %v", start.Within(t, 2*time.Second, "Run ends"), err)
	case <-time.After(soon):
		t.Fatal("Run goes on")
	}
	if err := <-result; !errors.Is(err, ErrNotRunning) {
		t.Errorf("a Relist under way: %v", err)
	}
	if err := k.Relist(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a Relist afterwards: %v", err)
	}
}

func TestKubernetesWrongServer(t *testing.T) {
	a := newAPI(t)
	cfg := a.cp.RESTConfig()
	cfg.CAData = nil
	k, err := NewKubernetes(cfg, KubernetesOptions{Sink: newRecorder()})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Check(t.Context()); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "is not trusted") {
		t.Errorf("Check: %v", err)
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
