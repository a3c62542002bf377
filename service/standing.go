package service

// A Standing is what the metadata of a back end say about how well it represents its type.
// One for the whole cluster is better than one that came with another product, and a query
// front end is better than a single server.
type Standing struct {
	Scope Scope
	// ScopeOf is the word that Scope follows from, such as "kubecost"; may be empty.
	ScopeOf string
	Role    Role
	// Headless means that its DNS name leads to the addresses of pods.
	Headless bool
}

// A Scope says for whom a back end is there. A lower value is better.
type Scope uint8

// The scopes.
const (
	ScopeCluster Scope = iota // its namespace or release is about monitoring
	ScopeUnknown
	ScopeBundled // it came with another product, or is a team's, a demo's, a test's
)

// A Role is what a back end does in a system of several servers. A lower value is better.
type Role uint8

// The roles.
const (
	RoleGateway  Role = iota // in front of all parts of a system, for requests of every kind
	RoleFrontEnd             // made for queries, such as a query front end
	RoleServer
	RolePart // one part of several, such as a reader, or one of several replicas
)
