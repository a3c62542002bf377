package identity

import (
	"fmt"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
)

func (s *session) verified(r *Rule, prefix string, proof []Ask, m match) service.Identity {
	id := service.Identity{Verdict: service.Verified, Type: r.Type, Product: r.Product, Version: m.version, URL: s.base}
	if m.product != "" {
		id.Product = m.product
	}
	as := id.Product
	if id.Version != "" {
		as += " " + id.Version
	}
	for i := range proof {
		id.Evidence = append(id.Evidence, fmt.Sprintf("GET %s answered as %s", prefix+proof[i].Get, as))
	}
	if s.want != nil && s.want != r {
		id.Evidence = append(id.Evidence, "its metadata say "+s.want.Type)
	}
	s.use(r, prefix)
	_, rest, _ := strings.Cut(s.base, "://")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		prefix = rest[i:] + prefix
	}
	s.access.Path = prefix
	id.Access = s.access
	return id
}

// verdict decides what the answers mean if they prove no kind.
func (s *session) verdict() service.Identity {
	if s.want == nil || s.closed != "" || s.guards > 0 || s.unsure != "" || len(s.definite) == 0 {
		return s.unverified()
	}
	for _, prefix := range slices.Concat(slices.Collect(s.served()), s.want.Prefixes) {
		if k := s.compatible(s.want, prefix); k != nil {
			id := s.unverified()
			id.Evidence = []string{fmt.Sprintf("GET %s is answered as by %s, but nothing says which product it is", prefix+k.Get, s.want.Product)}
			return id
		}
	}
	if s.closed != "" || s.guards > 0 || s.unsure != "" { // by what was just asked
		return s.unverified()
	}
	id := service.Identity{Verdict: service.Refuted, Access: s.access}
	id.Evidence = append(id.Evidence, "it answers, but not as "+s.want.Product+" or any other known product")
	id.Evidence = append(id.Evidence, s.definite[:min(len(s.definite), maxEvidence-1)]...)
	return id
}

func (s *session) unverified() service.Identity {
	id := service.Identity{Verdict: service.Unverified, Access: s.access}
	switch {
	case s.closed != "":
		id.Evidence = []string{s.closed}
	case s.unsure != "":
		id.Evidence = []string{s.unsure}
	case s.guards > 0:
		id.Evidence = []string{"it wants credentials, which are not sent"}
	case len(s.definite) > 0: // of a candidate
		id.Evidence = append([]string{"its answers prove nothing"}, s.definite[:min(len(s.definite), maxEvidence-1)]...)
	}
	return id
}

// kafka asks for the versions of Kafka's requests.
func (s *session) kafka(base string) service.Identity {
	_, address, _ := strings.Cut(base, "://")
	a := s.ask.Kafka(s.ctx, address)
	id := service.Identity{Verdict: service.Unverified, Evidence: []string{a.Why}}
	if a.Status != 0 {
		id.Access = service.Access{Scheme: "tcp", TLS: a.TLS}
	}
	if a.Status == 200 {
		id.Verdict, id.Type, id.Product, id.URL = service.Verified, "kafka", "Kafka", base
		for _, r := range s.rules.all {
			if r.Kafka {
				id.Type, id.Product = r.Type, r.Product
			}
		}
		id.Evidence = []string{"an ApiVersions request was answered as by " + id.Product}
	}
	return id
}
