package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// authority is a Reviewer whose answers a test sets. Its tokens have the form "name" or
// "name.payload.signature".
type authority struct {
	mu      sync.Mutex
	invalid map[string]bool   // tokens
	denied  map[string]bool   // "name verb path"
	groups  map[string]string // by name
	down    error
	asked   []string
	delay   time.Duration // of each answer
	now     int           // questions under way
	most    int
}

func newAuthority() *authority {
	return &authority{invalid: map[string]bool{}, denied: map[string]bool{}, groups: map[string]string{}}
}

func (a *authority) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *authority) ask(ctx context.Context, question string) error {
	a.set(func() {
		a.asked = append(a.asked, question)
		a.now++
		a.most = max(a.most, a.now)
	})
	defer a.set(func() { a.now-- })
	if a.delay > 0 {
		select {
		case <-time.After(a.delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.down
}

func (a *authority) Authenticate(ctx context.Context, token string) (*Identity, error) {
	if err := a.ask(ctx, "who is "+token); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.invalid[token] {
		return nil, fmt.Errorf("%w: unknown", ErrInvalidToken)
	}
	name, _, _ := strings.Cut(token, ".")
	return &Identity{Name: name, Groups: []string{a.groups[name]}}, nil
}

func (a *authority) Authorize(ctx context.Context, who *Identity, what Action) (bool, error) {
	if err := a.ask(ctx, "may "+who.Name+" "+what.String()); err != nil {
		return false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.denied[who.Name+" "+what.String()], nil
}

// took returns the questions since the last call.
func (a *authority) took() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() { a.asked = nil }()
	return strings.Join(a.asked, "; ")
}

var actions = []Action{{"get", "/list"}, {"post", "/write"}}

const read, write = 0, 1

func newAuthorizer(t *testing.T, a Reviewer, change func(*Options)) *Authorizer {
	t.Helper()
	o := Options{Reviewer: a, Actions: actions}
	if change != nil {
		change(&o)
	}
	authz, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(authz.Close)
	return authz
}

func (a *Authorizer) decide(token string, action int) Decision {
	c := a.Caller([]byte(token))
	return a.Decide(&c, action)
}

func want(t *testing.T, d Decision, r Result) {
	t.Helper()
	if d.Result != r {
		t.Errorf("the result is %v (%v), want %v", d.Result, d.Err, r)
	}
}

func wantAsked(t *testing.T, a *authority, questions ...string) {
	t.Helper()
	if got, want := a.took(), strings.Join(questions, "; "); got != want {
		t.Errorf("the authority was asked %q, want %q", got, want)
	}
}

func TestDecisionsAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.denied["jane post /write"] = true
		authz := newAuthorizer(t, a, nil)
		c := authz.Caller([]byte("jane"))
		if c.Known() != nil {
			t.Error("a new token is known")
		}
		d := authz.decide("jane", read)
		want(t, d, Allowed)
		if d.Who.Name != "jane" || d.Valid != defaultTTL || d.Ask != defaultTTL/4*3 {
			t.Errorf("%+v", d)
		}
		wantAsked(t, a, "who is jane", "may jane get /list")
		want(t, authz.decide("jane", read), Allowed)
		wantAsked(t, a)
		// Another action of the same caller takes one more question.
		want(t, authz.decide("jane", write), Forbidden)
		want(t, authz.decide("jane", write), Forbidden)
		wantAsked(t, a, "may jane post /write")
		if c := authz.Caller([]byte("jane")); c.Known() == nil || c.Known().Name != "jane" {
			t.Errorf("%+v", c)
		}
		// Another token is another caller.
		want(t, authz.decide("john", read), Allowed)
		wantAsked(t, a, "who is john", "may john get /list")
	})
}

// A caller who has just been granted a right, or whose token has just become valid, waits
// 10 s at most.
func TestRefusalsAreShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.denied["jane get /list"], a.invalid["john"] = true, true
		authz := newAuthorizer(t, a, nil)
		for range 3 {
			want(t, authz.decide("jane", read), Forbidden)
			want(t, authz.decide("john", read), Unauthenticated)
		}
		wantAsked(t, a, "who is jane", "may jane get /list", "who is john")
		if valid, invalid := authz.Remembered(); valid != 1 || invalid != 1 {
			t.Errorf("remembered: %d valid, %d invalid", valid, invalid)
		}
		a.set(func() { clear(a.denied); clear(a.invalid) })
		time.Sleep(refusalTTL - time.Millisecond)
		want(t, authz.decide("jane", read), Forbidden)
		want(t, authz.decide("john", read), Unauthenticated)
		wantAsked(t, a)
		time.Sleep(time.Millisecond)
		want(t, authz.decide("jane", read), Allowed)
		want(t, authz.decide("john", read), Allowed)
		wantAsked(t, a, "may jane get /list", "who is john", "may john get /list")
	})
}

// While the authority can't be asked, decisions hold until their TTL, and not a moment
// longer.
func TestAuthorityDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		authz := newAuthorizer(t, a, func(o *Options) { o.TTL = time.Minute })
		want(t, authz.decide("jane", read), Allowed)
		a.set(func() { a.down = errors.New("connection refused") })
		d := authz.decide("john", read)
		want(t, d, Unavailable)
		if d.Who != nil || d.Err == nil {
			t.Errorf("%+v", d)
		}
		d = authz.decide("jane", write)
		want(t, d, Unavailable)
		if d.Who == nil || d.Err == nil {
			t.Errorf("%+v", d)
		}
		for range 59 {
			time.Sleep(time.Second)
			want(t, authz.decide("jane", read), Allowed)
			synctest.Wait()
		}
		time.Sleep(time.Second - 1)
		want(t, authz.decide("jane", read), Allowed)
		synctest.Wait()
		time.Sleep(time.Nanosecond)
		want(t, authz.decide("jane", read), Unavailable)
		// The failure is not remembered.
		a.set(func() { a.down = nil })
		want(t, authz.decide("jane", read), Allowed)
		want(t, authz.decide("john", read), Allowed)
	})
}

// A decision in use is renewed before it ends, without making anyone wait; so changes
// show early.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		authz := newAuthorizer(t, a, func(o *Options) { o.TTL = 100 * time.Second })
		want(t, authz.decide("jane", read), Allowed)
		a.took()
		time.Sleep(75*time.Second - 1)
		want(t, authz.decide("jane", read), Allowed)
		synctest.Wait()
		wantAsked(t, a)

		time.Sleep(time.Nanosecond)
		a.set(func() { a.delay = time.Second })
		before := time.Now()
		for range 3 { // the first call renews the identity, the second one the right
			want(t, authz.decide("jane", read), Allowed)
		}
		if time.Since(before) > 0 {
			t.Error("a decision that still holds was waited for")
		}
		synctest.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := a.took(); got != "who is jane; may jane get /list" && got != "may jane get /list; who is jane" {
			t.Errorf("asked %q", got)
		}
		d := authz.decide("jane", read)
		want(t, d, Allowed)
		if d.Valid != 99*time.Second {
			t.Errorf("the renewed decision holds for %s", d.Valid)
		}

		// A token that is revoked is refused as soon as that is known.
		a.set(func() { a.invalid["jane"] = true; a.delay = 0 })
		time.Sleep(75 * time.Second)
		want(t, authz.decide("jane", read), Allowed)
		synctest.Wait()
		want(t, authz.decide("jane", read), Unauthenticated)
	})
}

// A renewal that fails is tried again, not too often, while the decision holds.
func TestRenewalIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		authz := newAuthorizer(t, a, func(o *Options) { o.TTL = 100 * time.Second })
		want(t, authz.decide("jane", read), Allowed)
		time.Sleep(75 * time.Second)
		a.took()
		a.set(func() { a.down = errors.New("down") })
		for range 100 { // 10 s
			want(t, authz.decide("jane", read), Allowed)
			synctest.Wait()
			time.Sleep(100 * time.Millisecond)
		}
		if n := strings.Count(a.took(), "who is"); n != 2 {
			t.Errorf("asked %d times in 10 s, want 2", n)
		}
		a.set(func() { a.down = nil })
		for range 100 {
			want(t, authz.decide("jane", read), Allowed)
			synctest.Wait()
			time.Sleep(100 * time.Millisecond)
		}
		if d := authz.decide("jane", read); d.Valid < 80*time.Second {
			t.Errorf("not renewed: holds for %s", d.Valid)
		}
	})
}

// A decision about one identity is never used for another, even if the authority changes
// its mind about which of them a token stands for.
func TestGrantsBelongToTheIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		authz := newAuthorizer(t, a, nil)
		want(t, authz.decide("jane", read), Allowed)
		a.set(func() { a.groups["jane"] = "former employees"; a.denied["jane get /list"] = true })
		time.Sleep(defaultTTL / 4 * 3)
		authz.decide("jane", read)
		synctest.Wait()
		want(t, authz.decide("jane", read), Forbidden)
	})
}

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

// Memory is bounded however many tokens come, and unknown tokens never displace known
// ones.
func TestStrangersDisplaceNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		authz := newAuthorizer(t, &anybody{authority: a}, nil)
		want(t, authz.decide("jane", read), Allowed)
		for i := range 3 * strangers {
			want(t, authz.decide(fmt.Sprint("stranger", i), read), Unauthenticated)
		}
		a.took()
		want(t, authz.decide("jane", read), Allowed)
		wantAsked(t, a)
		if valid, invalid := authz.Remembered(); valid != 1 || invalid > strangers || invalid < strangers/2 {
			t.Errorf("remembered: %d valid, %d invalid", valid, invalid)
		}
	})
}

// anybody is an authority that takes tokens beginning with "stranger" for invalid.
type anybody struct{ *authority }

func (a *anybody) Authenticate(ctx context.Context, token string) (*Identity, error) {
	if strings.HasPrefix(token, "stranger") {
		return nil, ErrInvalidToken
	}
	return a.authority.Authenticate(ctx, token)
}

// Nothing is remembered about a token beyond the token's own end.
func TestTokenEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		authz := newAuthorizer(t, a, nil)
		token := jwt(fmt.Sprintf(`{"exp":%d}`, time.Now().Add(30*time.Second).Unix()))
		d := authz.decide(token, read)
		want(t, d, Allowed)
		if d.Valid != 30*time.Second {
			t.Errorf("the decision holds for %s", d.Valid)
		}
		a.set(func() { a.invalid[token] = true })
		time.Sleep(30*time.Second - 1)
		want(t, authz.decide(token, read), Allowed)
		time.Sleep(time.Nanosecond)
		want(t, authz.decide(token, read), Unauthenticated)

		// By the clock of this machine the token has expired, but the authority accepts
		// it.
		late := jwt(fmt.Sprintf(`{"exp":%d}`, time.Now().Add(-time.Minute).Unix()))
		d = authz.decide(late, read)
		want(t, d, Allowed)
		if d.Valid != time.Second {
			t.Errorf("the decision holds for %s", d.Valid)
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

func TestNewSaysWhatIsMissing(t *testing.T) {
	for _, o := range []Options{{}, {Reviewer: newAuthority()}, {Actions: actions}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

// The zero values let nobody pass.
func TestZeroDecision(t *testing.T) {
	want(t, Decision{}, Unavailable)
	if Unavailable.String() != "unavailable" || Allowed.String() != "allowed" {
		t.Error("the names of the results")
	}
}
