package kubernetes

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

// A committed sink records what was known when each list came in.
type committed struct {
	*clustertest.Sink
	names atomic.Pointer[string]
}

func (c *committed) Begin(namespace string) service.Replacement {
	return &commit{c.Sink.Begin(namespace), c}
}

type commit struct {
	service.Replacement
	sink *committed
}

func (c *commit) Commit() {
	c.Replacement.Commit()
	names := c.sink.Names()
	c.sink.names.Store(&names)
}

// lateAnswers holds back the answers to lists, which have the state of the time of the
// request.
type lateAnswers struct {
	held  atomic.Pointer[chan struct{}]
	fail  atomic.Bool
	asked atomic.Int64
}

func (l *lateAnswers) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if !strings.HasSuffix(r.URL.Path, "/services") || r.URL.Query().Get("watch") != "" {
			return next.RoundTrip(r)
		}
		held := l.held.Load()
		res, err := next.RoundTrip(r)
		l.asked.Add(1)
		if held != nil {
			<-*held
		}
		if l.fail.Load() && err == nil {
			_ = res.Body.Close()
			return nil, fmt.Errorf("the connection broke")
		}
		return res, err
	})
}

// While a list is made, the watch goes on: changes are visible at once, and stay visible
// when the list arrives, which is older.
func TestKubernetesListsBesideTheWatch(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.Create("x")
	a.Create("y")
	late := &lateAnswers{}
	cfg := a.CP.RESTConfig()
	cfg.Wrap(late.wrap)
	sink := &committed{Sink: clustertest.NewSink()}
	k, err := New(cfg, Options{Namespaces: []string{a.NS}, Sink: sink, Logger: clustertest.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	clustertest.Background(t, k.Run)
	waitSync(t, k)
	a.Create("watched")
	sink.WantNames(t, soon, a.Names("watched", "x", "y"))

	relist := func() (release func(), done chan error) {
		held, asked := make(chan struct{}), late.asked.Load()
		late.held.Store(&held)
		done = make(chan error, 1)
		go func() { done <- k.Relist(t.Context()) }()
		testenv.Eventually(t, soon, "a list is under way", func() bool { return late.asked.Load() > asked })
		late.held.Store(nil)
		return func() { close(held) }, done
	}
	states := sink.Lists()
	release, done := relist()
	a.Create("z")
	a.Delete("x")
	sink.WantNames(t, soon, a.Names("watched", "y", "z"))
	if sink.Lists() != states {
		t.Error("the list came in before it was answered")
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if have, want := *sink.names.Load(), a.Names("watched", "y", "z"); have != want {
		t.Errorf("when the list came in: %q, want %q", have, want)
	}
	a.Delete("y")
	sink.WantNames(t, soon, a.Names("watched", "z"))

	// A list that fails is reported and made again; nothing is lost.
	states = sink.Lists()
	release, done = relist()
	late.fail.Store(true)
	release()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "the connection broke") {
		t.Errorf("a list that fails: %v", err)
	}
	a.Create("meanwhile")
	sink.WantNames(t, soon, a.Names("meanwhile", "watched", "z"))
	if sink.Lists() != states || k.Status().LastError == "" {
		t.Errorf("a list came in that failed, or nothing is said: %+v", k.Status())
	}
	late.fail.Store(false)
	testenv.Eventually(t, soon, "a list", func() bool { return sink.Lists() > states && k.Status().LastError == "" })
	sink.WantNames(t, soon, a.Names("meanwhile", "watched", "z"))
}

// If the watch ends while a list is made, it starts again with a list of its own, and
// callers that wait get an answer.
func TestKubernetesWatchEndsBesideAList(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	late := &lateAnswers{}
	cfg := a.CP.RESTConfig()
	cfg.Wrap(late.wrap)
	k, sink := watchCluster(t, cfg, Options{Namespaces: []string{a.NS}, ListTimeout: time.Minute})
	waitSync(t, k)
	held := make(chan struct{})
	late.held.Store(&held)
	done := make(chan error, 1)
	go func() { done <- k.Relist(t.Context()) }()
	testenv.Eventually(t, soon, "a list is under way", func() bool { return late.asked.Load() > 1 })
	late.held.Store(nil)
	k.scopes[0].mu.Lock()
	k.scopes[0].stop()
	k.scopes[0].mu.Unlock()
	close(held)
	if err := <-done; err != nil {
		t.Error(err)
	}
	a.Create("x")
	sink.WantNames(t, soon, a.Names("x"))
}
