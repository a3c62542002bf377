package main

// The supervisor, or the fabric, reads a request per line from its standard input, and
// writes a message per line to its standard output, both in JSON. Package sim has the
// other end (supervisor.go). Both are always built from the same commit.

// A request is answered by one message with its ID.
type request struct {
	ID int    `json:"id"`
	Op string `json:"op"` // "start" or "stop"; for a fabric also "cut" or "restore"

	// For "start" and "stop": the name of the component. For "cut" and "restore": the
	// node.
	Name string `json:"name,omitempty"`

	// For "start": what to run, on which node (empty: none), the flags, the file to
	// which its output is appended, and the unix socket, if any, that must accept a
	// connection before "start" is answered.
	Role   string   `json:"role,omitempty"`
	Node   string   `json:"node,omitempty"`
	Args   []string `json:"args,omitempty"`
	Log    string   `json:"log,omitempty"`
	Socket string   `json:"socket,omitempty"`
}

// A message is an answer (ID is set), the report that a component has ended without
// having been stopped (Exited is set), or the greeting. The greeting is the first
// message, and has either Dir or an Error.
type message struct {
	ID     int    `json:"id,omitempty"`
	Error  string `json:"error,omitempty"`
	Exited string `json:"exited,omitempty"`
	Status string `json:"status,omitempty"`

	// In the greeting.
	Dir         string     `json:"dir,omitempty"`         // the state directory
	Unsupported bool       `json:"unsupported,omitempty"` // this host does not allow what failed
	OneUser     bool       `json:"oneUser,omitempty"`     // only one user id is mapped
	Outside     string     `json:"outside,omitempty"`     // the address of the host beside the nodes
	Nodes       []nodeInfo `json:"nodes,omitempty"`
}

// nodeInfo is what package sim must know about a node.
type nodeInfo struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Pods    string `json:"pods"` // the network of its pods
	// Its directory and the state directory, as its own processes see them.
	Root  string `json:"root"`
	State string `json:"state"`
}
