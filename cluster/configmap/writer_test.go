package configmap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/internal/testenv/apiserver"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

const cmName = "toolset"

// A draft has the documents for a writer, and records what the writer reports.
type draft struct {
	mu       sync.Mutex
	docs     []service.Document
	outcomes []string
	drifts   int
	notify   func()
}

func (d *draft) get() []service.Document { d.mu.Lock(); defer d.mu.Unlock(); return d.docs }

// whole returns a document that can't be split; none if doc is empty.
func whole(doc string) []service.Document {
	if doc == "" {
		return nil
	}
	return []service.Document{{Key: kubernaut.Key, Head: []byte(doc)}}
}

func (d *draft) set(doc string) { d.setDocs(whole(doc)) }

func (d *draft) setDocs(docs []service.Document) {
	d.mu.Lock()
	d.docs = docs
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

func (d *draft) options() Options {
	return Options{
		OnWrite: func(o string) { d.mu.Lock(); d.outcomes = append(d.outcomes, o); d.mu.Unlock() },
		OnDrift: func() { d.mu.Lock(); d.drifts++; d.mu.Unlock() },
	}
}

// write runs a writer with this first document.
func (a *api) write(t *testing.T, doc string, change func(*Options)) (*Writer, *draft) {
	t.Helper()
	return a.writeAs(t, apiserver.Client(t, a.CP.RESTConfig()), a.NS, doc, change)
}

func (a *api) writeAs(t *testing.T, client kubernetes.Interface, ns, doc string, change func(*Options), tune ...func(*Writer)) (*Writer, *draft) {
	t.Helper()
	d := &draft{docs: whole(doc)}
	opts := d.options()
	opts.Logger = clustertest.Logger(t)
	if change != nil {
		change(&opts)
	}
	return run(t, client, ns, d, opts, tune...), d
}

// run runs a writer of d.
func run(t *testing.T, client kubernetes.Interface, ns string, d *draft, opts Options, tune ...func(*Writer)) *Writer {
	t.Helper()
	w := newWriter(client, ns, d, opts)
	for _, f := range tune {
		f(w)
	}
	d.notify = w.Notify
	clustertest.Background(t, func(ctx context.Context) error { return runWithView(ctx, w) })
	<-w.started
	return w
}

// newWriter returns a writer with a view of its own.
func newWriter(client kubernetes.Interface, ns string, d *draft, opts Options) *Writer {
	view := NewView(client, ns, cmName, ViewOptions{Logger: opts.Logger, OnForbidden: opts.OnForbidden})
	return NewWriter(view, d.get, opts)
}

func runWithView(ctx context.Context, w *Writer) error {
	viewed := make(chan error, 1)
	go func() { viewed <- w.view.Run(ctx) }()
	return errors.Join(w.Run(ctx), <-viewed)
}

func (a *api) configMap(ns string) *corev1.ConfigMap {
	a.T.Helper()
	cm, err := a.CoreV1().ConfigMaps(ns).Get(a.T.Context(), cmName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		a.T.Fatal(err)
	}
	return cm
}

// wantDoc waits until the ConfigMap holds doc.
func (a *api) wantDoc(within time.Duration, doc string) time.Duration {
	a.T.Helper()
	return testenv.Eventually(a.T, within, "the ConfigMap holds "+doc, func() bool {
		cm := a.configMap(a.NS)
		return cm != nil && cm.Data[kubernaut.Key] == doc && cm.Labels[cluster.ManagedByLabel] == cluster.FieldManager
	})
}

func (a *api) patch(patch string) {
	a.T.Helper()
	_, err := a.CoreV1().ConfigMaps(a.NS).Patch(a.T.Context(), cmName, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"})
	if err != nil {
		a.T.Fatal(err)
	}
}

func TestConfigMapLife(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	w, d := a.write(t, "", nil)
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, errNoDocument) {
		t.Errorf("WriteNow without a document: %v", err)
	}
	if v := w.view.Version(); v != "" {
		t.Errorf("version %q", v)
	}
	d.set("one\n")
	t.Logf("created after %v", a.wantDoc(soon, "one\n"))
	first := a.configMap(a.NS)
	testenv.Eventually(t, soon, "the version", func() bool { return w.view.Version() == first.ResourceVersion })

	// Nothing is written without a change.
	for range 20 {
		w.Notify()
		time.Sleep(5 * time.Millisecond)
	}
	version, err := w.WriteNow(t.Context())
	if err != nil || version != first.ResourceVersion || a.configMap(a.NS).ResourceVersion != version {
		t.Errorf("WriteNow without a change: version %s after %s, %v", version, first.ResourceVersion, err)
	}
	if d.count(WriteSuccess) != 1 || d.count(WriteUnchanged) != 1 || d.drifted() != 0 {
		t.Errorf("outcomes %v, %d drifts", d.outcomes, d.drifts)
	}

	d.set("two\n")
	version, err = w.WriteNow(t.Context())
	if err != nil || version == first.ResourceVersion || w.view.Version() != version || a.configMap(a.NS).Data[kubernaut.Key] != "two\n" {
		t.Errorf("WriteNow: %s, %v", version, err)
	}

	// Our key and our label are changed, and the ConfigMap is deleted: each is repaired.
	a.patch(`{"data":{"toolset.json":"mine!"}}`)
	t.Logf("our key is repaired after %v", a.wantDoc(time.Second, "two\n"))
	a.patch(`{"metadata":{"labels":{"app.kubernetes.io/managed-by":"somebody"}}}`)
	t.Logf("our label is repaired after %v", a.wantDoc(time.Second, "two\n"))
	a.patch(`{"data":null}`)
	a.wantDoc(time.Second, "two\n")
	if err := a.CoreV1().ConfigMaps(a.NS).Delete(t.Context(), cmName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Logf("recreated after %v", a.wantDoc(time.Second, "two\n"))
	testenv.Eventually(t, soon, "four drifts", func() bool { return d.drifted() == 4 })
	last := a.configMap(a.NS).ResourceVersion
	testenv.Eventually(t, soon, "the version", func() bool { return w.view.Version() == last })
	clustertest.Remains(t, 300*time.Millisecond, "rest", func() bool { return a.configMap(a.NS).ResourceVersion == last })
}

// What others have put into the ConfigMap stays.
func TestConfigMapKeepsWhatIsOthers(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	_, err := a.CoreV1().ConfigMaps(a.NS).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: cmName, Labels: map[string]string{"their": "label"}, Annotations: map[string]string{"their": "annotation"}},
		Data:       map[string]string{"their.key": "theirs", kubernaut.Key: "old"}, BinaryData: map[string][]byte{"bin": {1}},
	}, metav1.CreateOptions{FieldManager: "helm"})
	if err != nil {
		t.Fatal(err)
	}
	w, d := a.write(t, "one", nil)
	a.wantDoc(soon, "one")
	check := func() {
		t.Helper()
		cm := a.configMap(a.NS)
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
	// Later edits of theirs cause no write.
	version := a.configMap(a.NS).ResourceVersion
	a.patch(`{"data":{"their.key":"theirs2"},"metadata":{"annotations":{"more":"x"}}}`)
	after := a.configMap(a.NS).ResourceVersion
	testenv.Eventually(t, soon, "the version", func() bool { return w.view.Version() == after })
	clustertest.Remains(t, 300*time.Millisecond, "rest", func() bool { return a.configMap(a.NS).ResourceVersion == after && after != version })
	if d.count(WriteSuccess) != 2 || d.drifted() != 0 {
		t.Errorf("outcomes %v, %d drifts", d.outcomes, d.drifts)
	}
}

// Another manager has applied our key with force; and a writer starts on what the last
// one has written.
func TestConfigMapOtherManager(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	apply := func(doc string) {
		t.Helper()
		_, err := a.CoreV1().ConfigMaps(a.NS).Apply(t.Context(), applycorev1.ConfigMap(cmName, a.NS).
			WithData(map[string]string{kubernaut.Key: doc, "k": "v"}), metav1.ApplyOptions{FieldManager: "argocd", Force: true})
		if err != nil {
			t.Fatal(err)
		}
	}
	apply("theirs")
	core, logs := observer.New(zap.WarnLevel)
	_, d := a.write(t, "ours", func(o *Options) { o.Logger = zap.New(core) })
	a.wantDoc(soon, "ours")
	apply("theirs again")
	a.wantDoc(time.Second, "ours")
	if d.drifted() != 1 {
		t.Errorf("%d drifts", d.drifted())
	}
	if all := logs.All(); len(all) != 1 || !strings.Contains(fmt.Sprint(all[0].ContextMap()), "argocd") {
		t.Errorf("the log does not name the other one: %v", all)
	}
	version := a.configMap(a.NS).ResourceVersion
	_, d2 := a.write(t, "ours", nil)
	clustertest.Remains(t, 400*time.Millisecond, "no write at the start", func() bool { return a.configMap(a.NS).ResourceVersion == version })
	if len(d2.outcomes) != 0 {
		t.Errorf("outcomes %v", d2.outcomes)
	}
}

func TestConfigMapCoalesces(t *testing.T) {
	t.Parallel()
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
