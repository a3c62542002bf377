package main

// The supervisor, or the fabric, reads one request per line on its standard input
// and writes one message per line on its standard output, both JSON. Package sim
// has the other end (supervisor.go there); the two are always built from the same
// commit.

// request asks for one thing; every request gets one message with its ID.
type request struct {
	ID int    `json:"id"`
	Op string `json:"op"` // "start" or "stop"; of a fabric also "cut" or "restore"

	// Name is the component's, under which it is stopped again; by default it is
	// the role. Of "cut" and "restore": the node.
	Name string `json:"name,omitempty"`

	// Of "start": what to run, on which node (by default on none), the flags, the
	// file for its output (appended to), and the unix socket, if any, that must
	// accept a connection before "start" is answered.
	Role   string   `json:"role,omitempty"`
	Node   string   `json:"node,omitempty"`
	Args   []string `json:"args,omitempty"`
	Log    string   `json:"log,omitempty"`
	Socket string   `json:"socket,omitempty"`
}

// message is an answer (ID set), the news that a component ended without having
// been stopped (Exited set), or the greeting, which is sent first and once: it has
// either Dir or an Error.
type message struct {
	ID     int    `json:"id,omitempty"`
	Error  string `json:"error,omitempty"`
	Exited string `json:"exited,omitempty"`
	Status string `json:"status,omitempty"`

	// Of the greeting.
	Dir         string     `json:"dir,omitempty"`         // the state directory
	Unsupported bool       `json:"unsupported,omitempty"` // Error is the machine's fault
	OneUser     bool       `json:"oneUser,omitempty"`     // only one user id is mapped
	Outside     string     `json:"outside,omitempty"`     // the address of the machine beside the nodes
	Nodes       []nodeInfo `json:"nodes,omitempty"`
}

// nodeInfo is what package sim needs to know about a node.
type nodeInfo struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Pods    string `json:"pods"` // the network of its pods
	// As its own processes see them: its directory and the state directory.
	Root  string `json:"root"`
	State string `json:"state"`
}
