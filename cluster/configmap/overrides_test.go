package configmap

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/internal/testenv/apiserver"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/overrides"
)

// An overrideLog records the calls of OnChange.
type overrideLog struct {
	mu  sync.Mutex
	all []string
}

func (l *overrideLog) note(o *overrides.Set, wrong []service.Invalid) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(wrong) > 0 && o == nil:
		l.all = append(l.all, "refused")
	case o == nil:
		l.all = append(l.all, "none")
	default:
		l.all = append(l.all, fmt.Sprint(len(o.Added())))
	}
}

func (l *overrideLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, " ")
}

// replica runs the overrides and the writer of one view, as in a replica.
func (a *api) replica(t *testing.T, client kubernetes.Interface, doc string, note func(*overrides.Set, []service.Invalid), opts Options) (*Writer, *Overrides) {
	t.Helper()
	view := NewView(client, a.NS, cmName, ViewOptions{Logger: opts.Logger})
	o := NewOverrides(view, OverridesOptions{Logger: opts.Logger, OnChange: note})
	opts.Overrides = o
	w := NewWriter(view, func() []service.Document { return whole(doc) }, opts)
	for _, f := range []func(context.Context) error{view.Run, o.Run, w.Run} {
		clustertest.Background(t, f)
	}
	<-w.started
	return w, o
}

// Each replica follows the overrides. Overrides with mistakes count as none; the replica
// that writes reports them in an Event, once for each content.
func TestOverrides(t *testing.T) {
	t.Parallel()
	const added = `toolsets: [{add: true, name: x, namespace: n, type: custom, url: "http://x:1"}]`
	if _, wrong := overrides.Parse([]byte(added)); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	a := newAPI(t)
	var writers, readers overrideLog
	core, logs := observer.New(zap.InfoLevel)
	w, _ := a.replica(t, apiserver.Client(t, a.CP.RESTConfig()), "doc", writers.note, Options{Logger: clustertest.Logger(t)})
	reader, _ := a.replica(t, apiserver.Client(t, a.CP.RESTConfig()), "doc", readers.note, Options{Standby: true, Logger: zap.New(core)})
	a.wantDoc(soon, "doc")
	told := func(want string) {
		t.Helper()
		testenv.Eventually(t, soon, "both are told "+want+", not "+writers.String()+" and "+readers.String(), func() bool { return writers.String() == want && readers.String() == want })
	}
	told("")
	set := func(text string) {
		t.Helper()
		a.patch(fmt.Sprintf(`{"data":{"overrides.yaml":%q}}`, text))
	}
	set(added)
	told("1")
	a.wantNotes(overridesApplied, "overrides.yaml is valid and in force")
	a.patch(`{"data":{"theirs":"x"}}`) // a change that is not about the overrides
	set("toolsets: [{name: x, disabel: true}]")
	told("1 refused")
	testenv.Eventually(t, soon, "an Event", func() bool { return len(a.notes(overridesRefused)) == 1 })
	if note := a.notes(overridesRefused)[0]; !strings.Contains(note, "toolsets[0]") || !strings.Contains(note, "disabel") {
		t.Errorf("the Event does not say where the mistake is: %s", note)
	}
	if lines := logs.FilterMessageSnippet("overrides have mistakes").All(); len(lines) != 1 || lines[0].Level != zap.ErrorLevel || !strings.Contains(fmt.Sprint(lines[0].ContextMap()), "disabel") {
		t.Errorf("log: %v", lines)
	}
	a.patch(`{"data":{"theirs":"y"}}`)
	w.Notify()
	clustertest.Remains(t, 500*time.Millisecond, "one Event for this content", func() bool { return len(a.notes(overridesRefused)) == 1 })
	set(added)
	told("1 refused 1")
	a.wantNotes(overridesApplied, "overrides.yaml is valid and in force", "overrides.yaml is valid and in force")
	if err := a.CoreV1().ConfigMaps(a.NS).Delete(t.Context(), cmName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	told("1 refused 1 none")
	a.wantDoc(soon, "doc")
	// The key is not ours: our writes leave it, and a change of it is no drift.
	set("toolsets: []")
	if cm := a.configMap(a.NS); cm.Data[overrides.Key] != "toolsets: []" {
		t.Error("the overrides were lost")
	}
	w.SetActive(false)
	set("mistake")
	testenv.Eventually(t, soon, "it is refused", func() bool { return strings.HasSuffix(readers.String(), "refused") })
	clustertest.Remains(t, 300*time.Millisecond, "nobody sends an Event", func() bool { return len(a.notes(overridesRefused)) == 1 })
	reader.SetActive(true)
	testenv.Eventually(t, soon, "the new writer does", func() bool { return len(a.notes(overridesRefused)) == 2 })
}

// OnChange is called with the overrides of the start before Known is closed, so that
// nothing is shown without them. If they can't be read, Known is closed all the same.
func TestOverridesAtTheStart(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	_, err := a.CoreV1().ConfigMaps(a.NS).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: cmName},
		Data: map[string]string{overrides.Key: "toolsets: []"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var told overrideLog
	_, o := a.replica(t, apiserver.Client(t, a.CP.RESTConfig()), "", func(ov *overrides.Set, wrong []service.Invalid) {
		time.Sleep(300 * time.Millisecond)
		told.note(ov, wrong)
	}, Options{})
	<-o.Known()
	if told.String() != "0" {
		t.Errorf("told %q", told.String())
	}
	_, o = a.replica(t, apiserver.Client(t, a.CP.RESTConfigAs("nobody")), "", nil, Options{})
	select {
	case <-o.Known():
	case <-time.After(soon):
		t.Error("whoever may not read waits for ever")
	}
}
