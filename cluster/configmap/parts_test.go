package configmap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/internal/testenv/apiserver"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// parts returns all ConfigMaps except the main one, by name.
func (a *api) parts() map[string]corev1.ConfigMap {
	a.T.Helper()
	list, err := a.CoreV1().ConfigMaps(a.NS).List(a.T.Context(), metav1.ListOptions{})
	if err != nil {
		a.T.Fatal(err)
	}
	all := map[string]corev1.ConfigMap{}
	for _, cm := range list.Items {
		if strings.HasPrefix(cm.Name, cmName+"-") {
			all[cm.Name] = cm
		}
	}
	return all
}

// writeSmall runs a writer that splits documents of more than a few kilobytes.
func (a *api) writeSmall(t *testing.T, docs []service.Document, change func(*Writer)) (*Writer, *draft) {
	t.Helper()
	d := &draft{docs: docs}
	opts := d.options()
	opts.Logger = clustertest.Logger(t)
	opts.MinInterval = 50 * time.Millisecond
	return run(t, apiserver.Client(t, a.CP.RESTConfig()), a.NS, d, opts, func(w *Writer) {
		w.limits, w.grace = smallLimits, time.Second
		if change != nil {
			change(w)
		}
	}), d
}

// With the real sizes, 3 MB are split into parts, each a document. A small change writes
// one part and the index. When the documents shrink they are in one ConfigMap again, and
// no part is left.
func TestPartsLife(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	docs := many(3000, func(int) int { return 1000 })
	w, d := a.writeSmall(t, docs, func(w *Writer) { w.limits = defaultLimits })
	if _, err := w.WriteNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.wantTools(soon, docs)
	cm := a.configMap(a.NS)
	if _, whole := cm.Data[kubernaut.Key]; whole {
		t.Error("the whole document is there besides")
	}
	before := a.parts()
	if len(before) < 4 || len(before) > 9 {
		t.Errorf("%d parts", len(before))
	}
	t.Logf("%d parts, index:\n%s", len(before), cm.Data[IndexKey])

	changed := many(3000, func(int) int { return 1000 })
	changed[0].Entries[1700] = entry(99_999, 1000)
	d.setDocs(changed)
	if _, err := w.WriteNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.wantTools(soon, changed)
	for name, cm := range before {
		if now, ok := a.parts()[name]; ok && now.ResourceVersion != cm.ResourceVersion {
			t.Errorf("%s was rewritten while readers may look at it", name)
		}
	}
	testenv.Eventually(t, soon, "the part that was replaced is deleted", func() bool { return len(a.parts()) == len(before) })
	kept := 0
	for name, cm := range a.parts() {
		if before[name].ResourceVersion == cm.ResourceVersion {
			kept++
		}
	}
	if kept < len(before)-2 {
		t.Errorf("a small change rewrote %d of %d parts", len(before)-kept, len(before))
	}

	small := many(10, func(int) int { return 1000 })
	d.setDocs(small)
	a.wantTools(soon, small)
	testenv.Eventually(t, soon, "no part, index or note is left", func() bool {
		cm := a.configMap(a.NS)
		_, index := cm.Data[IndexKey]
		return len(a.parts()) == 0 && !index && len(cm.Annotations) == 0
	})
	if d.drifted() != 0 {
		t.Errorf("%d drifts", d.drifted())
	}
}

// A reader that follows the index finds what it says at any time, even while everything
// changes and while documents are split or put together.
func TestPartsAreNeverTorn(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	docs := func(n, round int) []service.Document {
		all := many(n, func(int) int { return 200 })
		for i := round % 7; i < n; i += 7 {
			all[0].Entries[i] = entry(round*1000+i, 200)
		}
		return append(all, service.Document{Key: holmesgpt.Key, Head: fmt.Appendf(nil, "# %d\n", round)})
	}
	_, d := a.writeSmall(t, docs(60, 0), nil)
	testenv.Eventually(t, soon, "the first", func() bool { return a.configMap(a.NS) != nil && len(a.configMap(a.NS).Data) > 0 })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	var reads, torn int
	wg.Go(func() {
		for ctx.Err() == nil {
			got, again, err := a.readDocuments(ctx)
			switch {
			case ctx.Err() != nil:
			case err != nil:
				t.Error(err)
			case again:
				torn++
			case len(got) != 2:
				t.Errorf("documents %d", len(got))
			default:
				toolNames(t, got[kubernaut.Key])
				reads++
			}
		}
	})
	r := rand.New(rand.NewPCG(5, 6))
	var last []service.Document
	for round := range 25 {
		n := 10 + r.IntN(100)
		if round%3 == 0 {
			n = 5 // whole
		}
		last = docs(n, round)
		d.setDocs(last)
		time.Sleep(250 * time.Millisecond)
	}
	a.wantTools(soon, last)
	cancel()
	wg.Wait()
	t.Logf("%d reads, %d torn, %d writes", reads, torn, d.count(WriteSuccess))
	if torn > 0 || reads == 0 {
		t.Errorf("%d reads of %d found something else than the index says", torn, torn+reads)
	}
	if d.drifted() != 0 {
		t.Errorf("%d drifts", d.drifted())
	}
}

// Parts and index are repaired in place, and what others keep there stays.
func TestPartsAreRepaired(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	docs := many(60, func(int) int { return 200 })
	_, d := a.writeSmall(t, docs, nil)
	a.wantTools(soon, docs)
	names := func() string {
		var all []string
		for name := range a.parts() {
			all = append(all, name)
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	before, index := names(), a.configMap(a.NS).Data[IndexKey]
	patch := func(name, patch string) {
		t.Helper()
		if _, err := a.CoreV1().ConfigMaps(a.NS).Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(name string) {
		t.Helper()
		if err := a.CoreV1().ConfigMaps(a.NS).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	drifts := 0
	repaired := func(what string) {
		t.Helper()
		drifts++
		testenv.Eventually(t, time.Second, "the drift is seen: "+what, func() bool { return d.drifted() == drifts })
		t.Logf("%s: repaired %v later", what, a.wantTools(time.Second, docs))
		if now := a.configMap(a.NS).Data[IndexKey]; names() != before || now != index {
			t.Errorf("%s: parts %s, index %s", what, names(), now)
		}
	}
	patch(cmName+"-2", `{"data":{"toolset.json":"mine!","theirs":"kept"}}`)
	repaired("a part is edited")
	if a.parts()[cmName+"-2"].Data["theirs"] != "kept" {
		t.Error("a foreign key of a part was lost")
	}
	remove(cmName + "-1")
	repaired("a part is deleted")
	patch(cmName, `{"data":{"index.json":"{}"}}`)
	repaired("the index is edited")
	patch(cmName, `{"data":{"toolset.json":"stale"}}`)
	repaired("a document stands beside the index")
	testenv.Eventually(t, soon, "it is gone", func() bool { _, is := a.configMap(a.NS).Data[kubernaut.Key]; return !is })
	patch(cmName, `{"metadata":{"annotations":{"kubernaut.io/toolset-parts":"0"}}}`)
	repaired("the note of the parts is edited")
	remove(cmName)
	repaired("the main ConfigMap is deleted")

	// Not split again: of the part in which somebody keeps something, only our keys are
	// removed.
	d.setDocs(many(3, func(int) int { return 200 }))
	testenv.Eventually(t, soon, "the parts are gone", func() bool { return names() == cmName+"-2" })
	testenv.Eventually(t, soon, "ours is gone", func() bool {
		p := a.parts()[cmName+"-2"]
		return len(p.Data) == 1 && p.Data["theirs"] == "kept" && len(p.Labels)+len(p.Annotations) == 0
	})
}

// ConfigMaps of others that have the name of a part are left alone.
func TestPartsLeaveOthersAlone(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	theirs, err := a.CoreV1().ConfigMaps(a.NS).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: cmName + "-1"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	docs := many(60, func(int) int { return 200 })
	_, d := a.writeSmall(t, docs, nil)
	a.wantTools(soon, docs)
	d.setDocs(many(3, func(int) int { return 200 }))
	testenv.Eventually(t, soon, "the parts are gone", func() bool { return len(a.parts()) <= 1 })
	time.Sleep(500 * time.Millisecond) // time to delete one more
	if now := a.parts()[cmName+"-1"]; now.ResourceVersion != theirs.ResourceVersion {
		t.Errorf("it was changed: %v", now)
	}
}

// A writer ends between any two writes, of the first parts or of later ones. The next
// writer, which needs no parts, removes all that is left.
func TestPartsAfterACrash(t *testing.T) {
	t.Parallel()
	crash := func(a *api, token string, docs []service.Document, writes int) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		d := &draft{docs: docs, notify: func() {}}
		opts := d.options()
		n := 0
		opts.Fence = func() (string, bool) { // asked once for the term, then before each write
			if n++; n > writes+1 {
				cancel()
				return "", false
			}
			return token, true
		}
		w := newWriter(apiserver.Client(t, a.CP.RESTConfig()), a.NS, d, opts)
		w.limits, w.grace = smallLimits, 10*time.Millisecond
		time.AfterFunc(3*time.Second, cancel)
		if err := runWithView(ctx, w); err != nil {
			t.Fatal(err)
		}
		if cm := a.configMap(a.NS); cm != nil && len(cm.Data) > 0 {
			if _, again, err := a.readDocuments(t.Context()); err != nil || again {
				t.Fatalf("after %d writes, readers find %v, torn %v", writes, err, again)
			}
		}
	}
	most := 0
	for writes := range 7 {
		a := newAPI(t)
		docs := many(40, func(int) int { return 200 })
		crash(a, "one", docs, writes)
		first := len(a.parts())
		for i := range 3 {
			docs[0].Entries[13*i] = entry(10_000+i, 200)
		}
		crash(a, "two", docs, writes)
		t.Logf("ended after %d writes: %d parts, then %d", writes, first, len(a.parts()))
		most = max(most, first)
		small := many(3, func(int) int { return 200 })
		_, d := a.writeSmall(t, small, nil)
		a.wantTools(soon, small)
		testenv.Eventually(t, soon, "nothing is left", func() bool { return len(a.parts()) == 0 && len(a.configMap(a.NS).Annotations) == 0 })
		if d.drifted() != 0 {
			t.Errorf("%d drifts", d.drifted())
		}
	}
	if most == 0 {
		t.Error("no part was ever left")
	}
}

// The rights for the parts are by name. Without them the documents stay as they were, and
// the log and the error name the right.
func TestPartsRights(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	user := "system:serviceaccount:" + a.NS + ":toolset"
	rule := func(names []string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: names, Verbs: verbs}
	}
	a.Grant(user, "main", rule([]string{cmName}, "list", "watch", "create", "patch"))
	d := &draft{docs: many(5, func(int) int { return 200 }), notify: func() {}}
	opts := d.options()
	opts.Logger = clustertest.Logger(t)
	w := run(t, apiserver.Client(t, a.CP.RESTConfigAs(user)), a.NS, d, opts, func(w *Writer) { w.limits, w.grace = smallLimits, time.Second })
	a.wantTools(soon, d.get())
	large := many(60, func(int) int { return 200 })
	d.setDocs(large)
	if _, err := w.WriteNow(t.Context()); !errors.Is(err, cluster.ErrForbidden) || !strings.Contains(err.Error(), `may not list configmaps "`+cmName+`-1"`) {
		t.Errorf("WriteNow: %v", err)
	}
	a.wantTools(soon, many(5, func(int) int { return 200 }))
	var parts []string
	for i := range PartNames {
		parts = append(parts, PartName(cmName, i+1))
	}
	a.Grant(user, "parts", rule(parts, "list", "watch", "create", "patch", "delete"))
	t.Logf("split %v after the right was granted", a.wantTools(25*time.Second, large))
	d.setDocs(many(5, func(int) int { return 200 }))
	testenv.Eventually(t, soon, "the parts are gone", func() bool { return len(a.parts()) == 0 })
}
