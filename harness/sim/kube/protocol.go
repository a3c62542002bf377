package main

// The supervisor reads one request per line on its standard input and writes one
// message per line on its standard output, both JSON. Package sim has the other
// end (supervisor.go there); the two are always built from the same commit.

// request asks for one thing; every request gets one message with its ID.
type request struct {
	ID int    `json:"id"`
	Op string `json:"op"` // "start" or "stop"

	// Role is the component, and the name under which it is stopped again.
	Role string `json:"role"`

	// Of "start": the flags, the file for its output (appended to), and the unix
	// socket, if any, that must accept a connection before "start" is answered.
	Args   []string `json:"args,omitempty"`
	Log    string   `json:"log,omitempty"`
	Socket string   `json:"socket,omitempty"`
}

// message is an answer (ID set), the greeting (Dir set, sent first and once) or
// the news that a component ended without having been stopped (Exited set).
type message struct {
	ID     int    `json:"id,omitempty"`
	Error  string `json:"error,omitempty"`
	Dir    string `json:"dir,omitempty"`
	Exited string `json:"exited,omitempty"`
	Status string `json:"status,omitempty"`
	PID    int    `json:"pid,omitempty"`
}
