package holmesgpt

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
)

// A Toolset is the input of Render.
type Toolset struct {
	// Namespace and Name identify it: a DNS label, and DNS labels joined by dots.
	Namespace, Name string
	// Type is the type of back end, such as "prometheus"; a DNS label.
	Type string
	// Endpoint is the base URL (http, https, tcp, grpc or grpcs) without a slash at the
	// end. Path is where the API answers below it: empty, or with a slash at the beginning
	// and none at the end.
	Endpoint, Path string
	// Description is one sentence for the agent.
	Description string
	// Transport is that of an MCP server: see service.Backend.
	Transport string
	// Connection says how to connect: see service.Backend.ConnectionTo.
	Connection service.Connection
}

// ErrUnsafe means that a Toolset has a value that must not become part of a command.
// Package detect and overrides make none.
var ErrUnsafe = errors.New("not safe to be written into a command")

const (
	maxName     = 600 // a name that was made unique consists of several
	maxEndpoint = 4096
)

// check returns an error unless all of t is as described at Toolset.
func (t *Toolset) check() error {
	switch {
	case !isLabel(t.Namespace):
		return fmt.Errorf("%w: the namespace %.80q is no DNS label", ErrUnsafe, t.Namespace)
	case !isName(t.Name):
		return fmt.Errorf("%w: the name %.80q is not made of DNS labels", ErrUnsafe, t.Name)
	case !isLabel(t.Type):
		return fmt.Errorf("%w: the type %.80q is no DNS label", ErrUnsafe, t.Type)
	case t.Path != "" && !strings.HasPrefix(t.Path, "/"):
		return fmt.Errorf("%w: the path %.80q does not start with a slash", ErrUnsafe, t.Path)
	}
	if err := t.checkConnection(); err != nil {
		return err
	}
	_, err := t.url()
	return err
}

// checkConnection returns an error unless all of the Connection may be in a document.
func (t *Toolset) checkConnection() error {
	c := &t.Connection
	bad := func(what string) error { return fmt.Errorf("%w: the %s of its connection", ErrUnsafe, what) }
	variable := func(name string) bool { return name == "" || endpoint.VariableProblem(name) == "" }
	for _, h := range c.Headers {
		switch {
		case endpoint.HeaderProblem(h.Name) != "" || (h.Value == "") == (h.Variable == ""):
			return bad("headers")
		case h.Variable == "" && endpoint.HeaderValueProblem(h.Name, h.Value) != "" || !variable(h.Variable):
			return bad("headers")
		}
	}
	v := &c.Variables
	switch {
	case c.Tenant != "" && endpoint.TenantProblem(c.Tenant) != "":
		return bad("tenant")
	case c.CAFile != "" && endpoint.FileProblem(c.CAFile) != "":
		return bad("CA file")
	case !variable(v.APIKey) || !variable(v.BearerToken) || !variable(v.Username) || !variable(v.Password) || !variable(v.URL) || (v.Username == "") != (v.Password == ""):
		return bad("variables")
	}
	if c.ExternalURL != "" {
		if canonical, problem := endpoint.Parse(c.ExternalURL); problem != "" || canonical != c.ExternalURL {
			return bad("external URL")
		}
	}
	return nil
}

// url returns the URL of the API. It accepts only characters that mean nothing to a shell,
// to Jinja and to os.path.expandvars.
func (t *Toolset) url() (*url.URL, error) {
	s := t.Endpoint + t.Path
	if len(s) > maxEndpoint {
		return nil, fmt.Errorf("%w: the endpoint has more than %d bytes", ErrUnsafe, maxEndpoint)
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && !strings.ContainsRune("/-._~:@+,=[]", rune(c)) {
			return nil, fmt.Errorf("%w: the endpoint %.80q has the character %q", ErrUnsafe, s, c)
		}
	}
	u, err := url.Parse(t.Endpoint)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.Opaque != "":
		return nil, fmt.Errorf("%w: the endpoint %.80q is no URL with a host and without a user", ErrUnsafe, t.Endpoint)
	case strings.HasSuffix(s, "/"):
		return nil, fmt.Errorf("%w: the endpoint %.80q ends with a slash", ErrUnsafe, s)
	}
	switch u.Scheme {
	case "http", "https", "tcp", "grpc", "grpcs":
		return u, nil
	}
	return nil, fmt.Errorf("%w: the endpoint %.80q has an unknown scheme", ErrUnsafe, t.Endpoint)
}

// key returns the toolset's key in the document, unless it fills a built-in one. It has no
// dot, which HolmesGPT would refuse, and is unique: namespaces have no slash, and names no
// underscore.
func (t *Toolset) key() string {
	return keyPrefix + t.Namespace + "/" + strings.ReplaceAll(t.Name, ".", "_")
}

const maxToolName = 64 // what model APIs accept

// toolName returns the name of a tool: verb__namespace__name. A name that is too long is
// cut and ends with a hash, after three underscores, which no other name has. So nobody can
// choose a name that collides with another.
func (t *Toolset) toolName(verb string) string {
	name := verb + "__" + t.Namespace + "__" + strings.ReplaceAll(t.Name, ".", "_")
	if len(name) <= maxToolName {
		return name
	}
	sum := sha256.Sum256([]byte(t.Namespace + "/" + t.Name))
	end := "___" + hex.EncodeToString(sum[:8])
	return strings.TrimRight(name[:maxToolName-len(end)], "_-") + end
}

// String returns namespace/name.
func (t *Toolset) String() string { return t.Namespace + "/" + t.Name }

func isLabel(s string) bool {
	return len(s) <= 63 && isName(s) && !strings.Contains(s, ".")
}

// isName reports whether s is made of DNS labels, joined by dots.
func isName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
