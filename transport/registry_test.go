package transport_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/transport"
)

// A registry is a Reviewer that knows the users it was given. "jane.anything" is a token
// of jane.
type registry struct {
	mu      sync.Mutex
	may     map[string][]string // actions of a user
	revoked string              // a user whose tokens are no longer valid
	down    error
	tokens  int // questions about tokens
	actions []string
}

func (r *registry) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *registry) Authenticate(_ context.Context, token string) (*auth.Identity, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens++
	name, _, _ := strings.Cut(token, ".")
	switch {
	case r.down != nil:
		return nil, r.down
	case r.may[name] == nil || name == r.revoked:
		return nil, fmt.Errorf("%w: nobody has it", auth.ErrInvalidToken)
	}
	return &auth.Identity{Name: name}, nil
}

func (r *registry) Authorize(_ context.Context, who *auth.Identity, what auth.Action) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.actions = append(r.actions, what.String())
	return slices.Contains(r.may[who.Name], what.String()) || slices.Contains(r.may[who.Name], "everything"), r.down
}

func newRegistry() *registry {
	return &registry{may: map[string][]string{
		"admin": {"everything"}, "nobody": {}, "reader": {"get /dynamic-toolset/api/v1/toolsets/*"},
	}}
}

// authorizing starts a server whose Reviewer is r.
func authorizing(t *testing.T, r *registry, change func(*options)) *fixture {
	return start(t, func(o *options) {
		o.Auth = &transport.Auth{Reviewer: r}
		o.Generate = func(context.Context) (string, error) { return "42", nil }
		if change != nil {
			change(o)
		}
	})
}
