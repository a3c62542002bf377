package holmesgpt

import (
	"net/url"

	"kubernaut.io/dynamic-toolset/service/endpoint"
)

const (
	typeMCP       = "mcp"            // servers of the Model Context Protocol
	typeCollector = "otel-collector" // passes on what it gets; there is nothing to read
)

// databases are the types for which HolmesGPT has a toolset that connects by a URL with all
// in it: "database" or "mongodb". Nothing recognises them; annotations or overrides name
// them.
var databases = map[string]string{
	"postgresql": "database", "postgres": "database", "mysql": "database", "mariadb": "database", "clickhouse": "database",
	"mongodb": "mongodb",
}

func isHTTP(u *url.URL) bool { return u.Scheme == "http" || u.Scheme == "https" }

// readable reports whether an agent can read the back end by HTTP.
func (t *Toolset) readable(u *url.URL) bool {
	return isHTTP(u) && t.Type != typeCollector && databases[t.Type] == "" && slots[t.Type] != slotKafka &&
		!endpoint.HasOwnProtocol(t.Type) && !endpoint.IsOwnPort(u.Port())
}
