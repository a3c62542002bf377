package health

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/outbound"
)

// A fakeNet replaces the network: attempts take time by the fake clock of synctest, and are
// counted.
type fakeNet struct {
	mu    sync.Mutex
	now   int
	most  int
	times map[string][]time.Time // of attempts, by URL
	// behave returns how long an attempt takes, and whether it succeeds.
	behave func(url string, attempt int) (time.Duration, bool)
}

func (f *fakeNet) attempt(ctx context.Context, t *target, _ *outbound.Conn) outcome {
	url := t.probe.URL
	f.mu.Lock()
	f.now++
	f.most = max(f.most, f.now)
	f.times[url] = append(f.times[url], time.Now())
	d, ok := f.behave(url, len(f.times[url]))
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.now--
		f.mu.Unlock()
	}()
	select {
	case <-time.After(d):
		return outcome{healthy: ok, text: "done", latency: d}
	case <-ctx.Done():
		return outcome{latency: d}
	}
}

// seen returns a copy of times.
func (f *fakeNet) seen() map[string][]time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := map[string][]time.Time{}
	for url, times := range f.times {
		seen[url] = slices.Clone(times)
	}
	return seen
}

func (f *fakeNet) of(url string) []time.Time { return f.seen()[url] }

// peak returns the largest number of attempts that were under way at once.
func (f *fakeNet) peak() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.most
}

func (f *fakeNet) all() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []time.Time
	for _, times := range f.times {
		all = append(all, times...)
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// simulate runs a Checker with a fake network and clock during during.
func simulate(t *testing.T, o Options, behave func(url string, attempt int) (time.Duration, bool), during func(*testing.T, *Checker, *fakeNet, *recorder)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		o.Report = r.report
		c, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		f := &fakeNet{times: map[string][]time.Time{}, behave: behave}
		c.attempt = f.attempt
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c.Run(ctx)
		}()
		during(t, c, f, r)
		cancel()
		<-ended
	})
}

// books are the counts of a Checker.
type books struct {
	endpoints, sweeps int
	waiting, busy     [lanes]int
}

func booksOf(c *Checker) books {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := books{endpoints: len(c.endpoints), sweeps: len(c.sweeps), busy: c.queue.busy}
	for l := range lanes {
		b.waiting[l] = c.queue.waiting[l].Len()
	}
	return b
}

func healthyAfter(d time.Duration) func(string, int) (time.Duration, bool) {
	return func(string, int) (time.Duration, bool) { return d, true }
}

func set(c *Checker, prefix string, n int) {
	for i := range n {
		name := fmt.Sprintf("%s%05d", prefix, i)
		c.Set(service.Key{Namespace: "n", Name: name}, httpProbe("http://"+name+"/"))
	}
}

// Ten thousand endpoints that appear at once must not be checked in bursts, neither at
// first nor later.
func TestChecksAreSpreadEvenly(t *testing.T) {
	const n = 10_000
	simulate(t, Options{}, healthyAfter(5*time.Millisecond), func(t *testing.T, c *Checker, f *fakeNet, _ *recorder) {
		began := time.Now()
		set(c, "e", n)
		const total = 150 * time.Second
		time.Sleep(total)
		perSecond := make([]int, total/time.Second)
		for _, at := range f.all() {
			if i := int(at.Sub(began) / time.Second); i < len(perSecond) {
				perSecond[i]++
			}
		}
		// At first 500 per second, and the second checks of the earliest of these.
		for i, m := range perSecond[:45] {
			if m > 700 {
				t.Errorf("second %d: %d checks", i, m)
			}
		}
		// After that n/30 = 333 per second. The jitter varies that by 15 to 18 (one
		// standard deviation), so this fails once in millions of runs.
		for i, m := range perSecond[45:] {
			if m < 240 || m > 426 {
				t.Errorf("second %d: %d checks, want 333 +- 93", i+45, m)
			}
		}
		// Also in every 100 ms.
		tenths := make([]int, 300)
		for _, at := range f.all() {
			if d := at.Sub(began) - 60*time.Second; d >= 0 && d < 30*time.Second {
				tenths[d/(100*time.Millisecond)]++
			}
		}
		if most, least := slices.Max(tenths), slices.Min(tenths); most > 75 || least < 4 {
			t.Errorf("between %d and %d checks per 100 ms, want 33 or so", least, most)
		}
		for url, times := range f.seen() {
			for i := 2; i < len(times); i++ {
				if gap := times[i].Sub(times[i-1]); gap < 26*time.Second || gap > 34*time.Second {
					t.Fatalf("%s: %v between two checks, want 30 s +- 10 %%", url, gap)
				}
			}
			if len(times) < 4 {
				t.Fatalf("%s: %d checks in %v", url, len(times), total)
			}
		}
	})
}

func TestANewEndpointIsCheckedSoon(t *testing.T) {
	simulate(t, Options{}, healthyAfter(time.Millisecond), func(t *testing.T, c *Checker, f *fakeNet, r *recorder) {
		set(c, "old", 200)
		time.Sleep(time.Minute)
		before := r.count()
		set(c, "new", 50)
		began := time.Now()
		time.Sleep(time.Second)
		for i := range 50 {
			if h := r.of(service.Key{Namespace: "n", Name: fmt.Sprintf("new%05d", i)}); h.CheckedAt.IsZero() {
				t.Errorf("new endpoint %d was not checked within %v", i, time.Since(began))
			}
		}
		if n := r.count() - before; n > 50+25 {
			t.Errorf("%d checks within a second", n)
		}
	})
}

// Endpoints that hang must not delay the checks of those that answer, however many they
// are.
func TestHangingEndpointsDoNotDelayOthers(t *testing.T) {
	behave := func(url string, _ int) (time.Duration, bool) {
		if url[:len("http://h")] == "http://h" {
			return time.Hour, false
		}
		return 5 * time.Millisecond, true
	}
	simulate(t, Options{Concurrency: 16}, behave, func(t *testing.T, c *Checker, f *fakeNet, r *recorder) {
		set(c, "good", 1000)
		time.Sleep(10 * time.Second)
		set(c, "hanging", 500) // would need 250 workers
		time.Sleep(5 * time.Minute)
		if f.peak() > 16 {
			t.Errorf("%d attempts at once, want at most 16", f.peak())
		}
		hanging := 0
		for url, times := range f.seen() {
			if url[:len("http://h")] == "http://h" {
				hanging++
				continue
			}
			for i := 2; i < len(times); i++ {
				if gap := times[i].Sub(times[i-1]); gap > 34*time.Second {
					t.Fatalf("%s: %v between two checks", url, gap)
				}
			}
		}
		if hanging < 400 {
			t.Errorf("only %d of 500 hanging endpoints were tried at all", hanging)
		}
		// Nor the first checks of new ones for long.
		set(c, "late", 10)
		time.Sleep(2 * time.Minute)
		for i := range 10 {
			if h := r.of(service.Key{Namespace: "n", Name: fmt.Sprintf("late%05d", i)}); !h.Healthy {
				t.Errorf("late endpoint %d: %+v", i, h)
			}
		}
	})
}

func TestBackoffDoubles(t *testing.T) {
	behave := func(string, int) (time.Duration, bool) { return 10 * time.Millisecond, false }
	simulate(t, Options{Attempts: 4}, behave, func(t *testing.T, c *Checker, f *fakeNet, r *recorder) {
		c.Set(testKey, httpProbe("http://x/"))
		time.Sleep(5 * time.Second)
		times := f.of("http://x/")
		if len(times) != 4 {
			t.Fatalf("%d attempts, want 4", len(times))
		}
		for i, want := range []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond} {
			if got := times[i+1].Sub(times[i]) - 10*time.Millisecond; got < want*3/4 || got > want*5/4 {
				t.Errorf("pause %d: %v, want %v +- a quarter", i+1, got, want)
			}
		}
		if h := r.of(testKey); h.Healthy || h.Reason != "done (4 attempts)" || h.History[0].Attempts != 4 || r.count() != 1 {
			t.Errorf("%+v, %d reports", h, r.count())
		}
	})
}

func TestAHangingEndpointGetsItsTimeoutOncePerAttempt(t *testing.T) {
	behave := func(string, int) (time.Duration, bool) { return time.Hour, false }
	simulate(t, Options{}, behave, func(t *testing.T, c *Checker, f *fakeNet, r *recorder) {
		c.Set(testKey, httpProbe("http://x/"))
		time.Sleep(17 * time.Second)
		if h := r.of(testKey); h.Reason != "no answer within 5 s (3 attempts)" {
			t.Errorf("%+v", h)
		}
	})
}

func TestHistoryIsBoundedAndNewestFirst(t *testing.T) {
	behave := func(_ string, attempt int) (time.Duration, bool) {
		return time.Duration(attempt) * time.Millisecond, true
	}
	simulate(t, Options{HistorySize: 3}, behave, func(t *testing.T, c *Checker, f *fakeNet, r *recorder) {
		c.Set(testKey, httpProbe("http://x/"))
		time.Sleep(time.Second)
		early := r.of(testKey)
		time.Sleep(5 * time.Minute)
		late := r.of(testKey)
		if len(late.History) != 3 || !late.History[0].Time.Equal(late.CheckedAt) ||
			!late.History[0].Time.After(late.History[1].Time) || !late.History[1].Time.After(late.History[2].Time) {
			t.Errorf("%+v", late)
		}
		if early.History[0].LatencyMS != 1 {
			t.Errorf("a reported history was changed later: %+v", early)
		}
		c.Set(testKey, httpProbe("http://y/"))
		time.Sleep(time.Second)
		if h := r.of(testKey); len(h.History) != 1 {
			t.Errorf("the history survived a change of the probe: %+v", h)
		}
	})
}

func TestAnUnchangedProbeChangesNothing(t *testing.T) {
	simulate(t, Options{}, healthyAfter(time.Millisecond), func(t *testing.T, c *Checker, f *fakeNet, r *recorder) {
		probe := service.Probe{Kind: service.ProbeHTTP, URL: "http://x/", AcceptStatus: []int{401}}
		c.Set(testKey, probe)
		time.Sleep(time.Second)
		before := r.count()
		for range 100 {
			c.Set(testKey, probe)
		}
		synctest.Wait()
		if r.count() != before {
			t.Error("it was checked again")
		}
		probe.AcceptStatus = []int{403}
		c.Set(testKey, probe)
		time.Sleep(time.Second)
		if n := r.count() - before; n < 1 || len(r.of(testKey).History) != 1 {
			t.Errorf("a change of AcceptStatus alone went unnoticed: %d checks", n)
		}
	})
}

func TestAFullHouseOfTenThousandIdlesOnOneGoroutine(t *testing.T) {
	simulate(t, Options{}, healthyAfter(0), func(t *testing.T, c *Checker, f *fakeNet, r *recorder) {
		set(c, "e", 10_000)
		time.Sleep(time.Minute)
		synctest.Wait()
		if b := booksOf(c); b.waiting != [lanes]int{10_000, 0, 0} || b.busy != [lanes]int{} {
			t.Errorf("%+v", b)
		}
	})
}
