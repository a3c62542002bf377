package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const cmName = "toolset"

// A draft is the document that a writer is to write, with what it reports.
type draft struct {
	mu       sync.Mutex
	doc      []byte
	outcomes []string
	drifts   int
	versions []string
	notify   func()
}

func (d *draft) get() []byte { d.mu.Lock(); defer d.mu.Unlock(); return d.doc }

func (d *draft) set(doc string) {
	d.mu.Lock()
	d.doc = []byte(doc)
	d.mu.Unlock()
	d.notify()
}

func (d *draft) count(outcome string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range d.outcomes {
		if o == outcome {
			n++
		}
	}
	return n
}

func (d *draft) drifted() int { d.mu.Lock(); defer d.mu.Unlock(); return d.drifts }

func (d *draft) options() WriterOptions {
	return WriterOptions{
		OnWrite:   func(o string) { d.mu.Lock(); d.outcomes = append(d.outcomes, o); d.mu.Unlock() },
		OnDrift:   func() { d.mu.Lock(); d.drifts++; d.mu.Unlock() },
		OnVersion: func(v string) { d.mu.Lock(); d.versions = append(d.versions, v); d.mu.Unlock() },
	}
}

func clientFor(t *testing.T, cfg *rest.Config) kubernetes.Interface {
	t.Helper()
	hc, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hc.CloseIdleConnections)
	c, err := kubernetes.NewForConfigAndClient(cfg, hc)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// write runs a writer with this first document.
func (a *api) write(t *testing.T, doc string, change func(*WriterOptions)) (*ConfigMapWriter, *draft) {
	t.Helper()
	return a.writeAs(t, clientFor(t, a.cp.RESTConfig()), a.ns, doc, change)
}

func (a *api) writeAs(t *testing.T, client kubernetes.Interface, ns, doc string, change func(*WriterOptions)) (*ConfigMapWriter, *draft) {
	t.Helper()
	d := &draft{}
	if doc != "" {
		d.doc = []byte(doc)
	}
	opts := d.options()
	opts.Logger = logger(t)
	if change != nil {
		change(&opts)
	}
	w := NewConfigMapWriter(client, ns, cmName, d.get, opts)
	d.notify = w.Notify
	background(t, w.Run)
	<-w.started
	return w, d
}

func (a *api) configMap(ns string) *corev1.ConfigMap {
	a.t.Helper()
	cm, err := a.CoreV1().ConfigMaps(ns).Get(a.t.Context(), cmName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return cm
}

// wantDoc waits until the ConfigMap holds doc.
func (a *api) wantDoc(within time.Duration, doc string) time.Duration {
	a.t.Helper()
	return eventually(a.t, within, "the ConfigMap holds "+doc, func() bool {
		cm := a.configMap(a.ns)
		return cm != nil && cm.Data[DocumentKey] == doc && cm.Labels[ManagedByLabel] == FieldManager
	})
}

func (a *api) patch(patch string) {
	a.t.Helper()
	_, err := a.CoreV1().ConfigMaps(a.ns).Patch(a.t.Context(), cmName, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"})
	if err != nil {
		a.t.Fatal(err)
	}
}

func TestConfigMapLife(t *testing.T) {
	a := newAPI(t)
	w, d := a.write(t, "", nil)
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, ErrNoDocument) {
		t.Errorf("WriteNow without a document: %v", err)
	}
	if v := w.Version(); v != "" {
		t.Errorf("version %q", v)
	}
	d.set("one\n")
	t.Logf("created after %v", a.wantDoc(soon, "one\n"))
	first := a.configMap(a.ns)
	eventually(t, soon, "the version", func() bool { return w.Version() == first.ResourceVersion })

	// Nothing is written without a change.
	for range 20 {
		w.Notify()
		time.Sleep(5 * time.Millisecond)
	}
	version, err := w.WriteNow(t.Context())
	if err != nil || version != first.ResourceVersion || a.configMap(a.ns).ResourceVersion != version {
		t.Errorf("WriteNow without a change: version %s after %s, %v", version, first.ResourceVersion, err)
	}
	if d.count(WriteSuccess) != 1 || d.count(WriteUnchanged) != 1 || d.drifted() != 0 {
		t.Errorf("outcomes %v, %d drifts", d.outcomes, d.drifts)
	}

	d.set("two\n")
	version, err = w.WriteNow(t.Context())
	if err != nil || version == first.ResourceVersion || w.Version() != version || a.configMap(a.ns).Data[DocumentKey] != "two\n" {
		t.Errorf("WriteNow: %s, %v", version, err)
	}

	// A foreign edit of our key, of our label, and a deletion: repaired.
	a.patch(`{"data":{"toolset.json":"mine!"}}`)
	t.Logf("our key is repaired after %v", a.wantDoc(time.Second, "two\n"))
	a.patch(`{"metadata":{"labels":{"app.kubernetes.io/managed-by":"somebody"}}}`)
	t.Logf("our label is repaired after %v", a.wantDoc(time.Second, "two\n"))
	a.patch(`{"data":null}`)
	a.wantDoc(time.Second, "two\n")
	if err := a.CoreV1().ConfigMaps(a.ns).Delete(t.Context(), cmName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Logf("recreated after %v", a.wantDoc(time.Second, "two\n"))
	eventually(t, soon, "four drifts", func() bool { return d.drifted() == 4 })
	last := a.configMap(a.ns).ResourceVersion
	eventually(t, soon, "the version", func() bool { return w.Version() == last })
	remains(t, 300*time.Millisecond, "rest", func() bool { return a.configMap(a.ns).ResourceVersion == last })
}

// What others have put into the ConfigMap is theirs.
func TestConfigMapKeepsWhatIsOthers(t *testing.T) {
	a := newAPI(t)
	_, err := a.CoreV1().ConfigMaps(a.ns).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: cmName, Labels: map[string]string{"their": "label"}, Annotations: map[string]string{"their": "annotation"}},
		Data:       map[string]string{"their.key": "theirs", DocumentKey: "old"}, BinaryData: map[string][]byte{"bin": {1}},
	}, metav1.CreateOptions{FieldManager: "helm"})
	if err != nil {
		t.Fatal(err)
	}
	w, d := a.write(t, "one", nil)
	a.wantDoc(soon, "one")
	check := func() {
		t.Helper()
		cm := a.configMap(a.ns)
		if cm.Labels["their"] != "label" || cm.Annotations["their"] != "annotation" || cm.Data["their.key"] != "theirs" || len(cm.BinaryData) != 1 {
			t.Errorf("lost: %+v", cm)
		}
	}
	check()
	if d.drifted() != 0 {
		t.Error("what was there before us was taken for drift")
	}
	d.set("two")
	a.wantDoc(soon, "two")
	check()
	// Their later edits do not make us write.
	version := a.configMap(a.ns).ResourceVersion
	a.patch(`{"data":{"their.key":"theirs2"},"metadata":{"annotations":{"more":"x"}}}`)
	after := a.configMap(a.ns).ResourceVersion
	eventually(t, soon, "the version", func() bool { return w.Version() == after })
	remains(t, 300*time.Millisecond, "rest", func() bool { return a.configMap(a.ns).ResourceVersion == after && after != version })
	if d.count(WriteSuccess) != 2 || d.drifted() != 0 {
		t.Errorf("outcomes %v, %d drifts", d.outcomes, d.drifts)
	}
}

// Another manager has applied our key, by force; and a writer that starts over
// what the last one has written.
func TestConfigMapOtherManager(t *testing.T) {
	a := newAPI(t)
	apply := func(doc string) {
		t.Helper()
		_, err := a.CoreV1().ConfigMaps(a.ns).Apply(t.Context(), applycorev1.ConfigMap(cmName, a.ns).
			WithData(map[string]string{DocumentKey: doc, "k": "v"}), metav1.ApplyOptions{FieldManager: "argocd", Force: true})
		if err != nil {
			t.Fatal(err)
		}
	}
	apply("theirs")
	core, logs := observer.New(zap.WarnLevel)
	_, d := a.write(t, "ours", func(o *WriterOptions) { o.Logger = zap.New(core) })
	a.wantDoc(soon, "ours")
	apply("theirs again")
	a.wantDoc(time.Second, "ours")
	if d.drifted() != 1 {
		t.Errorf("%d drifts", d.drifted())
	}
	if all := logs.All(); len(all) != 1 || !strings.Contains(fmt.Sprint(all[0].ContextMap()), "argocd") {
		t.Errorf("the log does not name the other one: %v", all)
	}
	version := a.configMap(a.ns).ResourceVersion
	_, d2 := a.write(t, "ours", nil)
	remains(t, 400*time.Millisecond, "no write at the start", func() bool { return a.configMap(a.ns).ResourceVersion == version })
	if len(d2.outcomes) != 0 {
		t.Errorf("outcomes %v", d2.outcomes)
	}
}

func TestConfigMapCoalesces(t *testing.T) {
	a := newAPI(t)
	_, d := a.write(t, "0", nil)
	a.wantDoc(soon, "0")
	start := time.Now()
	for i := range 200 {
		d.set(fmt.Sprint("v", i))
		time.Sleep(5 * time.Millisecond)
	}
	took := time.Since(start)
	a.wantDoc(time.Second, "v199")
	n := d.count(WriteSuccess)
	t.Logf("200 changes in %v: %d writes", took, n)
	if limit := int(took/(200*time.Millisecond)) + 3; n > limit {
		t.Errorf("%d writes, more than %d", n, limit)
	}
	if d.drifted() != 0 {
		t.Errorf("%d drifts: our own writes were taken for others'", d.drifted())
	}
}

func TestConfigMapNamespaceComesLater(t *testing.T) {
	a := newAPI(t)
	core, logs := observer.New(zap.WarnLevel)
	ns := a.ns + "-later"
	w, d := a.writeAs(t, clientFor(t, a.cp.RESTConfig()), ns, "doc", func(o *WriterOptions) { o.Logger = zap.New(core) })
	eventually(t, soon, "the outcome", func() bool { return d.count(WriteMissing) > 0 })
	if _, err := w.WriteNow(t.Context()); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("WriteNow: %v", err)
	}
	if text := fmt.Sprint(logs.All()[0].ContextMap()); !strings.Contains(text, ns) || !strings.Contains(text, "create it") {
		t.Errorf("log: %s", text)
	}
	time.Sleep(2 * time.Second) // from now on, nothing but patience helps
	a.namespace(ns)
	t.Logf("written %v after the namespace was created", eventually(t, 6*time.Second, "the ConfigMap", func() bool { return a.configMap(ns) != nil }))
	if n := logs.FilterMessageSnippet("could not be written").Len(); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

func TestConfigMapForbidden(t *testing.T) {
	a := newAPI(t)
	user := "system:serviceaccount:" + a.ns + ":toolset"
	core, logs := observer.New(zap.WarnLevel)
	w, d := a.writeAs(t, clientFor(t, a.cp.RESTConfigAs(user)), a.ns, "doc", func(o *WriterOptions) { o.Logger = zap.New(core) })
	_, err := w.WriteNow(t.Context())
	if !errors.Is(err, ErrForbidden) {
		t.Fatalf("WriteNow: %v", err)
	}
	for _, want := range []string{"create and patch configmaps in namespace " + a.ns, "Role", `"create,patch"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	// The write and the watch fail side by side; each is told once.
	told := func(text string) int { return logs.FilterMessageSnippet(text).Len() }
	eventually(t, soon, "both complaints", func() bool { return told("could not be written") > 0 && told("cannot be followed") > 0 })
	if told("could not be written") != 1 || told("cannot be followed") != 1 {
		t.Errorf("log: %v", logs.All())
	}
	for i := range 20 { // a busy catalogue does not make us ask again and again
		d.set(fmt.Sprint("doc", i))
		time.Sleep(100 * time.Millisecond)
	}
	if n := d.count(WriteForbidden); n > 4 {
		t.Errorf("%d tries in 2 s", n)
	}
	rule := func(verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: verbs}
	}
	named := rule("patch", "list", "watch")
	named.ResourceNames = []string{cmName}
	a.grant(user, "toolset", rule("create"), named) // no more than that is needed
	time.Sleep(200 * time.Millisecond)
	if _, err := w.WriteNow(t.Context()); err != nil {
		t.Errorf("with the right: %v", err)
	}
	a.wantDoc(time.Second, "doc19")
	time.Sleep(2500 * time.Millisecond) // the watch has been granted too
	a.patch(`{"data":{"toolset.json":"mine!"}}`)
	a.wantDoc(time.Second, "doc19")
}

func TestConfigMapTooLarge(t *testing.T) {
	a := newAPI(t)
	w, d := a.write(t, strings.Repeat("x", 1<<20+1), nil)
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "1048577 bytes") {
		t.Errorf("WriteNow: %v", err)
	}
	if a.configMap(a.ns) != nil {
		t.Error("it was written")
	}
	d.set(strings.Repeat("x", 1<<20)) // the most there is room for
	if _, err := w.WriteNow(t.Context()); err != nil {
		t.Error(err)
	}
	// A neighbour has taken the room.
	a.patch(`{"data":{"toolset.json":"","theirs":"` + strings.Repeat("y", 600<<10) + `"}}`)
	if _, err := w.WriteNow(t.Context()); err == nil || outcome(err) != WriteInvalid {
		t.Errorf("WriteNow: %v", err)
	}
}

func TestConfigMapOutage(t *testing.T) {
	a := newAPI(t)
	w, d := a.write(t, "one", nil)
	a.wantDoc(soon, "one")
	version := w.Version()
	if err := a.cp.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	d.set("two")
	eventually(t, soon, "a failed write", func() bool { return d.count(WriteError) > 0 })
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("WriteNow: %v", err)
	}
	if w.Version() != version {
		t.Error("the version was forgotten")
	}
	time.Sleep(3 * time.Second)
	if err := a.cp.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("written %v after the server is ready; %d failed tries", a.wantDoc(7*time.Second, "two"), d.count(WriteError))
	if err := a.CoreV1().ConfigMaps(a.ns).Delete(t.Context(), cmName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	a.wantDoc(4*time.Second, "two")
}

func TestConfigMapStandby(t *testing.T) {
	a := newAPI(t)
	leader, _ := a.write(t, "leader's", nil)
	a.wantDoc(soon, "leader's")
	follower, d := a.write(t, "follower's", func(o *WriterOptions) { o.Standby = true })
	if _, err := follower.WriteNow(t.Context()); !errors.Is(err, ErrStandby) {
		t.Errorf("WriteNow: %v", err)
	}
	eventually(t, soon, "the version", func() bool { return follower.Version() != "" && follower.Version() == leader.Version() })
	remains(t, 300*time.Millisecond, "the leader's", func() bool { return a.configMap(a.ns).Data[DocumentKey] == "leader's" })
	leader.SetActive(false)
	follower.SetActive(true)
	a.wantDoc(time.Second, "follower's")
	if d.drifted() != 0 {
		t.Error("taking over was counted as drift")
	}
	remains(t, 300*time.Millisecond, "the follower's", func() bool { return a.configMap(a.ns).Data[DocumentKey] == "follower's" })
}

// The watch lags behind our own writes: what is older than they are is no news.
func TestConfigMapOldNews(t *testing.T) {
	var versions []string
	w := NewConfigMapWriter(nil, "n", cmName, func() []byte { return nil },
		WriterOptions{OnVersion: func(v string) { versions = append(versions, v) }})
	w.observe(&view{rv: "9", exists: true, doc: "old"})
	w.observe(&view{rv: "100", exists: true, doc: "written"})
	w.observe(&view{rv: "9", exists: true, doc: "old"})
	w.observe(&view{rv: "99"})
	if w.Version() != "100" || w.current.doc != "written" {
		t.Errorf("version %s, %+v", w.Version(), w.current)
	}
	w.observe(&view{rv: "101"}) // deleted
	if got := strings.Join(versions, " "); w.Version() != "" || got != "9 100 " {
		t.Errorf("version %q, versions %q", w.Version(), got)
	}
}

func TestConfigMapNotRunning(t *testing.T) {
	w := NewConfigMapWriter(nil, "n", cmName, func() []byte { return nil }, WriterOptions{})
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("before Run: %v", err)
	}
	a := newAPI(t)
	w = NewConfigMapWriter(clientFor(t, a.cp.RESTConfig()), a.ns, cmName, func() []byte { return []byte("x") }, WriterOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	a.wantDoc(soon, "x")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after Run: %v", err)
	}
	var owners []string
	for _, m := range a.configMap(a.ns).ManagedFields {
		raw, _ := json.Marshal(m.FieldsV1)
		owners = append(owners, m.Manager+string(m.Operation)+string(raw))
	}
	if len(owners) != 1 || !strings.HasPrefix(owners[0], "dynamic-toolsetApply") || strings.Contains(owners[0], "f:annotations") {
		t.Errorf("owners %v", owners)
	}
}
