package identify

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

// A backend is a server whose answer to /info can be changed.
type backend struct {
	*httptest.Server
	info  atomic.Pointer[string] // nil: 404
	asked atomic.Int32           // requests for /info
	fails atomic.Int32           // the one of them that is answered with 404
}

const isPrometheus = `{"name":"prometheus","version":"3.5.0"}`

func newBackend(t *testing.T, info string) *backend {
	b := &backend{}
	b.set(info)
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/info" {
			n := b.asked.Add(1)
			if s := b.info.Load(); *s != "" && n != b.fails.Load() {
				io.WriteString(w, *s)
				return
			}
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *backend) set(info string) { b.info.Store(&info) }

func (b *backend) question() service.Question {
	return service.Question{Type: "prometheus", URLs: []string{b.URL}}
}

func TestNewEndpointsAreAskedOnce(t *testing.T) {
	r := newRecorder()
	p := start(t, Options{Report: r.report})
	b := newBackend(t, isPrometheus)
	for range 5 {
		p.Set(testKey, b.question())
	}
	k, id := r.next(t)
	if k != testKey || id.Verdict != service.Verified || id.Version != "3.5.0" || id.At.IsZero() || id.URL != b.URL {
		t.Errorf("%v: %+v", k, id)
	}
	for range 5 {
		p.Set(testKey, b.question())
		p.Recovered(testKey) // within Options.Rest
	}
	other := newBackend(t, isPrometheus)
	p.Set(service.Key{Name: "other"}, other.question())
	r.next(t)
	if b.asked.Load() != 1 || p.Len() != 2 {
		t.Errorf("asked %d times; %d endpoints", b.asked.Load(), p.Len())
	}
}

func TestEndpointsAreAskedAgain(t *testing.T) {
	r := newRecorder()
	p := start(t, Options{Report: r.report, Interval: 20 * time.Millisecond})
	b := newBackend(t, isPrometheus)
	p.Set(testKey, b.question())
	r.next(t)
	b.set(`{"name":"prometheus","version":"3.6.0"}`)
	for {
		if _, id := r.next(t); id.Version == "3.6.0" {
			break
		}
	}
	p.Remove(testKey)
	if p.Len() != 0 {
		t.Errorf("%d endpoints after Remove", p.Len())
	}
}

func TestARecoveredEndpointIsAskedAgain(t *testing.T) {
	r := newRecorder()
	p := start(t, Options{Report: r.report, Rest: time.Nanosecond})
	b := newBackend(t, isPrometheus)
	p.Set(testKey, b.question())
	r.next(t)
	b.set(`{"name":"prometheus","version":"3.6.0"}`)
	p.Recovered(testKey)
	if _, id := r.next(t); id.Version != "3.6.0" {
		t.Errorf("%+v", id)
	}
}

// What is refuted once stays what it was until it is refuted again.
func TestRefutationsAreConfirmed(t *testing.T) {
	r := newRecorder()
	p := start(t, Options{Report: r.report, Confirm: 50 * time.Millisecond})
	b := newBackend(t, "")
	p.Set(testKey, b.question())
	if _, id := r.next(t); id.Verdict != service.Unverified {
		t.Fatalf("refuted at once: %+v", id)
	}
	if _, id := r.next(t); id.Verdict != service.Refuted || b.asked.Load() != 2 {
		t.Fatalf("after %d identifications: %+v", b.asked.Load(), id)
	}
	b.set(isPrometheus)
	p.Recovered(testKey)
	if _, id := r.next(t); id.Verdict != service.Verified {
		t.Fatalf("it is what it should be: %+v", id)
	}
}

func TestOneRefutationChangesNothing(t *testing.T) {
	r := newRecorder()
	p := start(t, Options{Report: r.report, Interval: 10 * time.Millisecond, Confirm: 10 * time.Millisecond})
	b := newBackend(t, isPrometheus)
	p.Set(testKey, b.question())
	r.next(t)
	fails := b.asked.Load() + 5
	b.fails.Store(fails)
	for b.asked.Load() < fails+2 {
		if _, id := r.next(t); id.Verdict != service.Verified {
			t.Fatalf("%+v", id)
		}
	}
}

// A back end that answers nothing any longer is still what it was.
func TestSilenceProvesNothing(t *testing.T) {
	r := newRecorder()
	p := start(t, Options{Report: r.report, Interval: 10 * time.Millisecond, Timeout: time.Second})
	b := newBackend(t, isPrometheus)
	p.Set(testKey, b.question())
	r.next(t)
	b.Close()
	other := newBackend(t, isPrometheus)
	p.Set(service.Key{Name: "other"}, other.question())
	for other.asked.Load() < 5 {
		if k, id := r.next(t); id.Verdict != service.Verified {
			t.Fatalf("%v: %+v", k, id)
		}
	}
}

func TestCandidatesHaveARate(t *testing.T) {
	r := newRecorder()
	p := start(t, Options{Report: r.report, CandidatesPerMinute: 600}) // one each 100 ms
	b := newBackend(t, isPrometheus)
	began := time.Now()
	for i := range 10 {
		p.Set(service.Key{Name: fmt.Sprint(i)}, service.Question{URLs: []string{b.URL}, Hints: []string{"prometheus"}})
	}
	for range 10 {
		if _, id := r.next(t); id.Verdict != service.Verified || id.Type != "prometheus" {
			t.Errorf("%+v", id)
		}
	}
	if took := time.Since(began); took < 850*time.Millisecond {
		t.Errorf("10 candidates were asked within %v, at 600 in a minute", took)
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	const bound = 3
	var busy, peak atomic.Int32
	gate := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := busy.Add(1)
		for old := peak.Load(); n > old && !peak.CompareAndSwap(old, n); old = peak.Load() {
		}
		<-gate
		busy.Add(-1)
		io.WriteString(w, isPrometheus)
	}))
	defer server.Close()
	r := newRecorder()
	p := start(t, Options{Report: r.report, Concurrency: bound, Timeout: testenv.Patience})
	for i := range 20 {
		p.Set(service.Key{Name: fmt.Sprint(i)}, service.Question{Type: "prometheus", URLs: []string{server.URL}})
	}
	for peak.Load() < bound {
		time.Sleep(time.Millisecond)
	}
	close(gate)
	for range 20 {
		r.next(t)
	}
	if peak.Load() > bound {
		t.Errorf("%d at once, want %d", peak.Load(), bound)
	}
}

// Set and Remove while an endpoint is asked: the old outcome is dropped, the new one comes.
func TestChangesWhileAsking(t *testing.T) {
	entered, gate := make(chan struct{}, 100), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(gate)
	r := newRecorder()
	p := start(t, Options{Report: r.report, Timeout: testenv.Patience})
	p.Set(testKey, service.Question{Type: "prometheus", URLs: []string{slow.URL}})
	<-entered
	b := newBackend(t, isPrometheus)
	p.Set(testKey, b.question())
	if _, id := r.next(t); id.Verdict != service.Verified {
		t.Errorf("%+v", id)
	}
	p.Set(testKey, service.Question{Type: "prometheus", URLs: []string{slow.URL}})
	<-entered
	p.Remove(testKey)
	p.Set(testKey, b.question())
	if _, id := r.next(t); id.Verdict != service.Verified {
		t.Errorf("%+v", id)
	}
	p.Set(testKey, service.Question{Type: "prometheus", URLs: []string{slow.URL}})
	<-entered
	p.Remove(testKey)
	if p.Len() != 0 {
		t.Errorf("%d endpoints", p.Len())
	}
}

func TestManyChangesAtOnce(t *testing.T) {
	b := newBackend(t, isPrometheus)
	p := start(t, Options{Interval: time.Millisecond, Rest: time.Nanosecond})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 200 {
				k := service.Key{Name: fmt.Sprint(j % 7)}
				switch (i + j) % 4 {
				case 0, 1:
					p.Set(k, service.Question{Type: "prometheus", URLs: []string{b.URL + fmt.Sprint("/", j%3)}})
				case 2:
					p.Recovered(k)
				default:
					p.Remove(k)
				}
			}
		})
	}
	all.Wait()
	for i := range 7 {
		p.Remove(service.Key{Name: fmt.Sprint(i)})
	}
	if p.Len() != 0 {
		t.Errorf("%d endpoints are left", p.Len())
	}
}

func TestSettled(t *testing.T) {
	r := newRecorder()
	p := start(t, Options{Report: r.report, Timeout: testenv.Patience})
	p.Settled(t.Context()) // there is nobody to ask
	entered, gate := make(chan struct{}, 10), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-gate
	}))
	defer slow.Close()
	p.Set(service.Key{Name: "slow"}, service.Question{Type: "prometheus", URLs: []string{slow.URL}})
	p.Set(service.Key{Name: "candidate"}, service.Question{Hints: []string{"prometheus"}, URLs: []string{slow.URL}})
	<-entered
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if p.Settled(ctx); ctx.Err() == nil {
		t.Error("settled before the first answer")
	}
	close(gate)
	p.Settled(t.Context())
	r.mu.Lock()
	if len(r.all[service.Key{Name: "slow"}]) != 1 {
		t.Error("settled before the report")
	}
	r.mu.Unlock()
	p.Set(service.Key{Name: "gone"}, service.Question{Type: "prometheus", URLs: []string{slow.URL + "/other"}})
	p.Remove(service.Key{Name: "gone"})
	p.Settled(t.Context())
}

func TestOptionsOutOfBounds(t *testing.T) {
	for _, o := range []Options{{Timeout: -1}, {Concurrency: -1}, {CandidatesPerMinute: -1}, {Interval: -1}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

func TestRunEndsWhileAsking(t *testing.T) {
	entered := make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	p, err := New(Options{Rules: testRules(), AllowCIDRs: loopback, Timeout: time.Hour, Report: func(k service.Key, id service.Identity) { t.Errorf("%v: %+v", k, id) }})
	if err != nil {
		t.Fatal(err)
	}
	p.Set(testKey, service.Question{Type: "prometheus", URLs: []string{server.URL}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	<-entered
	cancel()
	select {
	case <-done:
	case <-time.After(testenv.Patience):
		t.Error("Run goes on")
	}
}
