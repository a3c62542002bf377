package configmap

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/cluster/events"
	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/internal/testenv/apiserver"
	"kubernaut.io/dynamic-toolset/service"
)

// events are those of the namespace, in the order in which they happened.
func (a *api) events() []eventsv1.Event {
	a.T.Helper()
	list, err := a.EventsV1().Events(a.NS).List(a.T.Context(), metav1.ListOptions{})
	if err != nil {
		a.T.Fatal(err)
	}
	slices.SortFunc(list.Items, func(x, y eventsv1.Event) int { return x.EventTime.Compare(y.EventTime.Time) })
	return list.Items
}

// notes returns the notes of the Events with this reason.
func (a *api) notes(about events.About) (all []string) {
	a.T.Helper()
	for _, e := range a.events() {
		if e.Reason == about.Reason {
			all = append(all, e.Note)
		}
	}
	return all
}

func (a *api) wantNotes(about events.About, want ...string) {
	a.T.Helper()
	testenv.Eventually(a.T, soon, fmt.Sprintf("%s: %q", about.Reason, want), func() bool { return slices.Equal(a.notes(about), want) })
}

// tools is a document of these toolsets, each with a description.
func tools(pairs ...string) []service.Document {
	d := many(0, nil)
	for i := 0; i < len(pairs); i += 2 {
		d[0].Entries = append(d[0].Entries, fmt.Appendf(nil, "\n{\"name\":%q,\"namespace\":\"n\",\"description\":%q}", pairs[i], pairs[i+1]))
	}
	return d
}

func TestEventsSayWhatChanged(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	w, d := a.writeSmall(t, tools("a", "1", "b", "1"), func(w *Writer) { w.sayEvery = time.Second })
	a.wantNotes(toolsetsChanged, "added n/a, n/b; toolsets: 2")
	e := a.events()[0]
	cm := a.configMap(a.NS)
	if e.Regarding.Kind != "ConfigMap" || e.Regarding.Name != cmName || e.Regarding.UID != cm.UID || e.ReportingController != events.Controller || e.Type != "Normal" {
		t.Errorf("%+v", e)
	}
	// Changes that follow soon are reported together, the last state last.
	d.setDocs(tools("a", "2", "b", "1", "c", "1"))
	if _, err := w.WriteNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.setDocs(tools("a", "3", "c", "1"))
	a.wantNotes(toolsetsChanged, "added n/a, n/b; toolsets: 2", "added n/c; changed n/a; removed n/b; toolsets: 2")
	a.patch(`{"data":{"toolset.json":"mine!"}}`)
	a.wantNotes(drifted, `toolset was not as it was written: it was changed by "somebody"; it is repaired`)

	large := many(60, func(int) int { return 200 })
	d.setDocs(large)
	a.wantTools(soon, large)
	testenv.Eventually(t, soon, "it is said that they are split", func() bool { return len(a.notes(documentsSplit)) == 1 })
	d.setDocs(tools("a", "3"))
	testenv.Eventually(t, soon, "it is said that they are whole again", func() bool { return len(a.notes(documentsJoined)) == 1 })
	for range 3 {
		d.setDocs(many(1, func(int) int { return 5000 }))
		if _, err := w.WriteNow(t.Context()); !errors.Is(err, errTooLarge) {
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, soon, "it is said that they are too large", func() bool { return len(a.notes(documentsLarge)) > 0 })
	clustertest.Remains(t, 300*time.Millisecond, "said once", func() bool { return len(a.notes(documentsLarge)) == 1 })

	// The next process starts from what the last one has left, and reports what is new
	// since then.
	a2 := newAPI(t)
	a2.NS = a.NS
	d.setDocs(tools("a", "3"))
	a.wantTools(soon, tools("a", "3"))
	testenv.Eventually(t, soon, "all said", func() bool { n := a.notes(toolsetsChanged); return strings.HasSuffix(n[len(n)-1], "; toolsets: 1") })
	w.SetActive(false)
	before := len(a.notes(toolsetsChanged))
	a2.writeSmall(t, tools("a", "3", "z", "1"), nil)
	testenv.Eventually(t, soon, "one more", func() bool {
		n := a.notes(toolsetsChanged)
		return len(n) > before && n[len(n)-1] == "added n/z; toolsets: 2"
	})
}

// Without the right to send Events everything else works, and the log names the right.
func TestEventsForbidden(t *testing.T) {
	t.Parallel()
	const burst, queue = 20, 16 // docs/configmap.md
	a := newAPI(t)
	user := "system:serviceaccount:" + a.NS + ":toolset"
	a.Grant(user, "main", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{cmName}, Verbs: []string{"list", "watch", "create", "patch"}})
	core, logs := observer.New(zap.InfoLevel)
	var refused clustertest.Tally
	w, _ := a.writeAs(t, apiserver.Client(t, a.CP.RESTConfigAs(user)), a.NS, "one", func(o *Options) { o.Logger, o.OnForbidden = zap.New(core), refused.Note },
		func(w *Writer) {
			w.recorder = newRecorder(w.view, events.Options{Logger: w.log, OnForbidden: refused.Note, Retry: 20 * time.Millisecond})
		})
	a.wantDoc(soon, "one")
	a.patch(`{"data":{"toolset.json":"mine!"}}`)
	a.wantDoc(soon, "one")
	testenv.Eventually(t, soon, "it is tried again", func() bool { return refused.Count("create events") > 2*burst })
	for n := range 2 * burst {
		w.recorder.Post(overridesApplied, fmt.Sprint("note ", n))
	}
	lines := logs.FilterMessageSnippet("An Event could not be sent").All()
	if len(lines) != 1 || !strings.Contains(fmt.Sprint(lines[0].ContextMap()), user+" may not create events in namespace "+a.NS) {
		t.Errorf("log: %v", lines)
	}
	a.Grant(user, "events", rbacv1.PolicyRule{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create"}})
	// Although nothing else happens, the latest of the refused Events are sent; earlier
	// attempts don't delay them.
	testenv.Eventually(t, soon, "the latest are sent", func() bool {
		notes := a.notes(overridesApplied)
		return len(notes) == queue && notes[len(notes)-1] == fmt.Sprint("note ", 2*burst-1)
	})
	if n := logs.FilterMessageSnippet("Events can be sent again").Len(); n != 1 {
		t.Errorf("the log says %d times that it is over", n)
	}
	w.recorder.Post(overridesRefused, "after that")
	a.wantNotes(overridesRefused, "after that")
}

func TestEntrySet(t *testing.T) {
	setWith := func(docs []service.Document) entrySet { return entrySetOf(&docs[0], nil) }
	one, two := setWith(tools("a", "1", "b", "1", "c", "1")), setWith(tools("a", "1", "b", "2", "d", "1"))
	if got := two.diff(one); got != "added n/d; changed n/b; removed n/c" {
		t.Error(got)
	}
	if got := one.diff(one); got != "" {
		t.Error(got)
	}
	doc := tools("a", "1", "b", "1", "c", "1")
	if got := one.diff(entrySetIn(string(doc[0].Bytes()))); got != "" {
		t.Errorf("as a ConfigMap holds it, it is another one: %s", got)
	}
	if entrySetIn("mine!") != nil {
		t.Error("what is no document was read")
	}
	if got := entrySetOf(&service.Document{Entries: [][]byte{[]byte("{}"), []byte("x")}}, nil).diff(nil); !strings.HasPrefix(got, "added ?") {
		t.Error(got)
	}
	// Any number of changes fits into a note, which says how many it leaves out.
	before, after := many(3000, func(int) int { return 200 }), many(5000, func(int) int { return 201 })
	after[0].Entries = after[0].Entries[1000:]
	got := setWith(after).diff(setWith(before))
	if len(got) > events.MaxNote-50 || strings.Count(got, " more") != 3 {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}
