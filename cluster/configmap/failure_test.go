package configmap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/internal/testenv/apiserver"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

func TestConfigMapNamespaceComesLater(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	core, logs := observer.New(zap.WarnLevel)
	ns := a.NS + "-later"
	w, d := a.writeAs(t, apiserver.Client(t, a.CP.RESTConfig()), ns, "doc", func(o *Options) { o.Logger = zap.New(core) })
	testenv.Eventually(t, soon, "the outcome", func() bool { return d.count(WriteMissing) > 0 })
	if _, err := w.WriteNow(t.Context()); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("WriteNow: %v", err)
	}
	if text := fmt.Sprint(logs.All()[0].ContextMap()); !strings.Contains(text, ns) || !strings.Contains(text, "create it") {
		t.Errorf("log: %s", text)
	}
	time.Sleep(2 * time.Second) // from now on, nothing but patience helps
	a.Namespace(ns)
	t.Logf("written %v after the namespace was created", testenv.Eventually(t, 6*time.Second, "the ConfigMap", func() bool { return a.configMap(ns) != nil }))
	if n := logs.FilterMessageSnippet("could not be written").Len(); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

func TestConfigMapForbidden(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	user := "system:serviceaccount:" + a.NS + ":toolset"
	core, logs := observer.New(zap.WarnLevel)
	w, d := a.writeAs(t, apiserver.Client(t, a.CP.RESTConfigAs(user)), a.NS, "doc", func(o *Options) { o.Logger = zap.New(core) })
	_, err := w.WriteNow(t.Context())
	if !errors.Is(err, cluster.ErrForbidden) {
		t.Fatalf("WriteNow: %v", err)
	}
	for _, want := range []string{user + ` may not patch configmaps "` + cmName + `" in namespace ` + a.NS, "Role", `"patch"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	// The write and the watch fail at the same time; each is logged once.
	told := func(text string) int { return logs.FilterMessageSnippet(text).Len() }
	testenv.Eventually(t, soon, "both logged", func() bool { return told("could not be written") > 0 && told("cannot be followed") > 0 })
	if told("could not be written") != 1 || told("cannot be followed") != 1 {
		t.Errorf("log: %v", logs.All())
	}
	begin := time.Now()
	for i := range 20 { // frequent changes must not cause frequent calls
		d.set(fmt.Sprint("doc", i))
		time.Sleep(100 * time.Millisecond)
	}
	if n, most := d.count(WriteForbidden), 2+int(time.Since(begin)/time.Second); n > most {
		t.Errorf("%d tries in %v", n, time.Since(begin))
	}
	rule := func(verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: verbs}
	}
	named := rule("create", "patch", "list", "watch")
	named.ResourceNames = []string{cmName}
	a.Grant(user, "toolset", named) // these rights must be enough
	testenv.Eventually(t, soon, "it writes with the right", func() bool { _, err := w.WriteNow(t.Context()); return err == nil })
	a.wantDoc(time.Second, "doc19")
	time.Sleep(2500 * time.Millisecond) // the watch has been granted too
	a.patch(`{"data":{"toolset.json":"mine!"}}`)
	a.wantDoc(time.Second, "doc19")
}

func TestConfigMapTooLarge(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	w, d := a.write(t, strings.Repeat("x", 1<<20+1), nil) // one entry, which can't be split
	if _, err := w.WriteNow(t.Context()); err == nil {
		t.Error("it was written")
	}
	d.setDocs([]service.Document{{Key: kubernaut.Key, Entries: [][]byte{bytes.Repeat([]byte("x"), 768<<10+1)}}})
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, errTooLarge) || !strings.Contains(err.Error(), "has 786433 bytes") {
		t.Errorf("WriteNow: %v", err)
	}
	d.setDocs(many(33, func(int) int { return 768 << 10 }))
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, errTooLarge) || !strings.Contains(err.Error(), "there may be 32") {
		t.Errorf("WriteNow: %v", err)
	}
	if a.configMap(a.NS) != nil {
		t.Error("it was written")
	}
	d.set(strings.Repeat("x", 768<<10)) // the largest entry that has room
	if _, err := w.WriteNow(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestConfigMapOutage(t *testing.T) {
	a := newAPI(t)
	w, d := a.write(t, "one", nil)
	a.wantDoc(soon, "one")
	testenv.Eventually(t, soon, "the writer knows its version", func() bool { return w.view.Version() != "" })
	version := w.view.Version()
	if err := a.CP.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	d.set("two")
	testenv.Eventually(t, soon, "a failed write", func() bool { return d.count(WriteError) > 0 })
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, cluster.ErrUnreachable) {
		t.Errorf("WriteNow: %v", err)
	}
	if w.view.Version() != version {
		t.Error("the version was forgotten")
	}
	time.Sleep(3 * time.Second)
	if err := a.CP.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("written %v after the server is ready; %d failed tries", a.wantDoc(7*time.Second, "two"), d.count(WriteError))
	if err := a.CoreV1().ConfigMaps(a.NS).Delete(t.Context(), cmName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	a.wantDoc(4*time.Second, "two")
}

func TestConfigMapStandby(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	leader, _ := a.write(t, "leader's", nil)
	a.wantDoc(soon, "leader's")
	follower, d := a.write(t, "follower's", func(o *Options) { o.Standby = true })
	testenv.Eventually(t, soon, "the version", func() bool { return follower.view.Version() != "" && follower.view.Version() == leader.view.Version() })
	if v, err := follower.WriteNow(t.Context()); err != nil || v != leader.view.Version() {
		t.Errorf("WriteNow answers with %q, %v, and not what the leader has written, %s", v, err, leader.view.Version())
	}
	clustertest.Remains(t, 300*time.Millisecond, "the leader's", func() bool { return a.configMap(a.NS).Data[kubernaut.Key] == "leader's" })
	leader.SetActive(false)
	follower.SetActive(true)
	a.wantDoc(time.Second, "follower's")
	if d.drifted() != 0 {
		t.Error("taking over was counted as drift")
	}
	clustertest.Remains(t, 300*time.Millisecond, "the follower's", func() bool { return a.configMap(a.NS).Data[kubernaut.Key] == "follower's" })
}

// Two writers that want different content do not burden the API server.
func TestConfigMapConflictWithAnotherWriter(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	core, logs := observer.New(zap.WarnLevel)
	_, d := a.write(t, "one", func(o *Options) { o.Logger = zap.New(core) })
	_, d2 := a.write(t, "two", nil)
	begin := time.Now()
	writes := func() int { return d.count(WriteSuccess) + d2.count(WriteSuccess) }
	testenv.Eventually(t, soon, "they do not give up", func() bool { return time.Since(begin) > 6*time.Second && writes() >= 8 })
	// The first few writes are made at once, then one per second by each writer. The log
	// has a line for each of the first few in ten seconds, and one more.
	n, windows := writes(), 1+int(time.Since(begin)/conflictWindow)
	t.Logf("%d writes in %v, %d lines in the log of one", n, time.Since(begin), logs.Len())
	if n > 40*windows || logs.Len() > 8*windows {
		t.Errorf("%d writes in %v, %d lines in the log of one", n, time.Since(begin), logs.Len())
	}
}

// The watch lags behind our own writes; what it reports of the time before them is
// ignored.
func TestConfigMapOldNews(t *testing.T) {
	var versions []string
	v := NewView(nil, "n", cmName, ViewOptions{OnVersion: func(v string) { versions = append(versions, v) }})
	v.observe(&revision{rv: "9", exists: true, uid: "old"})
	v.observe(&revision{rv: "100", exists: true, uid: "written"})
	v.observe(&revision{rv: "9", exists: true, uid: "old"})
	v.observe(&revision{rv: "99"})
	if v.Version() != "100" || v.latest().seen.uid != "written" {
		t.Errorf("version %s, %+v", v.Version(), v.latest().seen)
	}
	v.observe(&revision{rv: "101"}) // deleted
	if got := strings.Join(versions, " "); v.Version() != "" || got != "9 100 " {
		t.Errorf("version %q, versions %q", v.Version(), got)
	}
}

func TestConfigMapNotRunning(t *testing.T) {
	t.Parallel()
	w := newWriter(nil, "n", &draft{}, Options{})
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, cluster.ErrNotRunning) {
		t.Errorf("before Run: %v", err)
	}
	a := newAPI(t)
	w = newWriter(apiserver.Client(t, a.CP.RESTConfig()), a.NS, &draft{docs: whole("x")}, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- runWithView(ctx, w) }()
	a.wantDoc(soon, "x")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, cluster.ErrNotRunning) {
		t.Errorf("after Run: %v", err)
	}
	var owners []string
	for _, m := range a.configMap(a.NS).ManagedFields {
		raw, _ := json.Marshal(m.FieldsV1)
		owners = append(owners, m.Manager+string(m.Operation)+string(raw))
	}
	if len(owners) != 1 || !strings.HasPrefix(owners[0], "dynamic-toolsetApply") || strings.Contains(owners[0], "f:annotations") {
		t.Errorf("owners %v", owners)
	}
}
