package service

import (
	"slices"
	"strings"
)

// A Connection is what people say about how agents connect to a back end, beyond its
// address: an administrator by overrides, and the owner of a Service by annotations, where
// that can do no harm. What a back end shows itself is an [Access].
//
// It never holds a secret. Credentials are names of environment variables that the agent
// has. A field with its zero value says nothing, and so does a nil Connection. A Connection
// must not be changed once others have it.
type Connection struct {
	// Headers are sent with each request, in the order of their names.
	Headers []Header
	// Tenant is the value of the header X-Scope-OrgID.
	Tenant string
	// SkipVerify says whether certificates are not verified; nil if nobody has said it.
	SkipVerify *bool
	// CAFile is the path of a file of CA certificates (PEM) at the agent.
	CAFile string
	// ExternalURL is where people reach the back end with a browser.
	ExternalURL string
	// Variables hold the credentials.
	Variables Variables
}

// A Header is an HTTP header of a request. Either Value or Variable is set.
type Header struct {
	Name  string
	Value string
	// Variable is the name of the environment variable that holds the value.
	Variable string
}

// Variables are the names of environment variables of an agent that hold credentials; empty
// for those that are not needed.
type Variables struct {
	APIKey, Username, Password, BearerToken string
	// URL is that of a variable with a whole connection URL, credentials included, as
	// clients of databases take it.
	URL string
	// Usual means that nobody has named them: they have the usual names of the type. A
	// document must not name such for more than one back end of a type, the preferred one:
	// else anybody who can make a Service that asks for credentials would get them.
	Usual bool
}

// TenantHeader names a tenant, in requests to Mimir, Loki, Tempo and Pyroscope.
const TenantHeader = "X-Scope-OrgID"

// Equal reports whether c and o say the same. Both may be nil.
func (c *Connection) Equal(o *Connection) bool {
	if c == nil || o == nil {
		return c == o
	}
	return c.Tenant == o.Tenant && c.CAFile == o.CAFile && c.ExternalURL == o.ExternalURL && c.Variables == o.Variables &&
		(c.SkipVerify == nil) == (o.SkipVerify == nil) && c.skips() == o.skips() && slices.Equal(c.Headers, o.Headers)
}

// With returns what c and o say together; o has precedence, field by field and header by
// header. Both may be nil.
func (c *Connection) With(o *Connection) *Connection {
	switch {
	case o == nil:
		return c
	case c == nil:
		return o
	}
	out := *c
	for _, f := range []struct{ is, says *string }{
		{&out.Tenant, &o.Tenant}, {&out.CAFile, &o.CAFile}, {&out.ExternalURL, &o.ExternalURL},
	} {
		if *f.says != "" {
			*f.is = *f.says
		}
	}
	if o.SkipVerify != nil {
		out.SkipVerify = o.SkipVerify
	}
	if o.Variables != (Variables{}) { // they belong together: a password to its user
		out.Variables = o.Variables
	}
	out.Headers = slices.Clone(o.Headers)
	for _, h := range c.Headers {
		if !slices.ContainsFunc(o.Headers, func(other Header) bool { return strings.EqualFold(other.Name, h.Name) }) {
			out.Headers = append(out.Headers, h)
		}
	}
	slices.SortFunc(out.Headers, func(a, b Header) int { return strings.Compare(a.Name, b.Name) })
	return &out
}

func (c *Connection) skips() bool { return c.SkipVerify != nil && *c.SkipVerify }

// ConnectionTo returns what a document for agents says about how to connect to b. That is
// what people have said, and, where access shows that the API wants credentials or a tenant
// of which nobody has spoken, the variables with the usual names: those of the type in
// capital letters, such as RABBITMQ_USERNAME and RABBITMQ_PASSWORD, or LOKI_TENANT.
//
// It names no credentials for a back end that does not ask for any, since an agent may
// refuse an entry with a variable that is not set. Variables.Usual says whether they are of
// the usual names. The result must not be changed.
func (b *Backend) ConnectionTo(access *Access) Connection {
	var c Connection
	if b.Connection != nil {
		c = *b.Connection
	}
	prefix := strings.ToUpper(strings.ReplaceAll(b.Type, "-", "_"))
	tenant := func(h Header) bool { return strings.EqualFold(h.Name, TenantHeader) }
	if access.Tenant && c.Tenant == "" && !slices.ContainsFunc(c.Headers, tenant) {
		c.Headers = append(slices.Clone(c.Headers), Header{Name: TenantHeader, Variable: prefix + "_TENANT"})
	}
	authorization := func(h Header) bool { return strings.EqualFold(h.Name, "Authorization") }
	if c.Variables == (Variables{}) && !slices.ContainsFunc(c.Headers, authorization) {
		c.Variables = usualVariables(b.Type, prefix, access.Auth)
	}
	return c
}

// usualVariables returns the variables for a type of back end whose API wants credentials
// of this kind.
func usualVariables(kind, prefix, auth string) Variables {
	switch {
	case kind == "rabbitmq" && auth == "": // it always wants some
		auth = AuthBasic
	case auth == "" || auth == AuthNone:
		return Variables{}
	}
	basic := auth == AuthBasic || auth == AuthRequired && (kind == "elasticsearch" || kind == "opensearch" || kind == "rabbitmq" || kind == "kibana")
	switch {
	case kind == "grafana" && auth != AuthLogin: // it takes API keys and passwords
		return Variables{APIKey: prefix + "_API_KEY", Usual: true}
	case basic:
		return Variables{Username: prefix + "_USERNAME", Password: prefix + "_PASSWORD", Usual: true}
	}
	return Variables{BearerToken: prefix + "_BEARER_TOKEN", Usual: true}
}
