// Package auth decides which callers may do what, by asking an authority and remembering
// its answers. It knows no HTTP.
//
// The authority is a [Reviewer]; package cluster/tokenreview has the one that asks the
// Kubernetes API server. An [Authorizer] remembers for a bounded time which caller a
// token stands for and what that caller may do, and refusals for a shorter time. Looking
// up what it remembers takes no lock and allocates nothing, since that happens for every
// request. It never stores a token, only a hash of it; a [Recent] stores the last token
// of one connection.
//
// A request is decided in two steps: [Authorizer.Caller], or [Authorizer.Again] for a
// connection with a Recent, looks up the token; [Authorizer.Decide] returns a [Decision]
// about an action.
//
// Three rules always hold. A caller passes only by a decision of the authority that is
// not older than the TTL. When the authority can't be asked, a decision holds until its
// TTL, and then nobody passes. And no number of callers, tokens or paths makes the
// memory, or the number of questions under way, grow without bound.
package auth

import (
	"context"
	"errors"
	"time"
)

// An Identity is the caller that a token stands for, as the authority names it. It is
// handed back to the authority unchanged, and must not be modified.
type Identity struct {
	// Name is unique, such as "system:serviceaccount:monitoring:agent".
	Name   string
	UID    string
	Groups []string
	// Extra has further attributes that the authority wants back with a question.
	Extra map[string][]string
}

// An Action is something a caller may be allowed to do: a verb, which is an HTTP method
// in lower case, and a path.
type Action struct {
	Verb, Path string
}

// String returns the action in the form "get /api/v1/toolsets".
func (a Action) String() string { return a.Verb + " " + a.Path }

// A Reviewer is the authority. Its methods may be called concurrently, and must return
// soon after their context has ended.
type Reviewer interface {
	// Authenticate returns the caller that the token stands for. The error wraps
	// ErrInvalidToken if the authority does not accept the token; any other error means
	// that there is no answer.
	Authenticate(ctx context.Context, token string) (*Identity, error)
	// Authorize reports whether the caller may do this. An error means that there is no
	// answer.
	Authorize(ctx context.Context, who *Identity, what Action) (allowed bool, err error)
}

// Errors of a Decision, for errors.Is.
var (
	// ErrInvalidToken: the authority does not accept the token.
	ErrInvalidToken = errors.New("the token is not valid")
	// ErrBusy: too many callers are being reviewed already.
	ErrBusy = errors.New("too many callers are being reviewed")
)

// A Result is the outcome of a Decision.
type Result int

const (
	// Unavailable: there is no decision, so the caller must not pass.
	Unavailable Result = iota
	// Unauthenticated: the token is not valid.
	Unauthenticated
	// Forbidden: the caller is known and may not do this.
	Forbidden
	// Allowed: the caller may do this.
	Allowed
)

// String returns the result in the form that metrics use.
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

// A Decision says whether a caller may do something. The zero Decision lets nobody pass.
type Decision struct {
	Result Result
	// Who is the caller; nil if the result is Unauthenticated, or if it is Unavailable
	// and the caller could not be identified.
	Who *Identity
	// Err says why there is no decision; nil if there is one.
	Err error
	// Ask is the time from now after which it is worth asking again, and Valid the time
	// for which the decision holds. They are for callers that stay, such as event
	// streams.
	Ask, Valid time.Duration
}
