package identity

import (
	"strings"

	"kubernaut.io/dynamic-toolset/service"
)

// use finds out which credentials the API wants, by a query such as agents send.
func (s *session) use(r *Rule, prefix string) {
	s.access.Auth, s.access.Tenant = "", false
	if r.Use == "" {
		return
	}
	s.closed = ""
	s.left = max(s.left, 1)
	a := s.get(prefix, r.Use)
	switch {
	case a.meaning() == guarded:
		s.guard(a)
		if s.access.Auth == service.AuthRequired && r.UseAuth != "" {
			s.access.Auth = r.UseAuth
		}
	case a.Status >= 200 && a.Status <= 299:
		s.access.Auth = service.AuthNone
	case a.wantsTenant():
		s.access.Auth, s.access.Tenant = service.AuthNone, true
	}
}

// guard notes which credentials an answer wants.
func (s *session) guard(a *Answer) {
	switch {
	case a.wantsTenant():
		s.access.Auth, s.access.Tenant = service.AuthNone, true
		return
	case a.isLogin():
		s.access.Auth = service.AuthLogin
		return
	}
	s.access.Auth = service.AuthRequired
	for _, field := range []string{"WWW-Authenticate", "Proxy-Authenticate"} {
		for _, challenge := range a.values(field) {
			scheme, _, _ := strings.Cut(strings.TrimSpace(challenge), " ")
			switch strings.ToLower(scheme) {
			case "bearer":
				s.access.Auth = service.AuthBearer
				return
			case "basic":
				s.access.Auth = service.AuthBasic
				return
			}
		}
	}
}
