package snapshot

import "kubernaut.io/dynamic-toolset/service"

// identityJSON is in the HTTP API what a back end has said itself.
type identityJSON struct {
	Verdict  service.Verdict `json:"verdict"`
	Product  string          `json:"product,omitempty"`
	Version  string          `json:"version,omitempty"`
	Evidence []string        `json:"evidence,omitempty"`
	At       *string         `json:"at,omitempty"`
}

// accessJSON is in the HTTP API how clients reach a back end.
type accessJSON struct {
	Scheme string `json:"scheme"`
	Path   string `json:"path"`
	Auth   string `json:"auth,omitempty"`
	Tenant bool   `json:"tenant"`
	TLS    string `json:"tls,omitempty"`
}

// identityOf returns what the API shows of an identity; nothing if back ends are not asked.
func identityOf(id *service.Identity, evidence bool) (*identityJSON, *accessJSON) {
	if id.Verdict == "" {
		return nil, nil
	}
	out := &identityJSON{Verdict: id.Verdict, Product: id.Product, Version: id.Version, At: optionalTime(id.At)}
	if evidence {
		out.Evidence = id.Evidence
	}
	if id.Access.Scheme == "" {
		return out, nil
	}
	a := id.Access
	return out, &accessJSON{Scheme: a.Scheme, Path: a.Path, Auth: a.Auth, Tenant: a.Tenant, TLS: a.TLS}
}

// sameIdentity reports whether a and b are equal to watchers, for whom the evidence and the
// time don't matter. Both may be nil.
func sameIdentity(a, b *service.Identity) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Verdict == b.Verdict && a.Product == b.Product && a.Version == b.Version && a.Access == b.Access
}
