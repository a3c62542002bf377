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
)

// A slowServer is a proxy that makes an API server slow.
type slowServer struct {
	slow   atomic.Bool // /readyz is not answered
	unsaid atomic.Int64
	lists  atomic.Int64
	held   atomic.Pointer[chan struct{}] // lists wait until it is closed
}

func (s *slowServer) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		switch {
		case r.URL.Path == "/readyz" && s.slow.Load():
			<-r.Context().Done()
			s.unsaid.Add(1)
			return nil, r.Context().Err()
		case strings.HasSuffix(r.URL.Path, "/services") && r.URL.Query().Get("watch") == "":
			s.lists.Add(1)
			if held := s.held.Load(); held != nil {
				select {
				case <-*held:
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
			}
		}
		return next.RoundTrip(r)
	})
}

func watchSlowly(t *testing.T, timeout time.Duration) (*api, *slowServer, *Source, *clustertest.Sink) {
	t.Helper()
	a := newAPI(t)
	a.Create("x")
	server := &slowServer{}
	cfg := a.CP.RESTConfig()
	cfg.Wrap(server.wrap)
	k, sink := watchCluster(t, cfg, Options{Namespaces: []string{a.NS}, CheckInterval: 10 * time.Millisecond, CheckTimeout: timeout})
	waitSync(t, k)
	testenv.Eventually(t, soon, "reachable", func() bool { return k.Status().Reachable })
	return a, server, k, sink
}

// An API server that is too busy does not tell in time whether it is ready. Everything
// must not be listed again because of that, or it could never recover.
func TestKubernetesSlowServerThatSends(t *testing.T) {
	t.Parallel()
	a, server, k, sink := watchSlowly(t, 6*time.Second)
	lists, states := server.lists.Load(), sink.Lists()
	server.slow.Store(true)
	last := ""
	for i := 0; server.unsaid.Load() < 4; i++ { // two checks with two requests each
		if last != "" {
			a.Delete(last)
		}
		last = fmt.Sprint("s", i)
		a.Create(last)
		if !k.Status().Reachable {
			t.Fatalf("a server that sends is called unreachable: %s", k.Status().LastError)
		}
		time.Sleep(20 * time.Millisecond)
	}
	sink.WantNames(t, soon, a.Names(last, "x"))
	if n := server.lists.Load() - lists; n != 0 || sink.Lists() != states {
		t.Errorf("%d lists were made of a server that was only slow", n)
	}
}

// If such a server sends nothing either, it looks like one that is gone. When it answers
// again, a list that is waiting for its answer goes on waiting.
func TestKubernetesSlowServerWithAList(t *testing.T) {
	t.Parallel()
	_, server, k, sink := watchSlowly(t, 300*time.Millisecond)
	held := make(chan struct{})
	server.held.Store(&held)
	lists, states := server.lists.Load(), sink.Lists()
	done := make(chan error, 1)
	go func() { done <- k.Relist(t.Context()) }()
	testenv.Eventually(t, soon, "a list is under way", func() bool { return server.lists.Load() > lists })
	gone := testenv.Start()
	for range 3 {
		server.slow.Store(true)
		testenv.Eventually(t, soon, "unreachable", func() bool { return !k.Status().Reachable })
		server.slow.Store(false)
		testenv.Eventually(t, soon, "reachable", func() bool { return k.Status().Reachable })
	}
	server.held.Store(nil)
	close(held)
	if err := <-done; err != nil {
		t.Error(err)
	}
	testenv.Eventually(t, soon, "the state of the list", func() bool { return sink.Lists() > states })
	if n := server.lists.Load() - lists; n != 1 && !gone.Busy() {
		t.Errorf("%d lists were made where one was enough", n)
	}
}

// A watch without any data may be dead, so the state is listed once.
func TestKubernetesSlowServerThatIsSilent(t *testing.T) {
	t.Parallel()
	a, server, k, sink := watchSlowly(t, 300*time.Millisecond)
	lists := server.lists.Load()
	gone := testenv.Start()
	server.slow.Store(true)
	testenv.Eventually(t, soon, "unreachable", func() bool { return !k.Status().Reachable })
	server.slow.Store(false)
	testenv.Eventually(t, soon, "a list", func() bool { return server.lists.Load() > lists })
	a.Create("y")
	sink.WantNames(t, soon, a.Names("x", "y"))
	if n := server.lists.Load() - lists; n != 1 && !gone.Busy() {
		t.Errorf("%d lists", n)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
