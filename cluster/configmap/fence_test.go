package configmap

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/internal/testenv/apiserver"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
	"kubernaut.io/dynamic-toolset/service/overrides"
)

// A checkpoint is a fence that stops its writer at the nth call from now, and afterwards
// returns what was true before: like a process that is stopped between asking and
// writing.
type checkpoint struct {
	token string

	mu      sync.Mutex
	closed  bool
	in      int           // the number of calls before the one that stops; negative: never
	stopped chan struct{} // closed when it stops
	goOn    chan struct{}
}

func newCheckpoint(token string) *checkpoint {
	return &checkpoint{token: token, in: -1, stopped: make(chan struct{}), goOn: make(chan struct{})}
}

func (g *checkpoint) fence() (string, bool) {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return "", false
	}
	stop := g.in == 0
	g.in--
	g.mu.Unlock()
	if stop {
		close(g.stopped)
		<-g.goOn
		g.mu.Lock()
		g.closed = true // from the next time on
		g.mu.Unlock()
	}
	return g.token, true
}

func (g *checkpoint) stopAfter(n int) { g.mu.Lock(); g.in = n; g.mu.Unlock() }

// A leader that is stopped at any point of writing parts and goes on later changes
// nothing that the next leader has written, and nothing that readers find. What it leaves
// behind is removed.
func TestPartsFence(t *testing.T) {
	t.Parallel()
	docs := func(n, round int) []service.Document {
		d := many(n, func(int) int { return 200 })
		for i := range n {
			d[0].Entries[i] = entry(round*1000+i, 200)
		}
		return d
	}
	stopped := 0
	for n := range 9 {
		t.Run(fmt.Sprint("stopped at its write ", n+1), func(t *testing.T) {
			a := newAPI(t)
			one, two := newCheckpoint("one"), newCheckpoint("two")
			first, d := a.writeSmall(t, docs(40, 1), func(w *Writer) { w.opts.Fence, w.grace = one.fence, 300*time.Millisecond })
			a.wantTools(soon, docs(40, 1))
			first.Notify()
			time.Sleep(200 * time.Millisecond)
			one.stopAfter(n)
			d.setDocs(docs(50, 2))
			t.Cleanup(sync.OnceFunc(func() { close(one.goOn) }))
			if !a.comesTo(one.stopped, docs(50, 2)) {
				t.Log("it writes less often: there is nothing to stop")
				return
			}
			stopped++
			next := docs(45, 3)
			second, _ := a.writeSmall(t, next, func(w *Writer) { w.opts.Fence, w.grace = two.fence, 300*time.Millisecond })
			a.wantTools(soon, next)
			version := second.view.Version()
			if n%2 == 0 { // with and without the time to remove what is left
				time.Sleep(time.Second)
			}
			one.goOn <- struct{}{}
			clustertest.Remains(t, time.Second, "readers find what the second has written", func() bool {
				got, again, err := a.readDocuments(t.Context())
				return err == nil && !again && len(toolNames(t, got[kubernaut.Key])) == 45
			})
			if cm := a.configMap(a.NS); cm.ResourceVersion != version || cm.Annotations[WriterAnnotation] != "two" {
				t.Errorf("the main ConfigMap was written: version %s, then %s: %v", version, cm.ResourceVersion, cm.Annotations)
			}
			index := parseIndex(cmName, a.configMap(a.NS).Data[IndexKey])
			testenv.Eventually(t, soon, "only what the index is about is left", func() bool { return len(a.parts()) == len(index) })
			for name, cm := range a.parts() {
				if cm.Annotations[WriterAnnotation] != "two" {
					t.Errorf("%s is of %v", name, cm.Annotations)
				}
			}
		})
	}
	if stopped < 5 {
		t.Errorf("it was stopped at %d writes only", stopped)
	}
}

// comesTo waits until a writer is stopped and returns true. It returns false if readers
// have found these documents and nothing was written for three seconds.
func (a *api) comesTo(stopped <-chan struct{}, docs []service.Document) bool {
	a.T.Helper()
	want := toolNames(a.T, []string{string(docs[0].Bytes())})
	var written string
	var since time.Time
	testenv.Eventually(a.T, soon, "the writer is stopped, or has written all", func() bool {
		list, err := a.CoreV1().ConfigMaps(a.NS).List(a.T.Context(), metav1.ListOptions{})
		if err != nil {
			return false
		}
		now := ""
		for _, cm := range list.Items {
			now += cm.Name + " " + cm.ResourceVersion + "\n"
		}
		if now != written {
			written, since = now, time.Now()
		}
		got, again, err := a.readDocuments(a.T.Context())
		whole := err == nil && !again && slices.Equal(toolNames(a.T, got[kubernaut.Key]), want)
		return clustertest.IsClosed(stopped) || whole && time.Since(since) > 3*time.Second
	})
	return clustertest.IsClosed(stopped)
}

// If the watch does not report a change in time, a write that was refused because of it
// is tried again after reading the ConfigMap without the watch.
func TestConfigMapConflict(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	user := "system:serviceaccount:" + a.NS + ":toolset"
	a.Grant(user, "writes", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{cmName}, Verbs: []string{"list", "create", "patch"}})
	core, logs := observer.New(zap.ErrorLevel)
	w, d := a.writeAs(t, apiserver.Client(t, a.CP.RESTConfigAs(user)), a.NS, "one", func(o *Options) {
		o.Fence, o.Logger = newCheckpoint("me").fence, zap.New(core)
	})
	a.wantDoc(soon, "one")
	a.patch(`{"data":{"theirs":"x"}}`)
	d.set("two")
	if _, err := w.WriteNow(t.Context()); err != nil {
		t.Errorf("WriteNow: %v", err)
	}
	a.wantDoc(soon, "two")
	if cm := a.configMap(a.NS); cm.Data["theirs"] != "x" || d.count(WriteConflict) == 0 {
		t.Errorf("%v, outcomes %v", cm.Data, d.outcomes)
	}
	if n := logs.FilterMessageSnippet("could not be written").Len(); n > 0 {
		t.Errorf("a conflict that was over at once is logged as an error: %v", logs.All())
	}
}

// With a fence, nothing is written before it is known what is there; not even without the
// right to list it.
func TestConfigMapUnknown(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	user := "system:serviceaccount:" + a.NS + ":toolset"
	a.Grant(user, "writes", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{cmName}, Verbs: []string{"create", "patch"}})
	_, err := a.CoreV1().ConfigMaps(a.NS).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: cmName},
		Data: map[string]string{"theirs": "x", IndexKey: "stale"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, d := a.writeAs(t, apiserver.Client(t, a.CP.RESTConfigAs(user)), a.NS, "one", func(o *Options) { o.Fence = newCheckpoint("me").fence })
	a.wantDoc(soon, "one")
	testenv.Eventually(t, soon, "a stale index is gone, which somebody else owned too", func() bool { _, is := a.configMap(a.NS).Data[IndexKey]; return !is })
	if cm := a.configMap(a.NS); cm.Data["theirs"] != "x" || len(cm.Data) != 2 || cm.Annotations[WriterAnnotation] != "me" {
		t.Errorf("%v %v", cm.Data, cm.Annotations)
	}
	if d.count(WriteConflict) > 0 {
		t.Errorf("outcomes %v", d.outcomes)
	}
}

// A replica that does not write returns what the leader has written, or says why it
// can't.
func TestConfigMapStandbyAnswers(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	w, _ := a.write(t, "doc", func(o *Options) { o.Standby = true })
	var public interface{ Public() string }
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, ErrStandby) || !errors.As(err, &public) {
		t.Errorf("without a ConfigMap: %v", err)
	}
	// A ConfigMap that no replica has written is not an answer.
	if _, err := a.CoreV1().ConfigMaps(a.NS).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: cmName},
		Data: map[string]string{overrides.Key: "toolsets: []"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, soon, "it is seen", func() bool { return w.view.Version() != "" })
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, ErrStandby) {
		t.Errorf("with overrides only: %v", err)
	}
	leader, _ := a.write(t, "doc", nil)
	a.wantDoc(soon, "doc")
	testenv.Eventually(t, soon, "the answer", func() bool {
		v, err := w.WriteNow(t.Context())
		return err == nil && v != "" && v == leader.view.Version()
	})
}

// A leader is stopped when it is about to delete a part that its index no longer refers
// to. The next leader deletes that part and uses its name again. The late deletion must
// not remove the new part.
func TestPartsFenceOfADeletion(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	docs, other := many(40, func(int) int { return 200 }), many(41, func(int) int { return 201 })
	one, two := newCheckpoint("one"), newCheckpoint("two")
	_, d := a.writeSmall(t, docs, func(w *Writer) { w.opts.Fence, w.grace = one.fence, 3*time.Second })
	a.wantTools(soon, docs)
	d.setDocs(other)
	a.wantTools(soon, other)
	one.stopAfter(0)
	t.Cleanup(sync.OnceFunc(func() { close(one.goOn) }))
	select {
	case <-one.stopped:
	case <-time.After(soon):
		t.Fatal("it never deletes")
	}
	_, d2 := a.writeSmall(t, other, func(w *Writer) { w.opts.Fence, w.grace = two.fence, 100*time.Millisecond })
	index := func() map[int]held { return parseIndex(cmName, a.configMap(a.NS).Data[IndexKey]) }
	testenv.Eventually(t, soon, "the second has deleted it", func() bool { _, is := a.parts()[PartName(cmName, 1)]; return !is })
	d2.setDocs(docs)
	a.wantTools(soon, docs)
	if _, used := index()[1]; !used {
		t.Fatalf("the name is not used anew: %v", index())
	}
	one.goOn <- struct{}{}
	clustertest.Remains(t, time.Second, "each part is there", func() bool {
		_, again, err := a.readDocuments(t.Context())
		return err == nil && !again
	})
	if d2.drifted() != 0 {
		t.Error("a part was deleted, and had to be repaired")
	}
}
