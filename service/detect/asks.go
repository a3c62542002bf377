package detect

import (
	"cmp"
	"net/textproto"
	"regexp"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
	"kubernaut.io/dynamic-toolset/service/identity"
	"kubernaut.io/dynamic-toolset/service/internal/strictyaml"
)

// Limits of the identity of a kind: each ask may be a request to every endpoint.
const (
	maxProofs    = 6
	maxAsks      = 4 // of a proof
	maxMembers   = 20
	maxKindPaths = 6 // prefixes
)

var (
	identityFields = []string{"product", "prefixes", "proofs", "compatible", "use", "useAuth", "kafka", "mcp"}
	askFields      = []string{"get", "status", "json", "without", "header", "text", "product", "version", "versionIn", "versionHeader"}
)

// readIdentity reads how a back end of a kind says who it is; nil if the kind has no way to
// prove it.
func readIdentity(v strictyaml.Value, typ string) *identity.Rule {
	if !v.Given() {
		return nil
	}
	m, ok := v.Mapping(identityFields...)
	if !ok {
		return nil
	}
	rule := &identity.Rule{Type: typ, Product: m.Get("product").Text(), Kafka: m.Get("kafka").IsTrue(), MCP: m.Get("mcp").IsTrue()}
	if rule.Product != "" && !isProduct(rule.Product) {
		m.Get("product").Bad(`must be a name of at most 40 letters, digits, spaces and "-", such as "Prometheus"`)
	}
	if !m.Has("product") {
		m.Bad(`has no product; add its name, such as "product: Prometheus"`)
	}
	for _, p := range m.Get("prefixes").List(maxKindPaths) {
		if path := readPath(p); path != "" {
			rule.Prefixes = append(rule.Prefixes, strings.TrimSuffix(path, "/"))
		}
	}
	for _, proof := range m.Get("proofs").List(maxProofs) {
		var asks []identity.Ask
		for _, ask := range proof.List(maxAsks) {
			asks = append(asks, readAsk(ask))
		}
		if len(asks) > 0 {
			rule.Proofs = append(rule.Proofs, asks)
		}
	}
	for _, ask := range m.Get("compatible").List(maxProofs) {
		rule.Compatible = append(rule.Compatible, readAsk(ask))
	}
	switch {
	case rule.Kafka && m.Has("proofs"):
		m.Bad("has both kafka and proofs; keep one")
	case rule.MCP && (rule.Kafka || m.Has("proofs")):
		m.Bad("has mcp and another way to prove it; keep one")
	case !rule.Kafka && !rule.MCP && len(rule.Proofs) == 0:
		m.Bad("has no proofs; add what to GET and what the answer must be, such as [[{get: /api/health, json: {database: ok}}]]")
	}
	rule.Use = readQueryPath(m.Get("use"))
	auth := m.Get("useAuth")
	rule.UseAuth = auth.Text()
	if all := []string{"", service.AuthNone, service.AuthBasic, service.AuthBearer, service.AuthLogin}; !slices.Contains(all, rule.UseAuth) {
		auth.Bad("%s must be none, basic, bearer or login", strictyaml.Quote(rule.UseAuth))
	}
	return rule
}

func readAsk(v strictyaml.Value) identity.Ask {
	m, ok := v.Mapping(askFields...)
	if !ok {
		return identity.Ask{}
	}
	if !m.Has("get") {
		m.Bad("has no get; add the path to GET, such as /api/v1/status/buildinfo")
	}
	a := identity.Ask{
		Get:     readQueryPath(m.Get("get")),
		JSON:    readPatterns(m.Get("json")),
		Without: m.Get("without").Texts(maxMembers, memberProblem),
		Text:    m.Get("text").Texts(maxMembers, func(string) string { return "" }),
		Product: m.Get("product").Text(),
		Version: m.Get("version").Text(),

		VersionHeader: textproto.CanonicalMIMEHeaderKey(m.Get("versionHeader").Text()),
	}
	for _, s := range m.Get("status").List(maxMembers) {
		a.Status = append(a.Status, int(s.Number(100, 599)))
	}
	if header := readPatterns(m.Get("header")); header != nil {
		a.Header = map[string]string{}
		for name, pattern := range header {
			a.Header[textproto.CanonicalMIMEHeaderKey(name)] = pattern
		}
	}
	if a.Product != "" && !isProduct(a.Product) {
		m.Get("product").Bad(`must be a name of at most 40 letters, digits, spaces and "-", such as "Prometheus"`)
	}
	if p := memberProblem(a.Version); a.Version != "" && p != "" {
		m.Get("version").Bad("%s", p)
	}
	if p := memberProblem(a.VersionHeader); a.VersionHeader != "" && p != "" {
		m.Get("versionHeader").Bad("%s", p)
	}
	if in := m.Get("versionIn"); in.Given() {
		var err error
		if a.VersionIn, err = regexp.Compile(in.Text()); err != nil || a.VersionIn.NumSubexp() != 1 {
			in.Bad(`must be a regular expression with one group, such as version="([0-9.]+)"`)
			a.VersionIn = nil
		}
	}
	return a
}

// readPatterns reads a mapping of names to patterns; nil if it is absent.
func readPatterns(v strictyaml.Value) map[string]string {
	if !v.Given() {
		return nil
	}
	m, ok := v.MappingOfNames(memberProblem)
	if !ok {
		return nil
	}
	out := map[string]string{}
	for _, k := range m.Keys() {
		value := m.Get(k)
		out[k] = value.Text()
		if p := identity.PatternProblem(out[k]); p != "" {
			value.Bad("%s", p)
		}
	}
	return out
}

// memberProblem returns why s can't be the name of a JSON member or header field.
func memberProblem(s string) string {
	if s == "" || len(s) > 100 || !endpoint.IsLine(s) {
		return `must be the name of a member, such as data.version, of at most 100 bytes`
	}
	return ""
}

// readQueryPath reads a path that may have a query.
func readQueryPath(v strictyaml.Value) string {
	s := v.Text()
	if s == "" {
		return ""
	}
	path, query, _ := strings.Cut(s, "?")
	if p := endpoint.PathProblem(path); p != "" {
		v.Bad("%s", p)
		return ""
	}
	if strings.ContainsFunc(query, func(c rune) bool { return c <= ' ' || c > '~' || c == '#' }) {
		v.Bad("must have a query of visible ASCII characters; write others as %%20")
		return ""
	}
	return s
}

func isProduct(s string) bool {
	return len(s) <= 40 && !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == ' ' || c == '-' || c == '.')
	})
}

// Identities returns the rules by which back ends say who they are.
func (r *Rules) Identities() *identity.Rules { return r.identities }

// identities collects the rules of the kinds.
func identities(kinds []*kind) *identity.Rules {
	var all []*identity.Rule
	for _, k := range kinds {
		if k.identity != nil {
			all = append(all, k.identity)
		}
	}
	return identity.NewRules(all)
}

// Question returns what to ask b, which the rules, annotations or overrides have found; no
// URLs if there is nothing to ask.
func (r *Rules) Question(b *service.Backend) service.Question {
	k := r.byType[b.Type]
	if k == nil || !r.identities.Knows(b.Type) {
		return service.Question{}
	}
	if k.identity.MCP {
		return service.Question{Type: b.Type, URLs: []string{b.Endpoint + b.APIPath}}
	}
	q := service.Question{Type: b.Type, URLs: []string{b.Endpoint + strings.TrimSuffix(b.APIPath, k.apiPath)}}
	if b.Prefix != "" {
		q.URLs = append(q.URLs, b.Endpoint) // the workload may say what does not hold
	}
	return q
}

// APIPath returns the path below the endpoint at which the API of a type answers.
func (r *Rules) APIPath(typ string) string {
	if k := r.byType[typ]; k != nil {
		return k.apiPath
	}
	return ""
}

// Correct returns b as its answers have shown it to be: with the scheme and the prefix at
// which it answers, and the kind that answers. A kind that its owner or an administrator
// has declared stays, and a back end that is refuted is not enabled. It returns b itself if
// nothing is different.
func (r *Rules) Correct(b *service.Backend, id *service.Identity) *service.Backend {
	switch id.Verdict {
	case service.Verified:
		k := r.byType[id.Type]
		if k == nil {
			return b
		}
		c := *b
		if b.Type != id.Type && b.Annotations[AnnotationType] != b.Type && !b.Fixed.Type {
			r.become(&c, k)
		}
		if !b.Fixed.Endpoint {
			r.move(&c, b, id)
		}
		if c.Equal(b) {
			return b
		}
		return &c
	case service.Refuted:
		if b.Fixed.Enabled {
			return b
		}
		c := *b
		c.Enabled = false
		return &c
	}
	return b
}

// become makes b a back end of another kind.
func (r *Rules) become(b *service.Backend, k *kind) {
	old := r.byType[b.Type]
	if old != nil {
		b.APIPath = strings.TrimSuffix(b.APIPath, old.apiPath)
	}
	b.Type, b.APIPath = k.typ, b.APIPath+k.apiPath
	if b.Annotations[AnnotationDescription] == "" {
		b.Description = k.description
	}
	if b.Annotations[AnnotationHealthPath] != "" || b.Annotations[AnnotationHealthEndpoint] != "" {
		return
	}
	b.Probe = service.Probe{Kind: service.ProbeHTTP, URL: b.Endpoint + b.Prefix + k.health.path, AcceptStatus: k.health.acceptStatus}
	if k.health.probe == service.ProbeTCP {
		b.Probe = service.Probe{Kind: service.ProbeTCP, Address: endpoint.Address(b.Endpoint)}
	}
}

// move gives b, made of found, the scheme and the prefix at which it answers.
func (r *Rules) move(b, found *service.Backend, id *service.Identity) {
	_, rest, _ := strings.Cut(found.Endpoint, "://")
	scheme := cmp.Or(id.Access.Scheme, "http")
	if scheme == "tcp" {
		return
	}
	host, path := splitPath(scheme + "://" + rest)
	if k := r.byType[b.Type]; k != nil && k.identity != nil && k.identity.MCP {
		b.Endpoint, b.APIPath, b.Transport = host, id.Access.Path, id.Access.Transport
		return
	}
	if id.Access.Path == path+found.Prefix && strings.HasPrefix(found.Endpoint, scheme+"://") {
		return
	}
	apiPath := ""
	if k := r.byType[b.Type]; k != nil {
		apiPath = k.apiPath
	}
	b.Endpoint, b.APIPath, b.Prefix = host, id.Access.Path+apiPath, ""
	if path, ok := strings.CutPrefix(b.Probe.URL, found.Endpoint+found.Prefix); ok {
		b.Probe.URL = host + id.Access.Path + path
	} else if path, ok := strings.CutPrefix(b.Probe.URL, host); ok {
		b.Probe.URL = host + id.Access.Path + path
	}
}
