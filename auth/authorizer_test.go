package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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
