package leader

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/internal/testenv/apiserver"
)

// A leader whose packets are lost stops leading before another one begins. When it is back,
// it follows.
func TestLeaderCutOff(t *testing.T) {
	// With HTTP/2, a dead connection is closed when its pings are not answered, by default
	// after 45 s.
	t.Setenv("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "2")
	t.Setenv("HTTP2_PING_TIMEOUT_SECONDS", "1")
	a := newAPI(t)
	network := clustertest.NewNetwork(t)
	first := a.campaign(t, a.client(t, func(cfg *rest.Config) { cfg.Dial = network.Dial }), leaseName, "first", brisk)
	leader(t, soon, first)
	second := a.campaign(t, a.client(t), leaseName, "second", brisk)
	neverTwo(t, first, second)
	testenv.Eventually(t, soon, "it knows", func() bool { return second.Holder() == "first" })
	old := first.token()
	network.Freeze(true)
	start := time.Now()
	testenv.Eventually(t, 10*time.Second, "it stops", func() bool { return first.token() == "" })
	alone := time.Since(start)
	leader(t, 10*time.Second, second)
	t.Logf("it stopped after %v, was replaced after %v", alone, time.Since(start))
	testenv.Eventually(t, soon, "it is told", func() bool { return !first.leading.Load() })
	if second.token() == old {
		t.Errorf("both terms are %s", old)
	}
	network.Freeze(false)
	testenv.Eventually(t, time.Minute, "it knows who leads", func() bool { return first.Holder() == "second" })
	if first.Leads() || !second.Leads() {
		t.Error("it has taken the Lease back")
	}
}

// During an outage of the API server nobody leads, however long it takes. Then somebody
// does, in another term, without a restart.
func TestLeaderOutage(t *testing.T) {
	a := newAPI(t)
	core, logs := observer.New(zap.InfoLevel)
	loud := func(o *Options) { o.Logger = zap.New(core) }
	first := a.campaign(t, a.client(t), leaseName, "first", brisk, loud)
	leader(t, soon, first)
	second := a.campaign(t, a.client(t), leaseName, "second", brisk)
	neverTwo(t, first, second)
	testenv.Eventually(t, soon, "it knows", func() bool { return second.Holder() == "first" })
	old := first.token()
	if err := a.CP.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, briskLease, "nobody leads", func() bool { return first.token() == "" && !first.leading.Load() })
	clustertest.Remains(t, briskLease+time.Second, "nobody leads", func() bool { return first.token() == "" && second.token() == "" })
	if why := first.Vacant(); why == nil || !strings.Contains(why.Error(), "Kubernetes API can't be used") || strings.Contains(why.Error(), "127.0.0.1") {
		t.Errorf("the reason: %v", why)
	}
	if n := logs.FilterMessageSnippet("cannot be taken, renewed").Len(); n != 1 {
		t.Errorf("told %d times: %v", n, logs.All())
	}
	if err := a.CP.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	now, _ := leader(t, 10*time.Second, first, second)
	t.Logf("%s leads %v after the API server is ready", now.token(), time.Since(start))
	if now.token() == old {
		t.Error("the new term has the old one's name")
	}
	for _, text := range []string{"This replica leads: it writes", "This replica leads no more"} {
		if logs.FilterMessageSnippet(text).Len() == 0 {
			t.Errorf("the log lacks %q", text)
		}
	}
}

// People change the Lease: whoever puts a name into it holds it, one that is deleted is
// created again, and a label does not matter.
func TestLeaseIsChanged(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	c := a.campaign(t, a.client(t), leaseName, "ours", brisk)
	leader(t, soon, c)
	leases := a.CoordinationV1().Leases(a.NS)
	patch := func(text string) {
		t.Helper()
		if _, err := leases.Patch(t.Context(), leaseName, types.MergePatchType, []byte(text), metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
			t.Fatal(err)
		}
	}
	first := c.token()
	patch(`{"metadata":{"labels":{"a":"b"}}}`)
	clustertest.Remains(t, 2*time.Second, "its term", func() bool { return c.token() == first })
	if got := a.lease(leaseName).Labels; got["a"] != "b" {
		t.Errorf("the label is lost: %v", got)
	}
	tokens := map[string]bool{first: true}
	again := func(what string) {
		t.Helper()
		took := testenv.Eventually(t, 2*briskLease, "another term, after "+what, func() bool { token := c.token(); return token != "" && !tokens[token] })
		t.Logf("leads again %v after %s", took, what)
		tokens[c.token()] = true
	}
	if err := leases.Delete(t.Context(), leaseName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	again("its deletion")
	patch(`{"spec":{"holderIdentity":""}}`)
	again("its release")
	patch(fmt.Sprintf(`{"spec":{"holderIdentity":"mine","renewTime":%q}}`, time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")))
	testenv.Eventually(t, soon, "it stops", func() bool { return c.token() == "" && !c.leading.Load() })
	clustertest.Remains(t, time.Second, "it waits", func() bool { return !c.Leads() && c.Holder() == "mine" })
	again("the end of what nobody renews")
	patch(`{"spec":{"holderIdentity":"","leaseTransitions":2147483647}}`)
	again("a count at its end")
}

// Each missing right is named, also to clients if it is why nobody leads. A candidate needs
// no rights but those, for this one Lease.
func TestLeaderRights(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	type one struct {
		*candidate
		verb, user string
		logs       *observer.ObservedLogs
	}
	var all []one
	verbs := []string{"list", "watch", "create", "update"}
	grant := func(user, lease string, verbs ...string) {
		a.Grant(user, user[strings.LastIndexByte(user, ':')+1:]+"-"+strings.Join(verbs, "-"), rbacv1.PolicyRule{
			APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, ResourceNames: []string{lease}, Verbs: verbs})
	}
	for i, verb := range verbs {
		user := "system:serviceaccount:" + a.NS + ":no-" + verb
		var others []string
		for j, v := range verbs {
			if j != i {
				others = append(others, v)
			}
		}
		grant(user, "lease-"+verb, others...)
		core, logs := observer.New(zap.InfoLevel)
		time.Sleep(200 * time.Millisecond) // until the authorizer knows the Roles
		c := a.campaign(t, apiserver.Client(t, a.CP.RESTConfigAs(user)), "lease-"+verb, "it", brisk, func(o *Options) { o.Logger = zap.New(core) })
		all = append(all, one{c, verb, user, logs})
	}
	for _, c := range all {
		sentence := fmt.Sprintf("service account %s may not %s leases %q in namespace %s: grant it the verb %q on the resource \"leases\"",
			c.user, c.verb, "lease-"+c.verb, a.NS, c.verb)
		told := func() int {
			n := 0
			for _, entry := range c.logs.FilterLevelExact(zap.ErrorLevel).All() {
				if text := fmt.Sprint(entry.ContextMap()["error"]); strings.Contains(text, sentence) &&
					strings.Contains(text, "deploy/components/configmap-writer/rbac.yaml") && strings.Contains(text, "--leader-election=false") {
					n++
				}
			}
			return n
		}
		testenv.Eventually(t, 5*time.Second, "an error that says: "+sentence, func() bool { return told() > 0 })
		testenv.Eventually(t, soon, "it is counted", func() bool { return c.refused.Load() > 0 })
		if c.verb == "watch" { // it can lead, but learns late of other leaders
			leader(t, 5*time.Second, c.candidate)
		} else {
			why := c.Vacant()
			right, ok := errors.AsType[*cluster.MissingRight](why)
			if !ok || right.Verb != c.verb || right.Resource != "leases" || c.Leads() {
				t.Errorf("no right to %s: %v", c.verb, why)
			}
		}
		if n := told(); n != 1 {
			t.Errorf("told %d times: %v", n, c.logs.All())
		}
	}
	for _, c := range all {
		grant(c.user, "lease-"+c.verb, c.verb)
	}
	for _, c := range all {
		leader(t, 15*time.Second, c.candidate)
		over := "The lease can be used again"
		if c.verb == "list" || c.verb == "watch" {
			over = "The lease can be followed again"
		}
		testenv.Eventually(t, 15*time.Second, over, func() bool { return c.logs.FilterMessage(over).Len() == 1 })
		if why := c.Vacant(); why != nil {
			t.Errorf("after it was granted: %v", why)
		}
	}
}

// Without the namespace, the log says so; it may be created later.
func TestLeaderNamespaceComesLater(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.NS += "-later"
	core, logs := observer.New(zap.WarnLevel)
	c := a.campaign(t, a.client(t), leaseName, "it", brisk, func(o *Options) { o.Logger = zap.New(core) })
	testenv.Eventually(t, 5*time.Second, "a log line", func() bool { return logs.FilterMessageSnippet("cannot be taken").Len() > 0 })
	if text := fmt.Sprint(logs.All()[0].ContextMap()["error"]); !strings.Contains(text, "the namespace \""+a.NS+"\" does not exist") {
		t.Errorf("it says %s", text)
	}
	a.Namespace(a.NS)
	leader(t, 5*time.Second, c)
}
