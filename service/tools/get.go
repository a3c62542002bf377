package tools

import (
	"fmt"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// mostNamed is the number of other toolsets that an answer names.
const mostNamed = 10

// A backend is the answer of get_backend and find_backend.
type backend struct {
	Name        string `json:"name"`
	Namespace   string `json:"namespace"`
	Type        string `json:"type"`
	Description string `json:"description"`
	Disabled    string `json:"disabled,omitempty"`
	URL         string `json:"url"`
	Access      access `json:"access"`
	// Example is a request that works as it is, but for credentials and tenant.
	Example  string   `json:"example,omitempty"`
	Language string   `json:"language,omitempty"`
	Health   health   `json:"health"`
	Identity identity `json:"identity"`
	// Why says why it is this one of several; empty if there was nothing to choose.
	Why string `json:"why,omitempty"`
	// Alternatives are texts such as "shop/logs (loki, unhealthy)", which get_backend
	// understands as a name.
	Alternatives []string `json:"alternatives,omitempty"`
	Omitted      int      `json:"alternativesOmitted,omitempty"`
	Aliases      []string `json:"aliases,omitempty"`
	warning
}

type access struct {
	Path        string `json:"path,omitempty"` // the part of the URL that is the prefix
	Credentials string `json:"credentials"`
	Tenant      string `json:"tenant,omitempty"`
	TLS         string `json:"tls"`
}

type health struct {
	Healthy   *bool  `json:"healthy,omitempty"` // nil before it was checked
	Reason    string `json:"reason,omitempty"`
	CheckedAt string `json:"checkedAt,omitempty"`
}

type identity struct {
	Verdict service.Verdict `json:"verdict"`
	Product string          `json:"product,omitempty"`
	Version string          `json:"version,omitempty"`
	AskedAt string          `json:"askedAt,omitempty"`
}

func (v *View) get(object []byte) (any, error) {
	a := read(object)
	name := a.required("name", "the name of a back end, or a type such as prometheus")
	namespace := a.text("namespace")
	if in, of, both := bothOf(name); both && (namespace == "" || namespace == in) {
		name, namespace = of, in
	}
	if err := a.end(); err != nil {
		return nil, err
	}
	chosen, match := v.Snapshot.Choose([]byte(name), []byte(namespace))
	switch match {
	case snapshot.Found:
		return v.backend(&chosen), nil
	case snapshot.Ambiguous:
		candidates := v.Snapshot.Candidates([]byte(name), []byte(namespace), mostNamed+1)
		names, omitted := keys(candidates, mostNamed)
		if omitted > 0 {
			names = append(names, "...")
		}
		advice := "choose one by its namespace"
		if namespace != "" {
			advice = "ask for one by its name"
		}
		return nil, refuse("%s stands for several back ends; %s: %s.", quoted(name), advice, strings.Join(names, ", "))
	}
	where := ""
	if namespace != "" {
		where = " in the namespace " + quoted(namespace)
	}
	return nil, refuse("No back end%s has the name or type %s; %s.", where, quoted(name), v.advice(name, namespace))
}

// bothOf splits a name that was copied from an answer, such as "shop/logs" or
// "shop/logs (loki)". No toolset and no type has a slash in its name.
func bothOf(name string) (namespace, of string, both bool) {
	namespace, of, both = strings.Cut(name, "/")
	of, _, _ = strings.Cut(of, " (")
	return namespace, of, both
}

// advice says what to do if no back end has this name or type.
func (v *View) advice(name, namespace string) string {
	if namespace != "" {
		if elsewhere, omitted := keys(v.elsewhere(name), mostNamed); len(elsewhere) > 0 {
			if omitted > 0 {
				elsewhere = append(elsewhere, "...")
			}
			return "elsewhere there are " + strings.Join(elsewhere, ", ")
		}
	}
	if _, signal := signals[name]; signal {
		return "it is a signal, for which find_backend finds one"
	}
	if near := v.Snapshot.TypeLike(name); near != "" && near != name {
		return "did you mean " + near + "? list_backends lists all"
	}
	return "list_backends lists all"
}

// elsewhere returns the back ends that have this name or type in any namespace, at most
// mostNamed+1.
func (v *View) elsewhere(name string) []service.Key {
	chosen, match := v.Snapshot.Choose([]byte(name), nil)
	switch match {
	case snapshot.Found:
		return []service.Key{chosen.Key()}
	case snapshot.Ambiguous:
		return v.Snapshot.Candidates([]byte(name), nil, mostNamed+1)
	}
	return nil
}

// backend returns the answer about a back end that was found.
func (v *View) backend(c *snapshot.Chosen) *backend {
	key, b, id := c.Key(), c.Backend(), c.Identity()
	reason, at := c.Health()
	out := &backend{
		Name: key.Name, Namespace: key.Namespace, Type: b.Type, Description: b.Description, URL: b.Endpoint + b.APIPath,
		Access:   accessOf(b, &id),
		Health:   health{Healthy: healthy(&c.Item), CheckedAt: at},
		Identity: identity{Verdict: id.Verdict, Product: id.Product, Version: id.Version},
		Why:      c.Reason(), warning: v.warning(),
	}
	switch {
	case v.Unchecked:
		out.Health.Reason = "health is not checked here"
	case !c.Healthy():
		out.Health.Reason = cut(reason, 300)
	}
	switch {
	case b.Enabled:
	case id.Verdict == service.Refuted:
		out.Disabled = "it has answered as something else than its Service says; don't send it queries of this type. explain_service says what it answered"
	default:
		out.Disabled = "an administrator has switched it off for agents"
	}
	if id.Verdict == "" {
		out.Identity.Verdict = service.Unverified
	}
	if !id.At.IsZero() {
		out.Identity.AskedAt = snapshot.FormatTime(id.At)
	}
	if id.Verdict != service.Refuted {
		out.Example, out.Language = Example(b.Type, out.URL)
	}
	others, omitted := v.Snapshot.Alternatives(c, mostNamed)
	for i := range others {
		out.Alternatives = append(out.Alternatives, named(&others[i], ""))
	}
	out.Omitted = omitted
	out.Aliases, _ = keys(c.Aliases(), mostNamed)
	return out
}

// untrusted says what to do about a certificate that is of a private CA, of another name, or
// expired.
const untrusted = "yes, but its certificate is not trusted here (a private CA, another name, or expired): give your client the CA's file (curl --cacert FILE), or ask the user; don't switch verification off unasked"

// accessOf says how to reach a back end, as far as its answers show it.
func accessOf(b *service.Backend, id *service.Identity) access {
	x := access{Path: id.Access.Path, TLS: "none"}
	if strings.HasPrefix(b.Endpoint, "https:") {
		x.TLS = "yes; not tried whether its certificate is trusted"
		switch id.Access.TLS {
		case service.TLSTrusted:
			x.TLS = "yes; its certificate is trusted here"
		case service.TLSUntrusted:
			x.TLS = untrusted
		}
	}
	switch id.Access.Auth {
	case service.AuthNone:
		x.Credentials = "none"
	case service.AuthBasic:
		x.Credentials = "user name and password (HTTP Basic)"
	case service.AuthBearer:
		x.Credentials = "a bearer token"
	case service.AuthLogin:
		x.Credentials = "a login page stands before it; ask its owner for a token or another address"
	case service.AuthRequired:
		x.Credentials = "some, but its answer does not say which"
	default:
		x.Credentials = "unknown"
	}
	if id.Access.Tenant {
		x.Tenant = "required: send the header X-Scope-OrgID"
	}
	if c := b.Connection; c != nil { // what people say is more than what an answer shows
		if c.Tenant != "" {
			x.Tenant = "send the header X-Scope-OrgID: " + c.Tenant
		}
		if names := variables(&c.Variables); names != "" {
			x.Credentials = "in the environment variables " + names + ", if you have these"
		}
		if c.SkipVerify != nil && *c.SkipVerify && x.TLS != "none" {
			x.TLS = "yes; accept any certificate (curl -k), since an administrator or its owner says so"
		} else if c.CAFile != "" && x.TLS != "none" {
			x.TLS = "yes; verify its certificate by the CA in the file " + c.CAFile + " (curl --cacert), if you have it"
		}
	}
	return x
}

// named returns the key of a back end, with its type, unless that is empty, and its health,
// if it was checked.
func named(i *snapshot.Item, typ string) string {
	health := ""
	switch {
	case !i.Checked():
	case i.Healthy():
		health = "healthy"
	default:
		health = "unhealthy"
	}
	if typ != "" && health != "" {
		typ += ", "
	}
	if typ+health == "" {
		return i.Key().String()
	}
	return i.Key().String() + " (" + typ + health + ")"
}

// variables returns the names of the variables that hold credentials, with what each is.
func variables(v *service.Variables) string {
	var all []string
	for _, f := range []struct{ name, what string }{
		{v.Username, "user name"}, {v.Password, "password"}, {v.BearerToken, "bearer token"}, {v.APIKey, "API key"}, {v.URL, "URL with credentials"},
	} {
		if f.name != "" {
			all = append(all, f.name+" ("+f.what+")")
		}
	}
	return strings.Join(all, ", ")
}

// signals are the types that hold each signal. Where nothing else decides, the first of
// them is preferred: one that answers for several of the others.
var signals = map[string][]string{
	"metrics":    {"thanos-query", "mimir", "victoriametrics", "prometheus", "influxdb"},
	"logs":       {"loki", "victorialogs", "opensearch", "elasticsearch", "quickwit"},
	"traces":     {"tempo", "jaeger", "zipkin", "quickwit"},
	"alerts":     {"alertmanager"},
	"dashboards": {"grafana", "kibana"},
	"messages":   {"kafka", "rabbitmq"},
}

// signalNames are the names in the order in which they are told.
var signalNames = []string{"metrics", "logs", "traces", "alerts", "dashboards", "messages"}

func (v *View) find(object []byte) (any, error) {
	a := read(object)
	signal := a.required("signal", "one of "+strings.Join(signalNames, ", "))
	namespace := a.text("namespace")
	types, known := signals[signal]
	if !known {
		a.bad("%s is no signal; there are %s.", quoted(signal), strings.Join(signalNames, ", "))
	}
	if err := a.end(); err != nil {
		return nil, err
	}
	everywhere := v.Snapshot.Primaries(types, "")
	if len(everywhere) == 0 {
		return nil, refuse("No back end for %s is known; looked for %s. list_backends lists all.", signal, strings.Join(types, ", "))
	}
	var near []snapshot.Chosen
	if namespace != "" {
		near = v.Snapshot.Primaries(types, namespace)
	}
	best, why, first := everywhere[0], "", snapshot.FirstReason(everywhere, types)
	told := "" // what why says already
	switch scope := best.Backend().Standing.Scope; {
	case len(near) > 0 && near[0].Key() == best.Key():
		why = fmt.Sprintf("it is in the namespace %s, and nothing better is elsewhere", namespace)
	case len(near) > 0 && !near[0].Down():
		best, why, first = near[0], "it is in the namespace "+namespace, snapshot.FirstReason(near, types)
	case len(near) > 0:
		told = snapshot.DownReason(near[0].Key())
		why = told + fmt.Sprintf(", though it is in the namespace %s", namespace)
	case namespace != "" && scope == service.ScopeBundled:
		why = fmt.Sprintf("none for %s is in the namespace %s, and nothing shows that this one covers it", signal, cut(namespace, 63))
	case namespace != "":
		why = fmt.Sprintf("none for %s is in the namespace %s", signal, cut(namespace, 63))
	}
	answer := v.backend(&best)
	for _, reason := range [...]string{first, answer.Why} {
		if reason != told {
			why, told = join(why, reason), reason
		}
	}
	answer.Why = why
	answer.Alternatives, answer.Omitted = v.others(&best, near, everywhere)
	return answer, nil
}

// join joins two reasons.
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// others returns the alternatives to best: the primaries of the types, then what is left of
// best's own.
func (v *View) others(best *snapshot.Chosen, near, everywhere []snapshot.Chosen) (names []string, omitted int) {
	seen := map[service.Key]bool{best.Key(): true}
	add := func(i *snapshot.Item) {
		switch {
		case seen[i.Key()]:
		case len(names) == mostNamed:
			omitted++
		default:
			names = append(names, named(i, i.Backend().Type))
		}
		seen[i.Key()] = true
	}
	for _, list := range [][]snapshot.Chosen{near, everywhere} {
		for i := range list {
			add(&list[i].Item)
		}
	}
	same, more := v.Snapshot.Alternatives(best, mostNamed)
	for i := range same {
		add(&same[i])
	}
	return names, omitted + more
}
