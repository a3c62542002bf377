// Package output has what the documents of the packages below it have in common. Each of
// these renders what agents, and others, load as a file: an entry for each toolset, and the
// document around the entries.
//
// What they render comes from people who may annotate Services. So a [Toolset] has an
// address only if its characters mean nothing to any of the forms, and all texts are quoted
// by [Quote].
package output

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
)

// A Toolset is what a document says about one back end.
type Toolset struct {
	// Namespace and Name identify it.
	Namespace, Name string
	Type            string
	// URL is where its API answers, over http or https. It is empty if there is none, if it
	// has other characters than the addresses of annotations may have, or if it is that of
	// the reader's own machine or of its cloud's metadata.
	URL string
	// Description is one sentence.
	Description string
	// Transport is that of an MCP server: see service.Backend.
	Transport string
	// Connection says how to connect. Its variables are those that somebody has named, and
	// for the primary of a type those with the usual names: else anybody who can make a
	// Service that asks for credentials would get them.
	Connection service.Connection
}

// New returns what documents say about b; name is that of its toolset, access what it has
// shown, and primary says that it is the primary of its type.
func New(b *service.Backend, name string, access *service.Access, primary bool) *Toolset {
	t := &Toolset{Namespace: b.Key.Namespace, Name: name, Type: b.Type, URL: address(b.Endpoint + b.APIPath),
		Description: b.Description, Transport: b.Transport, Connection: b.ConnectionTo(access)}
	if t.Connection.Variables.Usual && !primary {
		t.Connection.Variables = service.Variables{}
	}
	return t
}

// Ref returns namespace/name.
func (t *Toolset) Ref() string { return t.Namespace + "/" + t.Name }

const maxAddress = 4096 // bytes

// address returns s if it is an address for a document, else an empty text.
func address(s string) string {
	if len(s) > maxAddress || !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		return ""
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') && !strings.ContainsRune("/-._~:@+,=[]", rune(c)) {
			return ""
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || endpoint.IsPrivate(u.Hostname()) {
		return ""
	}
	return s
}

// Headers returns the headers that requests must have, credentials included, except a user
// and a password. ref refers to the value of an environment variable; with it as a part of
// a value, such as "Bearer " + ref, the prefix is given, too.
func (t *Toolset) Headers(ref func(prefix, variable string) string) []service.Header {
	var out []service.Header
	has := map[string]bool{}
	add := func(name, value string) {
		if key := strings.ToLower(name); value != "" && !has[key] {
			has[key] = true
			out = append(out, service.Header{Name: name, Value: value})
		}
	}
	c := &t.Connection
	for _, h := range c.Headers {
		if h.Variable != "" {
			add(h.Name, ref("", h.Variable))
		} else {
			add(h.Name, h.Value)
		}
	}
	add(service.TenantHeader, c.Tenant)
	switch v := c.Variables; {
	case v.BearerToken != "":
		add("Authorization", ref("Bearer ", v.BearerToken))
	case v.APIKey != "" && t.Type == "elasticsearch":
		add("Authorization", ref("ApiKey ", v.APIKey))
	case v.APIKey != "":
		add("Authorization", ref("Bearer ", v.APIKey))
	}
	return out
}

// Short returns s, or if it is longer than most bytes, its beginning and a hash of key.
func Short(s, key string, most int) string {
	if len(s) <= most {
		return s
	}
	sum := sha256.Sum256([]byte(key))
	return strings.TrimRight(s[:most-17], "-._") + "-" + hex.EncodeToString(sum[:8])
}

// Quote returns s in double quotes, as a string of JSON and of YAML. What is not plainly
// visible is escaped, or replaced by a space if it is a control character.
func Quote(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for _, r := range s { // what is not UTF-8 becomes U+FFFD
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control):
			b.WriteByte(' ')
		case r == ' ' || r <= 0xFFFF && unicode.IsPrint(r) && r != utf8.RuneError:
			b.WriteRune(r)
		case r <= 0xFFFF:
			fmt.Fprintf(&b, `\u%04X`, r)
		case unicode.IsPrint(r):
			b.WriteRune(r) // as an escape it would be two in JSON, and one in YAML
		default:
			b.WriteString(`\uFFFD`)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Own returns this service as a toolset: an MCP server at url. It returns nil if url is
// empty or not fit for a document.
func Own(url string) *Toolset {
	at := address(strings.TrimSuffix(url, "/") + "/mcp")
	if at == "" {
		return nil
	}
	return &Toolset{Name: "dynamic-toolset", Type: "mcp", URL: at,
		Description: "Says which observability back ends exist in the cluster, for which signals, and how to query them."}
}
