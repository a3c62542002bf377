package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/configmap"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// A history has every version that the Lease and the ConfigMap have ever had. The API
// server numbers all writes, of all objects, in one sequence. So it is known for each
// write of the ConfigMap who held the Lease at that time.
type history struct {
	t    *testing.T
	stop func() // ends it; harmless if called again
	mu   sync.Mutex
	// In the order of their versions.
	leases []leaseVersion
	maps   []mapVersion
}

// A leaseVersion is the Lease from version on.
type leaseVersion struct {
	version uint64
	holder  string // empty if it is released
	term    string // what the token of the holder's writes is
	seen    time.Time
}

type mapVersion struct {
	version uint64
	token   string
	manager string // of the document; empty for none
	seen    time.Time
}

// record records both until stop, or until the test ends. It misses nothing except when
// the API server is restarted, which forgets earlier versions.
func record(t *testing.T, admin kubernetes.Interface, namespace string) *history {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	h := &history{t: t, stop: cancel}
	t.Cleanup(cancel)
	follow := func(name string, lw *cache.ListWatch, take func(watch.Event)) {
		one := func(o metav1.ListOptions) metav1.ListOptions {
			o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
			return o
		}
		list, err := lw.ListWithContext(ctx, one(metav1.ListOptions{}))
		if err != nil {
			t.Fatal(err)
		}
		version := list.(metav1.ListInterface).GetResourceVersion()
		if err := meta.EachListItem(list, func(o runtime.Object) error { take(watch.Event{Type: watch.Added, Object: o}); return nil }); err != nil {
			t.Fatal(err)
		}
		w, err := watchtools.NewRetryWatcherWithContext(ctx, version, &cache.ListWatch{
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				return lw.WatchWithContext(ctx, one(o))
			}})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for event := range w.ResultChan() {
				if event.Type == watch.Error {
					if ctx.Err() != nil {
						return
					}
					t.Errorf("the record of %s has a gap: %v", name, event.Object)
					return
				}
				take(event)
			}
		}()
		t.Cleanup(func() { w.Stop(); <-ended })
	}
	follow(leaseName, &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return admin.CoordinationV1().Leases(namespace).List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return admin.CoordinationV1().Leases(namespace).Watch(ctx, o)
		},
	}, h.takeLease)
	follow(configMapName, &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return admin.CoreV1().ConfigMaps(namespace).List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return admin.CoreV1().ConfigMaps(namespace).Watch(ctx, o)
		},
	}, h.takeMap)
	return h
}

func (h *history) takeLease(event watch.Event) {
	lease := event.Object.(*coordinationv1.Lease)
	v := leaseVersion{version: number(h.t, lease.ResourceVersion), seen: time.Now()}
	if holder := lease.Spec.HolderIdentity; holder != nil && *holder != "" && event.Type != watch.Deleted {
		v.holder, v.term = *holder, fmt.Sprintf("%s/%d", *holder, *lease.Spec.LeaseTransitions)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leases = append(h.leases, v)
}

func (h *history) takeMap(event watch.Event) {
	cm := event.Object.(*corev1.ConfigMap)
	v := mapVersion{version: number(h.t, cm.ResourceVersion), token: cm.Annotations[configmap.WriterAnnotation], seen: time.Now()}
	for _, m := range cm.ManagedFields {
		if m.FieldsV1 != nil && strings.Contains(m.FieldsV1.GetRawString(), fmt.Sprintf("%q", "f:"+kubernaut.Key)) {
			v.manager += m.Manager
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.maps = append(h.maps, v)
}

func number(t *testing.T, version string) uint64 {
	n, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		t.Errorf("the version %q is no number", version)
	}
	return n
}

// holder returns who holds the Lease now.
func (h *history) holder() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.leases) == 0 {
		return ""
	}
	return h.leases[len(h.leases)-1].holder
}

// after waits for the next term after one of holder, and for the first write in it. It
// returns who holds it, and the times of both.
func (h *history) after(within time.Duration, holder string) (next string, taken, wrote time.Time) {
	h.t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		h.mu.Lock()
		old, term := -1, ""
		for i, l := range h.leases {
			if l.holder == holder {
				old, term = i, ""
			} else if term == "" && old >= 0 && l.holder != "" {
				next, term, taken = l.holder, l.term, l.seen
			}
		}
		for _, m := range h.maps {
			if term != "" && m.token == term {
				wrote = m.seen
				h.mu.Unlock()
				return next, taken, wrote
			}
		}
		h.mu.Unlock()
	}
	h.t.Fatalf("not within %v: another term than that of %s, and a write in it", within, holder)
	return "", time.Time{}, time.Time{}
}

// check verifies that there was only one writer at any time: each version of the
// ConfigMap has the token of the term in which it was written, and after the first write
// of a term there is none of an earlier term.
//
// Between the end of a term and the first write of the next one, a write of the former
// that was on its way may arrive. It is in order, undoes nothing, and is counted as late.
func (h *history) check() {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	order := map[string]int{"": 0} // the number of each term
	began := map[string]uint64{}
	for _, l := range h.leases {
		if _, known := order[l.term]; !known {
			order[l.term] = len(order)
			began[l.term] = l.version
		}
	}
	late, last := 0, ""
	writes := map[string]int{}
	for _, m := range h.maps {
		writes[m.token]++
		if m.manager != cluster.FieldManager {
			h.t.Errorf("version %d: the document is owned by %q", m.version, m.manager)
		}
		turn, known := order[m.token]
		switch {
		case m.token == "" || !known:
			h.t.Errorf("version %d has the token %q, of no term", m.version, m.token)
		case m.version < began[m.token]:
			h.t.Errorf("version %d was written by %s before its term began, at %d", m.version, m.token, began[m.token])
		case turn < order[last]:
			h.t.Errorf("version %d was written by %s, after %s had written", m.version, m.token, last)
		}
		if h.termAt(m.version) != m.token {
			late++
		}
		last = m.token
	}
	h.t.Logf("%d terms, %d versions of the ConfigMap, %d of them late: %v", len(order)-1, len(h.maps), late, writes)
	for term := range order {
		if term != "" && writes[term] == 0 {
			h.t.Logf("the term %s did not write", term)
		}
	}
	if len(h.maps) < 20 {
		h.t.Errorf("only %d versions of the ConfigMap: too few to show anything", len(h.maps))
	}
}

// termAt returns the term in which this version was written; empty if there was none.
func (h *history) termAt(version uint64) (term string) {
	for _, l := range h.leases {
		if l.version < version {
			term = l.term
		}
	}
	return term
}
