package configmap

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/cluster/leader"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/internal/testenv/apiserver"
)

// A scribe is a candidate with its writer, like a replica.
type scribe struct {
	*leader.Candidate
	*draft
	writer *Writer
	gate   gate
}

func (s *scribe) token() string { token, _ := s.Fence(); return token }

// leads waits until this scribe leads.
func (s *scribe) leads(t *testing.T, within time.Duration) {
	t.Helper()
	testenv.Eventually(t, within, s.Identity()+" leads", func() bool { return s.token() != "" && s.writer.active.Load() })
}

// scribe runs a scribe. network, if not nil, carries only the calls of its candidate.
func (a *api) scribe(t *testing.T, identity, doc string, network *clustertest.Network) *scribe {
	t.Helper()
	s := &scribe{}
	cfg := a.CP.RESTConfig()
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { s.gate.next = next; return &s.gate })
	ready := make(chan struct{})
	s.writer, s.draft = a.writeAs(t, apiserver.Client(t, cfg), a.NS, doc, func(o *Options) {
		o.Standby = true
		o.MinInterval = 10 * time.Millisecond
		o.Fence = func() (string, bool) { <-ready; return s.Fence() }
	})
	cfg = a.CP.RESTConfig()
	cfg.Dial = network.Dial
	s.Candidate = leader.New(apiserver.Client(t, cfg), a.NS, "writer", identity, leader.Options{
		Logger: clustertest.Logger(t), OnLead: func(leading bool) { s.writer.SetActive(leading) },
		// Long enough for a renewal on a busy machine.
		LeaseDuration: 5 * time.Second, RenewDeadline: 4 * time.Second, RetryPeriod: 300 * time.Millisecond,
	})
	clustertest.Background(t, s.Run)
	close(ready)
	return s
}

// A gate can hold back a write that has left the writer, as when the process is stopped
// at that moment and goes on later.
type gate struct {
	next    http.RoundTripper
	mu      sync.Mutex
	open    chan struct{} // nil if nothing is held back
	waiting chan struct{} // closed when a write is held back
	status  int           // of the write that was held back
}

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	open, waiting := g.open, g.waiting
	g.mu.Unlock()
	if r.Method != http.MethodPatch || open == nil {
		return g.next.RoundTrip(r)
	}
	close(waiting)
	<-open
	resp, err := g.next.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
	if err == nil {
		g.mu.Lock()
		g.status = resp.StatusCode
		g.mu.Unlock()
	}
	return resp, err
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open, g.waiting = make(chan struct{}), make(chan struct{})
}

func (g *gate) letGo() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open != nil {
		close(g.open)
		g.open = nil
	}
}

func (g *gate) outcome() int { g.mu.Lock(); defer g.mu.Unlock(); return g.status }

// A leader is stopped after it has made sure that it leads and before it writes. When it
// goes on, another replica has written, and the late write is refused. The same holds if
// there was no ConfigMap before, or if there is none any more.
func TestFenceOfAStoppedLeader(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		before, deleted bool // whether there is a ConfigMap when it is stopped; and none at the end
	}{
		{"an update", true, false},
		{"a creation", false, false},
		{"after a deletion", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			history := a.recordConfigMap(t)
			network, open := clustertest.NewNetwork(t), clustertest.NewNetwork(t)
			doc := ""
			if c.before {
				doc = "one"
			}
			first := a.scribe(t, "first", doc, network)
			first.leads(t, soon)
			if c.before {
				a.wantDoc(soon, "one")
			}
			second := a.scribe(t, "second", "two", open)
			testenv.Eventually(t, soon, "it knows who leads", func() bool { return second.Holder() == "first" })
			old := first.token()
			first.gate.shut()
			defer first.gate.letGo()
			first.set("late")
			testenv.Eventually(t, soon, "it is about to write", func() bool { return clustertest.IsClosed(first.gate.waiting) })
			network.Freeze(true)
			second.leads(t, 10*time.Second)
			a.wantDoc(soon, "two")
			token := second.token()
			if c.deleted {
				second.writer.SetActive(false) // or it would repair that
				if err := a.CoreV1().ConfigMaps(a.NS).Delete(t.Context(), cmName, metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
				testenv.Eventually(t, soon, "the deletion is in the record", func() bool { return history.last() == "deleted" })
			}
			first.gate.letGo()
			testenv.Eventually(t, soon, "the late write's answer", func() bool { return first.gate.outcome() != 0 })
			if got := first.gate.outcome(); got != http.StatusConflict {
				t.Errorf("the late write is answered %d", got)
			}
			if c.deleted {
				clustertest.Remains(t, time.Second, "nothing is made anew", func() bool { return history.last() == "deleted" })
				return
			}
			second.set("three")
			a.wantDoc(soon, "three")
			clustertest.Remains(t, time.Second, "its token", func() bool { return history.last() == token })
			for i, now := range history.tokens() {
				if now == old && i > 0 && history.tokens()[i-1] == token {
					t.Errorf("the old term wrote after the new one: %v", history.tokens())
				}
			}
		})
	}
}

// A new leader writes its token to the ConfigMap even if the documents are the same: only
// then are late writes of the old leader refused.
func TestFenceIsSetAtOnce(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	open := clustertest.NewNetwork(t)
	first := a.scribe(t, "first", "same", open)
	first.leads(t, soon)
	a.wantDoc(soon, "same")
	second := a.scribe(t, "second", "same", open)
	testenv.Eventually(t, soon, "it knows who leads", func() bool { return second.Holder() == "first" })
	first.Release()
	second.leads(t, soon)
	testenv.Eventually(t, soon, "the new token", func() bool { return a.configMap(a.NS).Annotations[WriterAnnotation] == second.token() })
	// Who leads no more learns of the write by its watch, which may come after ours.
	testenv.Eventually(t, soon, "who leads no more answers with the new leader's version", func() bool {
		version, err := first.writer.WriteNow(t.Context())
		return err == nil && version == a.configMap(a.NS).ResourceVersion
	})
}

// A record is the history of the ConfigMap: the token in each version.
type record struct {
	mu  sync.Mutex
	all []string
}

func (r *record) tokens() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.all...)
}

func (r *record) last() string {
	all := r.tokens()
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

func (a *api) recordConfigMap(t *testing.T) *record {
	t.Helper()
	w, err := a.CoreV1().ConfigMaps(a.NS).Watch(t.Context(), metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, cmName).String()})
	if err != nil {
		t.Fatal(err)
	}
	r, ended := &record{}, make(chan struct{})
	go func() {
		defer close(ended)
		for event := range w.ResultChan() {
			cm, ok := event.Object.(*corev1.ConfigMap)
			if !ok {
				continue
			}
			token := cm.Annotations[WriterAnnotation]
			if event.Type == "DELETED" {
				token = "deleted"
			}
			r.mu.Lock()
			r.all = append(r.all, token)
			r.mu.Unlock()
		}
	}()
	t.Cleanup(func() { w.Stop(); <-ended })
	return r
}
