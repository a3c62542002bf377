package endpoint

import (
	"regexp"
	"strings"
)

// The functions below return why a value can't be one of a connection's, in words that
// follow the name of the field; empty if it can. They never repeat a value that might be a
// secret, since what they return is logged and shown.

const (
	maxVariable = 128
	maxTenant   = 150 // Mimir and Loki accept no longer ones
	maxHeader   = 64
	maxValue    = 256
)

// VariableProblem is about the name of an environment variable of an agent.
func VariableProblem(s string) string {
	const form = "must be the name of an environment variable of the agent, such as GRAFANA_API_KEY: capital letters, digits and _, beginning with a letter"
	switch {
	case looksSecret(s):
		return form + "; this looks like a secret, which must not be written here: give it to the agent as the value of a variable"
	case s == "" || len(s) > maxVariable || s[0] < 'A' || s[0] > 'Z':
		return form
	}
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return form
		}
	}
	return ""
}

// TenantProblem is about a tenant, or several joined by | for a query of all. Its characters
// are those that Mimir and Loki accept, without those that mean something to a shell in
// single quotes or to a template.
func TenantProblem(s string) string {
	if s == "" || len(s) > maxTenant {
		return "must be the name of a tenant, of at most 150 characters"
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && !strings.ContainsRune("-_.|!*()", rune(c)) {
			return "must consist of letters, digits and - _ . ! * ( ) only, with | between several tenants"
		}
	}
	if knownSecrets.MatchString(s) { // it may well be a UUID
		return "looks like a secret, which a tenant is not"
	}
	return ""
}

// HeaderProblem is about the name of an HTTP header that agents are to send.
func HeaderProblem(name string) string {
	if name == "" || len(name) > maxHeader {
		return "must be the name of an HTTP header, of at most 64 characters"
	}
	for i := range len(name) {
		if c := name[i]; !isAlnum(c) && (c != '-' && c != '_' || i == 0) || i == 0 && c <= '9' {
			return "must be the name of an HTTP header: letters, digits, - and _, beginning with a letter"
		}
	}
	switch strings.ToLower(name) {
	case "host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect", "keep-alive":
		return "is set by the HTTP client itself"
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return "means something else in YAML, and is no header"
	}
	return ""
}

// secretHeaders are headers and parts of their names whose values are secrets.
var secretHeaders = regexp.MustCompile(`(?i)^(proxy-)?authorization$|cookie|token|secret|passw|api[-_]?key|credential|signature|^x-auth|access[-_]?key`)

// HeaderValueProblem is about the literal value of a header.
func HeaderValueProblem(name, value string) string {
	const instead = "; name an environment variable of the agent that holds it instead, such as {env: GATEWAY_TOKEN}"
	switch {
	case strings.EqualFold(name, "X-Scope-OrgID"):
		return "is a tenant; write it in the field tenant"
	case secretHeaders.MatchString(name):
		return "is a header for secrets, whose value must not be written here" + instead
	case looksSecret(value):
		return "looks like a secret, which must not be written here" + instead
	case value == "" || len(value) > maxValue || strings.TrimSpace(value) != value:
		return "must have 1 to 256 characters, without spaces at the ends"
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || strings.ContainsRune("\"'\\`${}", rune(c)) {
			return "must consist of visible ASCII characters and spaces, without quotes, \\, $, { and }"
		}
	}
	return ""
}

// FileProblem is about the path of a file at the agent.
func FileProblem(s string) string {
	switch {
	case strings.Contains(s, "-----BEGIN"):
		return "must be the path of a file at the agent, not its content"
	case PathProblem(s) != "" || strings.HasSuffix(s, "/"):
		return "must be the absolute path of a file at the agent, such as /etc/ssl/private/ca.pem, with letters, digits and / - . _ ~ : @ + , = only"
	}
	return ""
}

// knownSecrets are forms of secrets that say themselves what they are: tokens of Grafana,
// GitHub, GitLab, Slack, AWS, Google, OpenAI and Vault, JSON Web Tokens, PEM, and the values
// of Authorization.
var knownSecrets = regexp.MustCompile(`^(?i:bearer|basic|apikey|token|digest) |^(glsa|glc|glptt|ghp|gho|ghu|ghs|ghr|github_pat|hvs|hvb|xox[abeoprs]|sk|pk|rk)[_.-]|^glpat-|^(AKIA|ASIA)[A-Z0-9]{16}$|^AIza|^ya29\.|^ey[JK][A-Za-z0-9_-]{8}|-----BEGIN`)

// looksSecret reports whether s looks like a key, a token or a password rather than a word.
// It need not be one: people can give such a value by a variable.
func looksSecret(s string) bool {
	if knownSecrets.MatchString(s) {
		return true
	}
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune(" ,;:=|/.@", r) }) {
		if random(word) {
			return true
		}
	}
	return false
}

// random reports whether a word looks as if a generator had made it: it is long, and changes
// so often between lower case, upper case and digits as no name does.
func random(word string) bool {
	if len(word) < 20 {
		return false
	}
	changes, last := 0, 0
	for i := range len(word) {
		class := 0
		switch c := word[i]; {
		case c >= 'a' && c <= 'z':
			class = 1
		case c >= 'A' && c <= 'Z':
			class = 2
		case c >= '0' && c <= '9':
			class = 3
		default:
			last = 0 // what is between words
			continue
		}
		if last != 0 && class != last {
			changes++
		}
		last = class
	}
	return changes*4 >= len(word)
}
