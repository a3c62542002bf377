// Package identity decides, from the answers of an endpoint, which product it is. Rules say
// what to ask, and what the answers of each kind of back end look like (rule.go, match.go).
//
// [Rules.Identify] asks no more than it needs. First it asks what the kind would answer
// that the metadata of the Service say, at the root and at the prefixes that a redirect, a
// page or the rules name. Only if the answers are certainly those of something else, it asks what
// other kinds would answer.
//
// The package sends nothing itself: an [Asker] does (package identify).
package identity

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
)

// An Asker sends requests. It bounds their time and the size of the answers, follows no
// redirects and sends no credentials.
type Asker interface {
	// Get sends a GET to an http or https URL.
	Get(ctx context.Context, url string) Answer
	// Kafka sends an ApiVersions request to host:port. The answer has Status 200 if it was
	// answered as Kafka does.
	Kafka(ctx context.Context, address string) Answer
	// MCP sends a request of the Model Context Protocol, MCPDiscover or MCPInitialize, to
	// an http or https URL. A session that the answer begins is ended.
	MCP(ctx context.Context, url, method string) Answer
}

// Bounds of the requests for one identification.
const (
	maxRequests          = 48 // of a Service that metadata recognise
	maxCandidateRequests = 32 // of one that they do not
	maxTimeouts          = 2  // further requests would not be answered either
	// maxKept is how many bytes of bodies a session keeps. What comes later is cut short.
	maxKept     = 192 << 10
	maxShort    = 2 << 10
	maxEvidence = 6
)

// Rules are the rules of all kinds. They never change, and may be used concurrently.
type Rules struct {
	all    []*Rule
	byType map[string]*Rule
}

// NewRules returns rules for Identify. They must not be changed afterwards.
func NewRules(all []*Rule) *Rules {
	r := &Rules{byType: map[string]*Rule{}}
	for _, rule := range all {
		if len(rule.Proofs) > 0 || rule.Kafka || rule.MCP {
			r.all = append(r.all, rule)
			r.byType[rule.Type] = rule
		}
	}
	return r
}

// Knows reports whether there is a rule for a type.
func (r *Rules) Knows(typ string) bool { return r.byType[typ] != nil }

// Identify asks an endpoint who it is. The result has no time yet. It is Unverified if ctx
// ends.
func (r *Rules) Identify(ctx context.Context, q service.Question, ask Asker) service.Identity {
	best := service.Identity{Verdict: service.Unverified}
	left := maxRequests
	if q.Type == "" {
		left = maxCandidateRequests
	}
	for i, base := range q.URLs {
		s := &session{ctx: ctx, ask: ask, rules: r, want: r.byType[q.Type], left: left / (len(q.URLs) - i), answers: map[string]*Answer{}}
		before := s.left
		id := s.identify(base, q)
		left -= before - s.left
		if id.Verdict == service.Verified {
			return id
		}
		if i == 0 || id.Verdict == service.Refuted {
			best = id
		}
	}
	return best
}

// A session is what is known about one endpoint.
type session struct {
	ctx   context.Context
	ask   Asker
	rules *Rules
	want  *Rule // the kind that the metadata say; nil if there is none
	left  int   // requests

	base     string // scheme, host, port and path that come before each prefix
	answers  map[string]*Answer
	prefixes []string        // at which it may answer; the first is "" (prefix.go)
	empty    map[string]bool // those below which nothing answers
	kept     int             // bytes of the bodies in answers
	timeouts int
	closed   string // why nothing more is asked; empty while it is
	guards   int    // answers that want credentials
	unsure   string // an indefinite answer, for the evidence
	definite []string
	access   service.Access
}

func (s *session) identify(base string, q service.Question) service.Identity {
	if s.want != nil && s.want.Kafka || s.want == nil && strings.HasPrefix(base, "tcp://") {
		return s.kafka(base)
	}
	if !strings.HasPrefix(base, "http://") && !strings.HasPrefix(base, "https://") {
		return service.Identity{Verdict: service.Unverified, Evidence: []string{"it does not speak HTTP, so it was not asked"}}
	}
	if s.want != nil && s.want.MCP {
		id := s.mcp(base)
		if id.Verdict != service.Refuted {
			return id
		}
		return s.afterAll(id, q)
	}
	s.base, s.prefixes, s.empty = strings.TrimSuffix(base, "/"), []string{""}, map[string]bool{}
	if !s.findScheme(s.firstPath(q)) {
		return s.unverified()
	}
	if id, ok := s.prove(s.want, ""); ok {
		return id
	}
	s.follow(s.firstPath(q))
	s.follow("/")
	for _, prefix := range s.prefixes[1:] {
		if id, ok := s.prove(s.want, prefix); ok {
			return id
		}
	}
	if s.want != nil {
		for _, prefix := range s.want.Prefixes {
			if id, ok := s.prove(s.want, prefix); ok {
				return id
			}
		}
	}
	for rule := range s.others(q) {
		for prefix := range s.served() {
			if id, ok := s.prove(rule, prefix); ok {
				return id
			}
		}
	}
	return s.verdict()
}

// firstPath returns the path of the first request.
func (s *session) firstPath(q service.Question) string {
	if s.want != nil {
		return s.want.Proofs[0][0].Get
	}
	for _, hint := range q.Hints {
		if r := s.rules.byType[hint]; r != nil && len(r.Proofs) > 0 {
			return r.Proofs[0][0].Get
		}
	}
	return "/"
}

// others yields the kinds to try besides that of the metadata: first the hints, then all
// others. For a candidate, the others follow only if it answers as a relative of a hint:
// most candidates are something else, and should be asked little.
func (s *session) others(q service.Question) iter.Seq[*Rule] {
	return func(yield func(*Rule) bool) {
		tried := map[*Rule]bool{s.want: true, nil: true}
		related := s.want != nil
		for _, hint := range q.Hints {
			r := s.rules.byType[hint]
			if tried[r] || r.Kafka || r.MCP {
				continue
			}
			tried[r] = true
			if !yield(r) {
				return
			}
			for prefix := range s.served() {
				related = related || s.compatible(r, prefix) != nil
			}
		}
		for _, r := range s.rules.all {
			if related && !tried[r] && !r.Kafka && !r.MCP && !yield(r) {
				return
			}
		}
	}
}

// compatible returns the ask by whose answer an endpoint shows that it speaks the API of a
// kind; nil if there is none.
func (s *session) compatible(r *Rule, prefix string) *Ask {
	for i := range r.Compatible {
		k := &r.Compatible[i]
		if _, ok := k.match(s.get(prefix, k.Get)); ok {
			return k
		}
	}
	return nil
}

// findScheme makes the first request, and changes the scheme if the endpoint speaks the
// other one. It reports whether the endpoint answers.
func (s *session) findScheme(path string) bool {
	a := s.get("", path)
	if a.Status != 0 && !a.wantsTLS() {
		return true
	}
	if a.Failure == Unreachable || a.Failure == Timeout {
		s.close(a.Why)
		return false
	}
	scheme, rest, _ := strings.Cut(s.base, "://")
	other := "https"
	if scheme == "https" {
		other = "http"
	}
	b := *s
	b.base, b.answers, b.access = other+"://"+rest, map[string]*Answer{}, service.Access{}
	a2 := b.get("", path)
	if a2.Status != 0 && !a2.wantsTLS() {
		*s = b
		return true
	}
	s.left = b.left
	if a.Status != 0 { // it says that it wants TLS, and then does not answer over TLS
		s.unsure = "it wants TLS, but " + a2.Why
		return false
	}
	s.close(a.Why)
	return false
}

// get returns the answer to a GET of path below prefix. Each is sent once.
func (s *session) get(prefix, path string) *Answer {
	u := s.base + prefix + path
	if a := s.answers[u]; a != nil {
		return a
	}
	if s.closed == "" && s.left <= 0 {
		s.close(fmt.Sprintf("its answers left it open after %d requests", len(s.answers)))
	}
	if s.closed != "" || s.ctx.Err() != nil {
		return &Answer{Failure: Timeout, Why: s.closed}
	}
	s.left--
	a := s.ask.Get(s.ctx, u)
	if s.kept+len(a.Body) > maxKept && len(a.Body) > maxShort {
		a.Body, a.Cut = slices.Clone(a.Body[:maxShort]), true
	}
	s.kept += len(a.Body)
	s.answers[u] = &a
	s.note("GET "+prefix+path, u, &a)
	return &a
}

// note draws from the answer to what was asked what it says besides the proofs.
func (s *session) note(what, url string, a *Answer) {
	if a.Status != 0 {
		s.access.Scheme, _, _ = strings.Cut(s.base, "://")
		s.access.TLS = a.TLS
	}
	switch {
	case a.Failure == Timeout:
		if s.timeouts++; s.timeouts >= maxTimeouts {
			s.close(a.Why)
		}
		s.unsure = what + ": " + a.Why
	case a.Status == 0:
		s.unsure = what + ": " + a.Why
	case a.meaning() == guarded:
		s.guard(a)
		// Each further request might count as an attack, so no more than these are sent.
		if s.guards++; s.guards >= maxGuards && len(s.definite) == 0 {
			s.close(what + " wants credentials")
		}
	case a.elsewhere(url):
		s.unsure = fmt.Sprintf("%s answered %d: it redirects to another address", what, a.Status)
	case a.meaning() == indefinite:
		s.unsure = fmt.Sprintf("%s answered %d", what, a.Status)
	default:
		s.definite = append(s.definite, fmt.Sprintf("%s answered %d", what, a.Status))
	}
}

// maxGuards is how many answers in a row that want credentials end the questions.
const maxGuards = 3

func (s *session) close(why string) {
	if s.closed == "" {
		s.closed = why
	}
}

// prove asks for the proofs of a rule below prefix.
func (s *session) prove(r *Rule, prefix string) (id service.Identity, ok bool) {
	if r == nil {
		return id, false
	}
	for _, proof := range r.Proofs {
		if m, ok := s.holds(proof, prefix); ok {
			return s.verified(r, prefix, proof, m), true
		}
	}
	return id, false
}

func (s *session) holds(proof []Ask, prefix string) (all match, ok bool) {
	for i := range proof {
		a := s.get(prefix, proof[i].Get)
		m, ok := proof[i].match(a)
		if !ok || a.Status == 0 {
			return match{}, false
		}
		if m.product != "" {
			all.product = m.product
		}
		if m.version != "" {
			all.version = m.version
		}
	}
	return all, true
}
