package auth

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
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
