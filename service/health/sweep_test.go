package health

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/outbound"
)

func TestCheckAllNowHasReportedEachEndpointWhenItReturns(t *testing.T) {
	simulate(t, Options{}, healthyAfter(10*time.Millisecond), func(t *testing.T, c *Checker, f *fakeNet, r *recorder) {
		set(c, "e", 1000)
		began := time.Now()
		if err := c.CheckAllNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		// 5,000 per second
		if d := time.Since(began); d > 300*time.Millisecond {
			t.Errorf("took %v", d)
		}
		r.mu.Lock()
		reported, all := len(r.last), r.all
		r.mu.Unlock()
		// A few may have had their regular place meanwhile (1000 in 30 s).
		if reported != 1000 || all > 1030 {
			t.Errorf("%d of 1000 endpoints reported when it returned, %d reports", reported, all)
		}
		if f.peak() > 64 {
			t.Errorf("%d attempts at once", f.peak())
		}
		if b := booksOf(c); b.sweeps != 0 {
			t.Errorf("a sweep is left: %+v", b)
		}
	})
}

func TestConcurrentCallsShareASweep(t *testing.T) {
	simulate(t, Options{}, healthyAfter(200*time.Millisecond), func(t *testing.T, c *Checker, f *fakeNet, r *recorder) {
		set(c, "e", 50)
		var callers sync.WaitGroup
		for i := range 20 {
			callers.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				if err := c.CheckAllNow(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		callers.Wait()
		// There may have been regular checks in between.
		if n := r.count(); n < 50 || n > 60 {
			t.Errorf("%d checks for 20 calls, want about 50", n)
		}
	})
}

// What a caller gets was found out after its call, even if an attempt was under way.
func TestCheckAllNowIsNotContentWithAnOlderAttempt(t *testing.T) {
	simulate(t, Options{}, healthyAfter(2*time.Second), func(t *testing.T, c *Checker, f *fakeNet, r *recorder) {
		c.Set(testKey, httpProbe("http://x/"))
		time.Sleep(time.Second) // its first attempt is under way
		began := time.Now()
		if err := c.CheckAllNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		times := f.of("http://x/")
		if last := times[len(times)-1]; len(times) != 2 || last.Before(began) {
			t.Errorf("attempts at %v, called at %v", times, began)
		}
		// The rest of the first attempt, and at once a whole second one, without waiting
		// for its place.
		if d := time.Since(began); d > 4*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

// A hanging endpoint makes a sweep last, but a later caller gets newer checks of the
// others.
func TestALaterCallBeginsItsOwnSweep(t *testing.T) {
	behave := func(url string, _ int) (time.Duration, bool) {
		if url == "http://hanging00000/" {
			return time.Hour, false
		}
		return time.Millisecond, true
	}
	simulate(t, Options{}, behave, func(t *testing.T, c *Checker, f *fakeNet, r *recorder) {
		set(c, "good", 10)
		set(c, "hanging", 1)
		call := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			return c.CheckAllNow(ctx)
		}
		// A caller with more patience waits for an older sweep meanwhile.
		patient, giveUp := context.WithCancel(t.Context())
		var older sync.WaitGroup
		older.Go(func() { _ = c.CheckAllNow(patient) })
		time.Sleep(2 * sweepShare)
		defer older.Wait()
		defer giveUp()
		for range 3 {
			began := time.Now()
			err := call()
			if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "1 health checks were not finished") {
				t.Errorf("got %v", err)
			}
			if h := r.of(service.Key{Namespace: "n", Name: "good00003"}); h.CheckedAt.Before(began) {
				t.Errorf("checked at %v, called at %v", h.CheckedAt, began)
			}
		}
		giveUp()
		older.Wait()
		if b := booksOf(c); b.sweeps != 0 {
			t.Errorf("sweeps without callers are left: %+v", b)
		}
		// Without the hanging endpoint, or with patience, it ends.
		if err := c.CheckAllNow(t.Context()); err != nil {
			t.Error(err)
		}
		var caller sync.WaitGroup
		caller.Go(func() {
			if err := c.CheckAllNow(t.Context()); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Second)
		began := time.Now()
		c.Remove(service.Key{Namespace: "n", Name: "hanging00000"})
		caller.Wait()
		if d := time.Since(began); d > 0 {
			t.Errorf("it ended %v after the last endpoint was removed", d)
		}
	})
}

func TestCheckAllNowWithoutEndpointsOrRun(t *testing.T) {
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckAllNow(t.Context()); err != nil {
		t.Errorf("without endpoints: %v", err)
	}
	c.Set(testKey, service.Probe{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := c.CheckAllNow(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("before Run: %v", err)
	}
	ended := make(chan error)
	go func() { ended <- c.CheckAllNow(context.Background()) }()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for { // until the call above waits
		c.mu.Lock()
		n := len(c.sweeps)
		c.mu.Unlock()
		if n > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	c.Run(stopped)
	if err := <-ended; !errors.Is(err, ErrStopped) {
		t.Errorf("as Run ended: %v", err)
	}
	if err := c.CheckAllNow(t.Context()); !errors.Is(err, ErrStopped) {
		t.Errorf("after Run: %v", err)
	}
}

// Remove, and Set with another probe, during an attempt.
func TestAnAttemptForAnOldProbeIsForgotten(t *testing.T) {
	behave := func(url string, _ int) (time.Duration, bool) {
		if url == "http://old/" {
			return time.Hour, false
		}
		return time.Millisecond, true
	}
	simulate(t, Options{}, behave, func(t *testing.T, c *Checker, f *fakeNet, r *recorder) {
		c.Set(testKey, httpProbe("http://old/"))
		time.Sleep(time.Second)
		c.Set(testKey, httpProbe("http://new/"))
		time.Sleep(time.Second)
		if h := r.of(testKey); !h.Healthy || r.count() < 1 {
			t.Errorf("after a change: %+v", h)
		}
		c.Set(testKey, httpProbe("http://old/"))
		time.Sleep(time.Second)
		before := r.count()
		c.Remove(testKey)
		c.Remove(testKey)
		synctest.Wait()
		if b := booksOf(c); b != (books{}) {
			t.Errorf("after Remove: %+v", b)
		}
		c.Set(testKey, httpProbe("http://old/"))
		time.Sleep(time.Second)
		c.Remove(testKey)
		c.Set(testKey, httpProbe("http://new/")) // before the attempt at the removed one has ended
		time.Sleep(time.Second)
		if n := r.count() - before; n < 1 || n > 2 || !r.of(testKey).Healthy || c.Len() != 1 {
			t.Errorf("%d reports after Remove and Set: %+v", n, r.of(testKey))
		}
		c.Remove(testKey)
		before = r.count()
		time.Sleep(time.Minute)
		if r.count() != before {
			t.Error("a removed endpoint was checked")
		}
	})
}

// The answer of the old endpoint may arrive just when the probe changes. It says nothing
// about the new one.
func TestALateAnswerForAnOldProbeIsNotReported(t *testing.T) {
	for name, change := range map[string]func(*Checker){
		"changed": func(c *Checker) { c.Set(testKey, httpProbe("http://new/")) },
		"removed": func(c *Checker) { c.Remove(testKey) },
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, Options{}, healthyAfter(time.Hour), func(t *testing.T, c *Checker, f *fakeNet, r *recorder) {
				c.mu.Lock()
				c.attempt = func(ctx context.Context, t *target, _ *outbound.Conn) outcome {
					if t.probe.URL == "http://old/" {
						<-ctx.Done() // there is an answer all the same
						return outcome{healthy: true, text: "old"}
					}
					return outcome{healthy: true, text: "new"}
				}
				c.mu.Unlock()
				c.Set(testKey, httpProbe("http://old/"))
				time.Sleep(time.Second)
				change(c)
				synctest.Wait()
				if h := r.of(testKey); !h.CheckedAt.IsZero() {
					t.Errorf("reported %q", h.Reason)
				}
			})
		})
	}
}

func TestRunReturnsAfterItsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		c, err := New(Options{Report: r.report})
		if err != nil {
			t.Fatal(err)
		}
		var ended atomic.Bool
		c.attempt = func(ctx context.Context, _ *target, _ *outbound.Conn) outcome {
			<-ctx.Done()
			time.Sleep(time.Second) // slow to notice
			ended.Store(true)
			return outcome{healthy: true, text: "late"}
		}
		c.Set(testKey, httpProbe("http://x/"))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		c.Run(ctx)
		if !ended.Load() {
			t.Error("Run returned before its attempt had ended")
		}
		if r.count() != 0 {
			t.Errorf("an interrupted attempt was reported: %+v", r.of(testKey))
		}
	})
}

// Everything at once, for the race detector, and to see that no worker gets lost and no
// endpoint is forgotten.
func TestSetRemoveAndSweepRaces(t *testing.T) {
	behave := func(_ string, attempt int) (time.Duration, bool) {
		return rand.N(300 * time.Millisecond), attempt%3 > 0
	}
	o := Options{Interval: 200 * time.Millisecond, Timeout: 200 * time.Millisecond, Backoff: 10 * time.Millisecond, Concurrency: 7}
	simulate(t, o, behave, func(t *testing.T, c *Checker, f *fakeNet, r *recorder) {
		var workers sync.WaitGroup
		for range 8 {
			workers.Go(func() {
				for range 400 {
					key := service.Key{Namespace: "n", Name: string(rune('a' + rand.N(20)))}
					switch rand.N(8) {
					case 0:
						ctx, cancel := context.WithTimeout(t.Context(), rand.N(5*time.Second))
						_ = c.CheckAllNow(ctx)
						cancel()
					case 1, 2, 3:
						c.Remove(key)
					default:
						c.Set(key, httpProbe("http://"+string(rune('a'+rand.N(3)))+"/"))
					}
					time.Sleep(rand.N(100 * time.Millisecond))
				}
			})
		}
		workers.Wait()
		if err := c.CheckAllNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if f.peak() > 7 {
			t.Errorf("%d attempts at once, want at most 7", f.peak())
		}
		for l := 'a'; l < 'a'+20; l++ {
			c.Remove(service.Key{Namespace: "n", Name: string(l)})
		}
		synctest.Wait()
		if b := booksOf(c); b != (books{}) {
			t.Errorf("left over: %+v", b)
		}
	})
}
