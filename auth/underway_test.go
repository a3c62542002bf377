package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Of several callers with the same question, one asks the authority.
func TestOneAsksForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.delay = time.Second
		authz := newAuthorizer(t, a, nil)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { want(t, authz.decide("jane", read), Allowed) })
		}
		wg.Wait()
		wantAsked(t, a, "who is jane", "may jane get /list")
	})
}

// Many different callers at once wait for their turn; only those beyond a bound are
// turned away.
func TestReviewsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.delay = 10 * time.Millisecond
		authz := newAuthorizer(t, a, func(o *Options) { o.MaxReviews = 4 })
		var wg sync.WaitGroup
		for i := range 200 { // 400 questions of 10 ms, four at a time: a second
			wg.Go(func() { want(t, authz.decide(fmt.Sprint("user", i), read), Allowed) })
		}
		wg.Wait()
		if a.most != 4 {
			t.Errorf("%d questions were under way at once, want 4", a.most)
		}

		a.set(func() { a.delay = time.Minute }) // until the timeout of each
		var mu sync.Mutex
		busy := 0
		begin := time.Now()
		for i := range 2 * maxWaiting {
			wg.Go(func() {
				d := authz.decide(fmt.Sprint("other", i), read)
				want(t, d, Unavailable)
				if errors.Is(d.Err, ErrBusy) {
					mu.Lock()
					busy++
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		mu.Lock()
		if want := 2*maxWaiting - maxWaiting - 4; busy != want {
			t.Errorf("%d were turned away at once, want %d", busy, want)
		}
		mu.Unlock()
		wg.Wait()
		if took := time.Since(begin); took != reviewTimeout {
			t.Errorf("the last had to wait for %s", took)
		}
		if busy != 2*maxWaiting-4 {
			t.Errorf("%d were turned away", busy)
		}
	})
}

func TestCloseEndsReviews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		authz := newAuthorizer(t, a, nil)
		want(t, authz.decide("jane", read), Allowed)
		time.Sleep(defaultTTL / 4 * 3)
		a.set(func() { a.delay = time.Minute })
		want(t, authz.decide("jane", read), Allowed) // starts a renewal
		begin := time.Now()
		done := make(chan Decision)
		go func() { done <- authz.decide("john", read) }()
		synctest.Wait()
		authz.Close()
		want(t, <-done, Unavailable)
		if time.Since(begin) > 0 {
			t.Errorf("it took %s", time.Since(begin))
		}
		want(t, authz.decide("jane", read), Allowed) // remembered; starts nothing
	})
}

// If the authority panics, one caller panics and those that wait for it get an error.
func TestPanicLeavesNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authz := newAuthorizer(t, panics{}, func(o *Options) { o.MaxReviews = 1 })
		panicked := make(chan any)
		go func() {
			defer func() { panicked <- recover() }()
			authz.decide("jane", read)
		}()
		time.Sleep(time.Millisecond)
		other := make(chan Decision)
		go func() { other <- authz.decide("jane", read) }()
		if p := <-panicked; p == nil {
			t.Error("the panic was swallowed")
		}
		want(t, <-other, Unavailable)
	})
}

type panics struct{}

func (panics) Authenticate(context.Context, string) (*Identity, error) {
	time.Sleep(time.Second)
	panic("planted")
}
func (panics) Authorize(context.Context, *Identity, Action) (bool, error) { panic("planted") }

func TestReviewsAreReported(t *testing.T) {
	a := newAuthority()
	a.invalid["john"], a.denied["jane post /write"] = true, true
	var told []string
	authz := newAuthorizer(t, a, func(o *Options) {
		o.OnReview = func(what Review, _ time.Duration, outcome Result, err error) {
			told = append(told, fmt.Sprint(what, outcome, err != nil))
		}
	})
	authz.decide("jane", read)
	authz.decide("jane", write)
	authz.decide("john", read)
	a.down = errors.New("down")
	authz.decide("joe", read)
	want := []string{"0 allowed false", "1 allowed false", "1 forbidden false", "0 unauthenticated true", "0 unavailable true"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
