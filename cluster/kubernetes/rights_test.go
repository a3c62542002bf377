package kubernetes

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// Without the right to watch, the state is listed now and then, not all the time, and no
// list counts as a recovery.
func TestKubernetesWatchForbidden(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	user := "system:serviceaccount:" + a.NS + ":toolset"
	rule := func(verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: verbs}
	}
	a.Create("first")
	a.Grant(user, "lists", rule("list"))
	core, logs := observer.New(zap.InfoLevel)
	var refused clustertest.Tally
	sink := clustertest.NewSink()
	k, err := New(a.CP.RESTConfigAs(user), Options{
		Sink: sink, Logger: zap.New(core), Namespaces: []string{a.NS}, OnForbidden: refused.Note})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	clustertest.Background(t, k.Run)
	waitSync(t, k)
	testenv.Eventually(t, soon, "the refusal", func() bool { return strings.Contains(k.Status().LastError, "may not watch services") })
	if s := k.Status(); s.Denied != nil {
		t.Errorf("the state is said to be unreadable: %+v", s)
	}
	a.Create("second")
	if err := k.Relist(t.Context()); err != nil {
		t.Errorf("Relist, for which the right is enough: %v", err)
	}
	sink.WantNames(t, soon, a.Names("first", "second"))
	time.Sleep(5 * time.Second)
	// One at the start, one when the server is found reachable, one by the Relist, and
	// then one every 10 s.
	if n, most := refused.Count("watch services"), 3+int(time.Since(begin)/(9*time.Second)); n > most {
		t.Errorf("%d lists in %v, with a watch refused after each", n, time.Since(begin))
	}
	lines := logs.FilterMessageSnippet("listed every 10s").All()
	if len(lines) != 1 || lines[0].Level != zap.ErrorLevel || !strings.Contains(fmt.Sprint(lines[0].ContextMap()), user+" may not watch services in namespace "+a.NS) {
		t.Errorf("log: %v", lines)
	}
	if n := logs.FilterMessageSnippet("works again").Len(); n > 0 {
		t.Errorf("a recovery is logged %d times, and there was none", n)
	}
	a.Grant(user, "watches", rule("watch"))
	took := testenv.Eventually(t, 12*time.Second, "a watch", func() bool { return logs.FilterMessageSnippet("works again").Len() > 0 })
	t.Logf("watched %v after the right was granted", took)
	a.Create("third")
	sink.WantNames(t, soon, a.Names("first", "second", "third"))
	if s := k.Status(); s.LastError != "" {
		t.Errorf("status %+v", s)
	}
}

// The loss of a right is noticed when the watch ends. From then on the state is reported
// to be stale.
func TestKubernetesRightRevoked(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	user := "system:serviceaccount:" + a.NS + ":toolset"
	a.Create("x")
	a.Grant(user, "toolset", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}})
	k, sink := watchCluster(t, a.CP.RESTConfigAs(user), Options{Namespaces: []string{a.NS}})
	waitSync(t, k)
	before := time.Now()
	role, err := a.RbacV1().Roles(a.NS).Get(t.Context(), "toolset", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rules := role.Rules
	set := func(rules []rbacv1.PolicyRule) {
		t.Helper()
		role.Rules = rules
		if role, err = a.RbacV1().Roles(a.NS).Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	set(nil)
	testenv.Eventually(t, soon, "Relist is refused", func() bool { return errors.Is(k.Relist(t.Context()), cluster.ErrForbidden) })
	s := k.Status()
	if !s.Synced || s.Denied == nil || s.Denied.Verb != "list" || s.DeniedSince.Before(before) {
		t.Errorf("status %+v", s)
	}
	time.Sleep(2 * time.Second)
	if now := k.Status(); !now.DeniedSince.Equal(s.DeniedSince) {
		t.Errorf("denied since %s, and later since %s", s.DeniedSince, now.DeniedSince)
	}
	if got := sink.Names(); got != a.Names("x") {
		t.Errorf("the state was not kept: %s", got)
	}
	a.Create("y")
	set(rules)
	t.Logf("read %v after the right was granted anew", sink.WantNames(t, 6*time.Second, a.Names("x", "y")))
	testenv.Eventually(t, soon, "no failure", func() bool { s := k.Status(); return s.Denied == nil && s.DeniedSince.IsZero() && s.LastError == "" })
}

// slowWatches is a round-tripper that holds a watch back until its request is canceled.
type slowWatches struct{ http.RoundTripper }

func (s slowWatches) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Query().Has("watch") {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return s.RoundTripper.RoundTrip(r)
}

// refusals is a round-tripper that refuses lists and watches when it is told to.
type refusals struct {
	http.RoundTripper
	lists atomic.Bool
	watch chan struct{} // closed when watches are to be refused; until then they wait
}

func (f *refusals) RoundTrip(r *http.Request) (*http.Response, error) {
	verb := "list"
	if r.URL.Query().Has("watch") {
		verb = "watch"
		select {
		case <-f.watch:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	} else if !f.lists.Load() {
		return f.RoundTripper.RoundTrip(r)
	}
	body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,`+
		`"message":"services is forbidden: User \"u\" cannot %s resource \"services\" in API group \"\" in the namespace \"n\""}`, verb)
	return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// When a list is refused beside a watch that begins, the refusal of the watch does not
// hide that of the list.
func TestKubernetesListAndWatchRefused(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	f := &refusals{watch: make(chan struct{})}
	cfg := a.CP.RESTConfig()
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { f.RoundTripper = rt; return f })
	var refused clustertest.Tally
	k, err := New(cfg, Options{Sink: clustertest.NewSink(), Logger: zap.NewNop(), Namespaces: []string{a.NS}, OnForbidden: refused.Note})
	if err != nil {
		t.Fatal(err)
	}
	clustertest.Background(t, k.Run)
	waitSync(t, k)
	f.lists.Store(true)
	if err := k.Relist(t.Context()); !errors.Is(err, cluster.ErrForbidden) {
		t.Fatalf("Relist: %v, want a refusal", err)
	}
	s := k.Status()
	close(f.watch)
	testenv.Eventually(t, soon, "the refusal of the watch", func() bool { return refused.Count("watch services") > 0 })
	if now := k.Status(); now.Denied == nil || now.Denied.Verb != "list" || !now.DeniedSince.Equal(s.DeniedSince) || !strings.Contains(now.LastError, "may not list") {
		t.Errorf("status %+v, before the watch was refused %+v", now, s)
	}
}

// A Relist cancels a watch that is about to begin. That is not a failure.
func TestRelistWhileTheWatchBegins(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	cfg := a.CP.RESTConfig()
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return slowWatches{rt} })
	core, logs := observer.New(zap.WarnLevel)
	k, err := New(cfg, Options{Sink: clustertest.NewSink(), Logger: zap.New(core), Namespaces: []string{a.NS}})
	if err != nil {
		t.Fatal(err)
	}
	clustertest.Background(t, k.Run)
	waitSync(t, k)
	for range 3 {
		if err := k.Relist(t.Context()); err != nil {
			t.Errorf("Relist: %v", err)
		}
	}
	if s := k.Status(); s.LastError != "" || logs.Len() > 0 {
		t.Errorf("status %+v, log %v", s, logs.All())
	}
}
