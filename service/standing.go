package service

// A Standing is what the metadata of a back end say about how well it stands for
// all of its type: for the whole cluster before one that came with something else, a
// query front end before a single server.
type Standing struct {
	Scope Scope
	// ScopeOf is the word that Scope follows from, such as "kubecost"; may be empty.
	ScopeOf string
	Role    Role
	// Headless means that its name stands for the addresses of pods.
	Headless bool
}

// A Scope says for whom a back end is there; the better one is less.
type Scope uint8

// The scopes.
const (
	ScopeCluster Scope = iota // its namespace or release is about monitoring
	ScopeUnknown
	ScopeBundled // it came with another product, or is a team's, a demo's, a test's
)

// A Role is what a back end does among several servers of one system; the better
// one is less.
type Role uint8

// The roles.
const (
	RoleGateway  Role = iota // in front of all parts of a system, for each kind of request
	RoleFrontEnd             // made for queries, such as a query front end
	RoleServer
	RolePart // of several, such as a reader, or one of several replicas
)
