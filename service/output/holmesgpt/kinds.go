package holmesgpt

import "net/url"

// typeMCP is the type of servers of the Model Context Protocol.
const typeMCP = "mcp"

// databases are the types for which HolmesGPT has a toolset that connects by a URL with all
// in it: "database" or "mongodb". Nothing recognises them; annotations or overrides name
// them.
var databases = map[string]string{
	"postgresql": "database", "postgres": "database", "mysql": "database", "mariadb": "database", "clickhouse": "database",
	"mongodb": "mongodb",
}

// unreadable are the types of which an agent can't read anything by HTTP: those that only
// pass data on, and those with a protocol of their own.
var unreadable = map[string]bool{
	"otel-collector": true,
	"redis":          true, "valkey": true, "memcached": true, "cassandra": true, "scylladb": true, "mssql": true, "sqlserver": true, "oracle": true,
	"nats": true, "zookeeper": true, "mqtt": true, "mosquitto": true, "amqp": true, "activemq": true, "ldap": true, "smtp": true, "ssh": true, "dns": true,
}

// unreadablePorts are the registered ports of such protocols (IANA). Nothing else is behind
// them, whatever the annotations say.
var unreadablePorts = map[string]bool{
	"22": true, "25": true, "53": true, "389": true, "636": true, "1433": true, "1521": true, "1883": true, "2181": true, "3306": true, "4222": true,
	"5432": true, "5672": true, "6379": true, "9042": true, "11211": true, "27017": true,
}

func isHTTP(u *url.URL) bool { return u.Scheme == "http" || u.Scheme == "https" }

// readable reports whether an agent can read the back end by HTTP.
func (t *Toolset) readable(u *url.URL) bool {
	return isHTTP(u) && !unreadable[t.Type] && databases[t.Type] == "" && !unreadablePorts[u.Port()] && slots[t.Type] != slotKafka
}
