// Package auth decides which callers may do what, by asking an authority and
// remembering its answers.
//
// The authority is a Reviewer; package cluster has the one that asks the
// Kubernetes API server. The Authorizer remembers: whom a token stands for, and what
// they may do, both for the same bounded time, refusals for a shorter one. What
// it remembers is looked up without locks or allocations, since that happens
// for every request. It never remembers the tokens themselves; a Recent does, for
// the connection that it belongs to.
//
// Three rules hold whatever happens. A caller is let through only by a decision
// of the authority that is not older than the TTL. When the authority can't be
// asked, decisions serve until their TTL and then nobody is let through. And no
// number of callers, tokens or paths makes the memory or the questions under
// way grow without bound.
package auth

import (
	"context"
	"errors"
	"time"
)

// An Identity is whom a token stands for, as the authority knows them. It is
// handed back to the authority as it is. It must not be changed.
type Identity struct {
	// Name is unique, such as "system:serviceaccount:monitoring:agent".
	Name   string
	UID    string
	Groups []string
	// Extra is what else the authority wants to be told about the caller.
	Extra map[string][]string
}

// An Action is what a caller may be allowed to do: a verb, which is an HTTP
// method in lower case, on a path.
type Action struct {
	Verb, Path string
}

// String returns the action as in "get /api/v1/toolsets".
func (a Action) String() string { return a.Verb + " " + a.Path }

// A Reviewer is the authority. Its methods are called from several goroutines
// and must return soon after their context has ended.
type Reviewer interface {
	// Authenticate returns whom the token stands for. The error wraps
	// ErrInvalidToken if the authority does not accept the token; any other
	// means that there is no answer.
	Authenticate(ctx context.Context, token string) (*Identity, error)
	// Authorize says whether the caller may do this. An error means that there
	// is no answer.
	Authorize(ctx context.Context, who *Identity, what Action) (allowed bool, err error)
}

// Causes of a Decision, for errors.Is.
var (
	// ErrInvalidToken: the authority does not accept the token.
	ErrInvalidToken = errors.New("the token is not valid")
	// ErrBusy: too many callers are being reviewed already.
	ErrBusy = errors.New("too many callers are being reviewed")
)

// A Result is the outcome of a Decision.
type Result int

const (
	// Unavailable: there is no decision, and so the caller must not pass.
	Unavailable Result = iota
	// Unauthenticated: the token is not valid.
	Unauthenticated
	// Forbidden: the caller is known and may not do this.
	Forbidden
	// Allowed: the caller may do this.
	Allowed
)

// String returns the result as metrics name it.
func (r Result) String() string {
	switch r {
	case Allowed:
		return "allowed"
	case Forbidden:
		return "forbidden"
	case Unauthenticated:
		return "unauthenticated"
	}
	return "unavailable"
}

// A Decision says whether a caller may do something. The zero Decision does not
// let anybody pass.
type Decision struct {
	Result Result
	// Who is the caller; nil if the result is Unauthenticated, or if it is
	// Unavailable and the caller could not be identified.
	Who *Identity
	// Err is why there is no decision; nil if there is one.
	Err error
	// Ask is how long from now it takes until it is worth asking again, and
	// Valid until when the decision holds; for those who let a caller stay.
	Ask, Valid time.Duration
}
