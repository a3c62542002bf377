package endpoint

// ownProtocols are servers, as people call them, that speak a protocol of their own.
var ownProtocols = map[string]bool{
	"postgresql": true, "postgres": true, "mysql": true, "mariadb": true, "mongodb": true, "mongo": true,
	"redis": true, "valkey": true, "memcached": true, "cassandra": true, "scylladb": true, "mssql": true, "sqlserver": true, "oracle": true,
	"nats": true, "zookeeper": true, "mqtt": true, "mosquitto": true, "amqp": true, "activemq": true, "ldap": true, "smtp": true, "ssh": true, "dns": true,
}

// ownPorts are the ports that IANA has registered for such protocols. Nothing that speaks
// HTTP is behind them, whatever annotations say.
var ownPorts = map[string]bool{
	"22": true, "25": true, "53": true, "389": true, "636": true, "1433": true, "1521": true, "1883": true, "2181": true, "3306": true, "4222": true,
	"5432": true, "5672": true, "6379": true, "9042": true, "11211": true, "27017": true,
}

// HasOwnProtocol reports whether servers of a type, such as postgresql, speak a protocol of
// their own and not HTTP.
func HasOwnProtocol(typ string) bool { return ownProtocols[typ] }

// IsOwnPort reports whether a port, such as "5432", is registered for a protocol that is not
// HTTP.
func IsOwnPort(port string) bool { return ownPorts[port] }
