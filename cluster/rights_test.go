package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// A tally counts what OnForbidden is told.
type tally struct {
	mu  sync.Mutex
	all []string
}

func (c *tally) note(r *MissingRight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, r.Verb+" "+r.Resource)
}

func (c *tally) count(what string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.all {
		if a == what {
			n++
		}
	}
	return n
}

// Who may list but not watch gets the state now and then, not all the time, and
// is not told of a recovery with each list.
func TestKubernetesWatchForbidden(t *testing.T) {
	a := newAPI(t)
	user := "system:serviceaccount:" + a.ns + ":toolset"
	rule := func(verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: verbs}
	}
	a.create("first")
	a.grant(user, "lists", rule("list"))
	core, logs := observer.New(zap.InfoLevel)
	var refused tally
	sink := newRecorder()
	k, err := NewKubernetes(a.cp.RESTConfigAs(user), KubernetesOptions{
		Sink: sink, Logger: zap.New(core), Namespaces: []string{a.ns}, OnForbidden: refused.note})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	background(t, k.Run)
	waitSync(t, k)
	eventually(t, soon, "the refusal", func() bool { return strings.Contains(k.Status().LastError, "may not watch services") })
	if s := k.Status(); s.Denied != nil {
		t.Errorf("the state is said to be unreadable: %+v", s)
	}
	a.create("second")
	if err := k.Relist(t.Context()); err != nil {
		t.Errorf("Relist, for which the right is enough: %v", err)
	}
	sink.wantNames(t, soon, a.want("first", "second"))
	time.Sleep(5 * time.Second)
	// The first try, one more when the server is found reachable, the Relist; the
	// next is due 10 s after the last.
	if n, most := refused.count("watch services"), 3+int(time.Since(begin)/(9*time.Second)); n > most {
		t.Errorf("%d lists in %v, with a watch refused after each", n, time.Since(begin))
	}
	lines := logs.FilterMessageSnippet("listed every 10s").All()
	if len(lines) != 1 || lines[0].Level != zap.ErrorLevel || !strings.Contains(fmt.Sprint(lines[0].ContextMap()), user+" may not watch services in namespace "+a.ns) {
		t.Errorf("log: %v", lines)
	}
	if n := logs.FilterMessageSnippet("works again").Len(); n > 0 {
		t.Errorf("a recovery is logged %d times, and there was none", n)
	}
	a.grant(user, "watches", rule("watch"))
	took := eventually(t, 12*time.Second, "a watch", func() bool { return logs.FilterMessageSnippet("works again").Len() > 0 })
	t.Logf("watched %v after the right was granted", took)
	a.create("third")
	sink.wantNames(t, soon, a.want("first", "second", "third"))
	if s := k.Status(); s.LastError != "" {
		t.Errorf("status %+v", s)
	}
}

// The same for the ConfigMap.
func TestConfigMapWatchForbidden(t *testing.T) {
	a := newAPI(t)
	user := "system:serviceaccount:" + a.ns + ":toolset"
	rule := func(verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{cmName}, Verbs: verbs}
	}
	a.grant(user, "writes", rule("list", "create", "patch"))
	core, logs := observer.New(zap.InfoLevel)
	var refused tally
	a.writeAs(t, clientFor(t, a.cp.RESTConfigAs(user)), a.ns, "doc", func(o *WriterOptions) {
		o.Logger, o.OnForbidden = zap.New(core), refused.note
	})
	a.wantDoc(soon, "doc")
	eventually(t, soon, "the refusal", func() bool { return refused.count("watch configmaps") > 0 })
	a.patch(`{"data":{"toolset.json":"mine!"}}`)
	begin := time.Now()
	time.Sleep(5 * time.Second)
	if n, most := refused.count("watch configmaps"), 2+int(time.Since(begin)/(9*time.Second)); n > most {
		t.Errorf("%d tries in %v", n, time.Since(begin))
	}
	t.Logf("repaired %v later, without the right to watch", a.wantDoc(12*time.Second, "doc"))
	lines := logs.FilterMessageSnippet("cannot be watched").All()
	if len(lines) != 1 || lines[0].Level != zap.ErrorLevel || !strings.Contains(fmt.Sprint(lines[0].ContextMap()), user+` may not watch configmaps "`+cmName+`"`) {
		t.Errorf("log: %v", lines)
	}
	if n := logs.FilterMessageSnippet("followed again").Len(); n > 0 {
		t.Errorf("a recovery is logged %d times, and there was none", n)
	}
}

// A right that is taken away is noticed when the watch ends, and the state is
// said to be old from then on.
func TestKubernetesRightRevoked(t *testing.T) {
	a := newAPI(t)
	user := "system:serviceaccount:" + a.ns + ":toolset"
	a.create("x")
	a.grant(user, "toolset", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}})
	k, sink := watchCluster(t, a.cp.RESTConfigAs(user), KubernetesOptions{Namespaces: []string{a.ns}})
	waitSync(t, k)
	before := time.Now()
	role, err := a.RbacV1().Roles(a.ns).Get(t.Context(), "toolset", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rules := role.Rules
	set := func(rules []rbacv1.PolicyRule) {
		t.Helper()
		role.Rules = rules
		if role, err = a.RbacV1().Roles(a.ns).Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	set(nil)
	eventually(t, soon, "Relist is refused", func() bool { return errors.Is(k.Relist(t.Context()), ErrForbidden) })
	s := k.Status()
	if !s.Synced || s.Denied == nil || s.Denied.Verb != "list" || s.DeniedSince.Before(before) {
		t.Errorf("status %+v", s)
	}
	time.Sleep(2 * time.Second)
	if now := k.Status(); !now.DeniedSince.Equal(s.DeniedSince) {
		t.Errorf("denied since %s, and later since %s", s.DeniedSince, now.DeniedSince)
	}
	if got := sink.names(); got != a.want("x") {
		t.Errorf("the state was not kept: %s", got)
	}
	a.create("y")
	set(rules)
	t.Logf("read %v after the right was granted anew", sink.wantNames(t, 6*time.Second, a.want("x", "y")))
	eventually(t, soon, "no failure", func() bool { s := k.Status(); return s.Denied == nil && s.DeniedSince.IsZero() && s.LastError == "" })
}

func TestFailureLog(t *testing.T) {
	denied := &MissingRight{Verb: verbWatch, Resource: "services"}
	other := errors.New("it rains")
	var tr failureLog
	if tr.works(verbList) || tr.works(verbWatch) {
		t.Error("an end without a failure")
	}
	if !tr.note(verbWatch, denied) || tr.note(verbWatch, denied) {
		t.Error("it is to be told once")
	}
	if tr.works(verbList) || tr.denied(verbWatch) != denied || tr.denied(verbList) != nil {
		t.Errorf("a list ended the failure of the watch: %+v", tr)
	}
	if since := tr.since; !tr.note(verbList, other) || tr.since.Equal(since) || tr.right != nil {
		t.Errorf("another failure is new: %+v", tr)
	}
	tr.told = tr.told.Add(-toldEvery)
	if !tr.note(verbList, other) {
		t.Error("what lasts is told again")
	}
	if !tr.works(verbList) || tr != (failureLog{}) {
		t.Errorf("after the end: %+v", tr)
	}
	tr.note(verbList, other)
	if !tr.works(verbWatch) {
		t.Error("a watch that works is the end of any failure")
	}
}

// A missing patch is told, and then a missing create too.
func TestWriteErrorLogTellsEachRight(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	var c writeErrorLog
	for _, verb := range []string{"patch", "patch", "create", "create"} {
		c.tell(zap.New(core), &explained{"x", &MissingRight{Verb: verb}, context.Canceled})
	}
	if logs.Len() != 2 {
		t.Errorf("%v", logs.All())
	}
}

// Whatever a server says, the sentence for clients is one printable line without
// anything of the server's but the right.
func FuzzMissingRight(f *testing.F) {
	for _, s := range []string{
		`User "system:serviceaccount:n:toolset" cannot list resource "services" in API group "" at the cluster scope`,
		`services is forbidden: User "a\"b\x1b" cannot watch resource "services" in API group "apps" in the namespace "n": RBAC: why`,
		`User "` + strings.Repeat("x", 2000) + `" cannot get resource "pods/log" in API group "" in the namespace "n"`,
		`exceeded quota`, "",
	} {
		f.Add(s)
	}
	c := call{verbList, "services", "", "", "https://192.0.2.1:6443"}
	f.Fuzz(func(t *testing.T, message string) {
		err := c.explain(apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "", errors.New(message)))
		right, ok := errors.AsType[*MissingRight](err)
		if !errors.Is(err, ErrForbidden) && !errors.Is(err, ErrUnauthorized) {
			t.Errorf("%q becomes %v, of no kind", message, err)
		}
		if !ok {
			return
		}
		if right.Verb == "" || right.Resource == "" || len(right.Account) > maxText+3 {
			t.Errorf("%q becomes %+v", message, right)
		}
		for _, text := range []string{right.Public(), err.Error()} {
			if slices.ContainsFunc([]rune(text), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q becomes %q", message, text)
			}
		}
	})
}

// A round-tripper that holds watches back until their request is given up.
type slowWatches struct{ http.RoundTripper }

func (s slowWatches) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Query().Has("watch") {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return s.RoundTripper.RoundTrip(r)
}

// A Relist that finds a watch about to begin gives it up. That is no failure.
func TestRelistWhileTheWatchBegins(t *testing.T) {
	a := newAPI(t)
	cfg := a.cp.RESTConfig()
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return slowWatches{rt} })
	core, logs := observer.New(zap.WarnLevel)
	k, err := NewKubernetes(cfg, KubernetesOptions{Sink: newRecorder(), Logger: zap.New(core), Namespaces: []string{a.ns}})
	if err != nil {
		t.Fatal(err)
	}
	background(t, k.Run)
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
