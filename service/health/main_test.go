package health

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ service.Prober = (*Checker)(nil)

// loopback permits the servers of tests.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

var testKey = service.Key{Namespace: "monitoring", Name: "prometheus"}

func httpProbe(url string) service.Probe { return service.Probe{Kind: service.ProbeHTTP, URL: url} }

// A recorder records what a Checker reports.
type recorder struct {
	mu   sync.Mutex
	last map[service.Key]service.Health
	all  int
	ch   chan service.Health // every report, if there is room
}

func newRecorder() *recorder {
	return &recorder{last: map[service.Key]service.Health{}, ch: make(chan service.Health, 1000)}
}

func (r *recorder) report(key service.Key, h service.Health) {
	r.mu.Lock()
	r.last[key] = h
	r.all++
	r.mu.Unlock()
	select {
	case r.ch <- h:
	default:
	}
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}

func (r *recorder) of(key service.Key) service.Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[key]
}

// next waits for the next report.
func (r *recorder) next(t *testing.T) service.Health {
	t.Helper()
	select {
	case h := <-r.ch:
		return h
	case <-time.After(testenv.Patience):
		t.Fatal("no report within 20 s")
		return service.Health{}
	}
}

// until waits for a report for which wanted is true.
func (r *recorder) until(t *testing.T, what string, wanted func(service.Health) bool) service.Health {
	t.Helper()
	deadline := time.After(testenv.Patience)
	var last service.Health
	for {
		select {
		case last = <-r.ch:
			if wanted(last) {
				return last
			}
		case <-deadline:
			t.Fatalf("no report that is %s; the last one: %+v", what, last)
		}
	}
}

// start runs a Checker until the end of the test, and checks that Run returns.
func start(t testing.TB, o Options) *Checker {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	run(t, c)
	return c
}

func run(t testing.TB, c *Checker) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return stop
}

// fast returns options for tests with real servers: short pauses, but a timeout that a busy
// machine does not miss.
func fast(r *recorder) Options {
	return Options{
		Interval:   time.Hour,
		Timeout:    5 * time.Second,
		Backoff:    time.Millisecond,
		AllowCIDRs: loopback,
		Report:     r.report,
	}
}

// check returns the outcome of one check of probe.
func check(t *testing.T, o Options, probe service.Probe) service.Health {
	t.Helper()
	r := newRecorder()
	o.Report = r.report
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.Set(testKey, probe)
	stop := run(t, c)
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience)
	defer cancel()
	if err := c.CheckAllNow(ctx); err != nil {
		t.Fatal(err)
	}
	return r.of(testKey)
}
