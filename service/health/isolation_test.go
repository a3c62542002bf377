package health

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

// lateness records what OnStart is called with.
type lateness struct {
	mu   sync.Mutex
	most map[Class]time.Duration
}

func (l *lateness) observe(class Class, late time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.most == nil {
		l.most = map[Class]time.Duration{}
	}
	l.most[class] = max(l.most[class], late)
}

func (l *lateness) of(class Class) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.most[class]
}

func (l *lateness) forget(class Class) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.most, class)
}

// The budget of docs/scale.md: with the default options and ten thousand endpoints, of
// which one in twenty hangs and one in twenty takes 3 s, all checks are on time, those of
// the bad ones as well, and there are never more than Concurrency attempts.
func TestTenThousandEndpointsWithSomeThatHang(t *testing.T) {
	behave := func(url string, _ int) (time.Duration, bool) {
		switch {
		case strings.HasPrefix(url, "http://hanging"):
			return time.Hour, false
		case strings.HasPrefix(url, "http://slow"):
			return 3 * time.Second, true
		}
		return 20 * time.Millisecond, true
	}
	var late lateness
	o := Options{OnStart: late.observe}
	simulate(t, o, behave, func(t *testing.T, c *Checker, f *fakeNet, _ *recorder) {
		// Mixed, as in a cluster: at first nothing is known about any of them.
		for i := range 10_000 {
			name := fmt.Sprintf("good%05d", i)
			switch i % 20 {
			case 3:
				name = fmt.Sprintf("hanging%05d", i)
			case 13:
				name = fmt.Sprintf("slow%05d", i)
			}
			c.Set(service.Key{Namespace: "n", Name: name}, httpProbe("http://"+name+"/"))
		}
		time.Sleep(time.Minute)
		if d := late.of(ClassNew); d > 50*time.Millisecond {
			t.Errorf("a new endpoint was checked %v after it was due", d)
		}
		// At first those that hang get all their attempts, which within the first minute
		// are more than there is room for. They wait, and the slow ones with them.
		time.Sleep(time.Minute)
		if d := late.of(ClassSlow); d > time.Minute {
			t.Errorf("a check of an endpoint that is slow was %v late", d)
		}
		late.forget(ClassSlow)
		time.Sleep(3 * time.Minute)
		if n := f.peak(); n > DefaultConcurrency {
			t.Errorf("%d attempts at once, want at most %d", n, DefaultConcurrency)
		}
		for _, class := range []Class{ClassPrompt, ClassSlow} {
			if d := late.of(class); d > 50*time.Millisecond {
				t.Errorf("a check of an endpoint of class %q was %v late", class, d)
			}
		}
		for url, times := range f.seen() {
			// The first four or five are the attempts of the first check, and the wait for
			// the endpoint's place in the interval.
			last := times[len(times)-1]
			if len(times) < 6 || time.Since(last) > 34*time.Second {
				t.Fatalf("%s: %d attempts in 5 minutes, the last one %v ago", url, len(times), time.Since(last))
			}
			for i := 5; i < len(times); i++ {
				if gap := times[i].Sub(times[i-1]); gap < 26*time.Second || gap > 34*time.Second {
					t.Fatalf("%s: %v between two attempts, want 30 s +- 10 %%", url, gap)
				}
			}
		}
	})
}

func TestOneThatIsKnownToHangIsTriedOnce(t *testing.T) {
	alive := false
	var mu sync.Mutex
	behave := func(string, int) (time.Duration, bool) {
		mu.Lock()
		defer mu.Unlock()
		if alive {
			return time.Millisecond, true
		}
		return time.Hour, false
	}
	simulate(t, Options{}, behave, func(t *testing.T, c *Checker, f *fakeNet, r *recorder) {
		c.Set(testKey, httpProbe("http://x/"))
		time.Sleep(17 * time.Second)
		if n := len(f.of("http://x/")); n != 3 {
			t.Errorf("%d attempts before it is known, want 3", n)
		}
		time.Sleep(43 * time.Second) // until 60 s: one or two more checks
		checks, attempts := r.count()-1, len(f.of("http://x/"))-3
		if checks < 1 || attempts > checks+1 {
			t.Errorf("%d attempts for %d checks of one that hangs", attempts, checks)
		}
		if h := r.of(testKey); h.Healthy || h.Reason != "no answer within 5 s" {
			t.Errorf("%+v", h)
		}
		mu.Lock()
		alive = true
		mu.Unlock()
		time.Sleep(40 * time.Second)
		if h := r.of(testKey); !h.Healthy {
			t.Errorf("it recovered, but: %+v", h)
		}
		// After that it gets all its attempts again.
		mu.Lock()
		alive = false
		mu.Unlock()
		time.Sleep(60 * time.Second)
		if h := r.of(testKey); h.Healthy {
			t.Errorf("%+v", h)
		}
		for _, check := range r.of(testKey).History {
			if !check.Healthy && check.Attempts == 3 {
				return
			}
		}
		t.Errorf("the first failure after a success was not tried again: %+v", r.of(testKey).History)
	})
}

// With real sockets: endpoints that accept connections and never answer keep their workers
// for the whole test, and all others are checked again and again.
func TestRealEndpointsThatHangDelayNobody(t *testing.T) {
	const (
		workers = 16
		hanging = 4 * workers
		good    = 100
		rounds  = 5
		kept    = 8
	)
	release := make(chan struct{})
	var stuck, most atomic.Int32
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n := stuck.Add(1)
		defer stuck.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer hangs.Close()
	defer close(release)
	var open, peak atomic.Int32
	answers := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	answers.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			n := open.Add(1)
			for m := peak.Load(); n > m && !peak.CompareAndSwap(m, n); m = peak.Load() {
			}
		case http.StateClosed:
			open.Add(-1)
		}
	}
	answers.Start()
	defer answers.Close()

	var mu sync.Mutex
	checks, enough := map[service.Key]int{}, make(chan struct{})
	missing := good
	o := Options{
		// No attempt that hangs ends within this test, except where it should.
		Interval: 200 * time.Millisecond, Timeout: 20 * time.Second, Concurrency: workers, MaxIdleConns: kept, AllowCIDRs: loopback,
		Report: func(key service.Key, h service.Health) {
			mu.Lock()
			defer mu.Unlock()
			if !h.Healthy {
				return
			}
			if checks[key]++; checks[key] == rounds {
				if missing--; missing == 0 {
					close(enough)
				}
			}
		},
	}
	c := start(t, o)
	for i := range max(hanging, good) {
		if i < hanging {
			c.Set(service.Key{Namespace: "hanging", Name: fmt.Sprint(i)}, httpProbe(hangs.URL))
		}
		if i < good/2 {
			c.Set(service.Key{Namespace: "good", Name: fmt.Sprint(i)}, httpProbe(answers.URL))
		}
	}
	// Half of them were known when the others began to hang. The other half must find
	// workers among those for new endpoints.
	for i := good / 2; i < good; i++ {
		c.Set(service.Key{Namespace: "good", Name: fmt.Sprint(i)}, httpProbe(answers.URL))
	}
	select {
	case <-enough:
	case <-time.After(testenv.Patience):
		mu.Lock()
		defer mu.Unlock()
		t.Errorf("%d of %d endpoints that answer had their %d checks; %d requests hang", good-missing, good, rounds, stuck.Load())
	}
	// For the server, an attempt that was cancelled may still count.
	if n := most.Load(); n > 2*workers {
		t.Errorf("%d requests hung at once; %d attempts may be under way", n, workers)
	}
	// For the server, a connection that is being closed may still count.
	if n := peak.Load(); n > 2*(workers+kept) {
		t.Errorf("%d connections at once to those that answer; the bounds are %d under way and %d kept", n, workers, kept)
	}
}

// Half of ten thousand healthy endpoints begin to hang at the same moment, as when a
// network policy or a zone cuts them off. The attempts that find out must not delay the
// checks of the others.
func TestManyThatBeginToHangAtOnceDelayNobody(t *testing.T) {
	var broken atomic.Bool
	behave := func(url string, _ int) (time.Duration, bool) {
		if broken.Load() && strings.HasPrefix(url, "http://a") {
			return time.Hour, false
		}
		return 20 * time.Millisecond, true
	}
	var late lateness
	simulate(t, Options{OnStart: late.observe}, behave, func(t *testing.T, c *Checker, f *fakeNet, _ *recorder) {
		set(c, "a", 5000)
		set(c, "b", 5000)
		time.Sleep(2 * time.Minute)
		late.forget(ClassPrompt)
		broken.Store(true)
		time.Sleep(3 * time.Minute)
		if d := late.of(ClassPrompt); d > 50*time.Millisecond {
			t.Errorf("a check of an endpoint that answered the last time was %v late", d)
		}
		if n := f.peak(); n > DefaultConcurrency {
			t.Errorf("%d attempts at once, want at most %d", n, DefaultConcurrency)
		}
		found := 0
		for url, times := range f.seen() {
			if strings.HasPrefix(url, "http://a") {
				found++
				continue
			}
			for i := 3; i < len(times); i++ {
				if gap := times[i].Sub(times[i-1]); gap > 34*time.Second {
					t.Fatalf("%s: %v between two checks", url, gap)
				}
			}
		}
		if found != 5000 {
			t.Errorf("%d of 5000 were checked at all", found)
		}
	})
}
