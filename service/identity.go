package service

import (
	"slices"
	"time"
)

// An Identity is what a back end has said itself about what it is. The zero value means
// that it was not asked yet.
type Identity struct {
	// Verdict says what the answers prove; Unverified if it is empty.
	Verdict Verdict
	// Type is the kind of back end that answers; empty if no kind is proved. It may be
	// another than the metadata of the Service say.
	Type string
	// Product and Version are as the back end says them; empty if unknown. They hold
	// letters, digits and a few signs only.
	Product, Version string
	// URL is the one of the Question that has answered, with the scheme that it speaks;
	// empty if none has.
	URL string
	// Evidence lists what was asked and answered, for people.
	Evidence []string
	// Access says how to reach it.
	Access Access
	// At is when it was asked last; zero if it was not.
	At time.Time
	// NotAsked means that it never will be: no rule says how its kind proves what it is.
	NotAsked bool
}

// A Verdict says whether a back end has confirmed what the metadata of its Service say.
type Verdict string

// The verdicts.
const (
	// Unverified means that there was no answer yet, or none that proves anything.
	Unverified Verdict = "unverified"
	// Verified means that it has answered as only that product does.
	Verified Verdict = "verified"
	// Refuted means that it has answered as something else.
	Refuted Verdict = "refuted"
)

// An Access says how clients reach a back end, as far as its answers show it.
type Access struct {
	// Scheme is "http", "https" or "tcp"; empty if nothing has answered.
	Scheme string
	// Path is the prefix below which everything answers, such as "/prometheus"; empty for
	// most. For an MCP server it is the path at which it answers.
	Path string
	// Auth is what credentials the API wants: one of the constants below; empty if unknown.
	Auth string
	// Tenant means that requests must name a tenant (X-Scope-OrgID).
	Tenant bool
	// TLS is TLSTrusted or TLSUntrusted for https, else empty.
	TLS string
	// Transport is that of an MCP server: see Backend.Transport.
	Transport string
}

// TransportSSE is the Transport of an MCP server of the revision 2024-11-05, which is
// called "HTTP with SSE".
const TransportSSE = "sse"

// Values of Access.Auth.
const (
	AuthNone     = "none"
	AuthBasic    = "basic"
	AuthBearer   = "bearer"
	AuthLogin    = "login"    // a page to log in at, as an OAuth proxy shows
	AuthRequired = "required" // some, but the answer does not say which
)

// Values of Access.TLS.
const (
	TLSTrusted   = "trusted"   // its certificate is valid
	TLSUntrusted = "untrusted" // a private CA, another name, or expired
)

// Equal reports whether i and o say the same, at whatever time.
func (i *Identity) Equal(o *Identity) bool {
	return i.SameFinding(o) && slices.Equal(i.Evidence, o.Evidence)
}

// SameFinding reports whether i and o find the same, by whatever evidence and at whatever
// time.
func (i *Identity) SameFinding(o *Identity) bool {
	return i.Verdict == o.Verdict && i.Type == o.Type && i.Product == o.Product && i.Version == o.Version && i.URL == o.URL &&
		i.Access == o.Access && i.NotAsked == o.NotAsked
}

// A Question says which endpoint to ask who it is.
type Question struct {
	// URLs are base URLs to ask, best first, such as
	// http://prometheus.monitoring.svc.cluster.local:9090. A back end has one, a candidate
	// may have several.
	URLs []string
	// Type is the kind that metadata say; empty for a candidate.
	Type string
	// Hints are further kinds that it might be, the most likely first.
	Hints []string
}

// Equal reports whether q and o ask the same.
func (q Question) Equal(o Question) bool {
	return q.Type == o.Type && slices.Equal(q.URLs, o.URLs) && slices.Equal(q.Hints, o.Hints)
}

// A Candidate is a Service that its metadata do not show to be a back end, but that may be
// one.
type Candidate struct {
	Question Question
	// Adopt returns the back end that an identity shows it to be; nil if it shows none.
	Adopt func(*Identity) *Backend
}
