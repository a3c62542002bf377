package identity

import "regexp"

// A Rule says how a back end of one kind identifies itself. It is read from the rules file
// of package detect, which explains the fields.
type Rule struct {
	Type     string   // the kind
	Product  string   // as people write it: "Prometheus"
	Prefixes []string // paths below which it is often served, such as /prometheus
	// Proofs are the ways to prove the kind; one is enough. In each, all must hold.
	Proofs [][]Ask
	// Compatible are answers of this kind and of others that speak its API, such as a proxy
	// in front of it. They prove nothing, but who gives one is not refuted.
	Compatible []Ask
	// Use is the path of a cheap query that agents may send. Its answer shows which
	// credentials are wanted. Empty if there is none.
	Use string
	// UseAuth is the Access.Auth that the kind wants where the answer does not say it.
	UseAuth string
	// Kafka means that it is proved by an ApiVersions request over TCP, and not by HTTP.
	Kafka bool
	// MCP means that it is proved by requests of the Model Context Protocol (mcp.go).
	MCP bool
}

// An Ask is a GET and what its answer must be.
type Ask struct {
	Get     string            // path and query, below the base URL and the prefix
	Status  []int             // 200 if empty
	JSON    map[string]string // member, such as data.version, to a pattern: see match
	Without []string          // members that must not be there
	Header  map[string]string // field to a pattern
	Text    []string          // what the body must contain
	Product string            // in place of the rule's
	Version string            // the member that holds the version
	// VersionHeader is the field that holds the version; empty if none does.
	VersionHeader string
	// VersionIn finds the version in the body, as its first group; nil if it is not there.
	VersionIn *regexp.Regexp
}
