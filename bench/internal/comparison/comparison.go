// Package comparison holds the result of a comparison of servers: every figure of every
// round, and summaries of them. A [Result] can be written as JSON, as a table for a terminal
// and as charts. docs/benchmarks.md has all three.
package comparison

import (
	"slices"
	"time"
)

// A Result is the result of one run. The servers were measured in turn, on the same machine
// and with the same requests and answers.
type Result struct {
	Command   string    `json:"command"` // of the run
	Version   string    `json:"version"` // of this project
	Host      string    `json:"machine"` // see package host
	At        time.Time `json:"at"`      // beginning of the run
	Load      float64   `json:"load"`    // load average of the minute before the run
	ServerCPU int       `json:"server_cpu"`
	ClientCPU int       `json:"client_cpu"` // equals ServerCPU if there is only one
	// Window is the length of each window, which is one round of one measurement, in
	// seconds.
	Window      float64      `json:"window_seconds"`
	Connections int          `json:"connections"` // of the client, except idle ones
	Servers     []Server     `json:"contestants"`
	Workloads   []Workload   `json:"workloads"`
	Throughput  []Throughput `json:"throughput"`
	Latency     []Latency    `json:"latency"`
	Idle        []Idle       `json:"idle"`
	Targets     []Target     `json:"targets"`
	// Missing lists what could not be measured on this machine, and why.
	Missing []string `json:"missing,omitempty"`
}

// A Server is a server that was measured.
type Server struct {
	Name    string `json:"name"`    // "ours", "fasthttp"
	Title   string `json:"title"`   // "this service", "bare fasthttp"
	Version string `json:"version"` // "v1.78.0", "nginx/1.22.1"
	Note    string `json:"note"`    // a short description
}

// Names of servers. The targets are ratios to Reference.
const (
	Ours              = "ours"
	OursAuthenticated = "ours-auth"
	OursWithoutLoop   = "ours-no-loop" // with --event-loop=off
	Reference         = "fasthttp"
)

// A Workload is a kind of request. Every server answers it with the same body and the same
// header fields.
type Workload struct {
	Name           string `json:"name"`  // "by-name"
	Title          string `json:"title"` // "GET by name, 400 B"
	Status         int    `json:"status"`
	Body           int    `json:"body_bytes"`
	Response       int    `json:"response_bytes"`  // head and body, as this service sends them
	Pipelined      int    `json:"pipelined"`       // requests sent at once; 1 without pipelining
	NewConnections bool   `json:"new_connections"` // one for each request
}

// The workloads that have a target.
const (
	ByName          = "by-name"
	NotModified     = "not-modified"
	List4K          = "list-4k"
	List400K        = "list-400k"
	ByNamePipelined = "by-name-pipelined"
	ByNameNew       = "by-name-new"
	ByNameTLS       = "by-name-tls"
	// ByNameAuthenticated is ByName while an API server runs on the machine, which
	// OursAuthenticated asks about its callers. The API server's background work affects
	// the other servers as well.
	ByNameAuthenticated = "by-name-authenticated"
)

// A Throughput is how much of a workload a server answers in a closed loop: each connection
// sends the next request as soon as it has its answer.
type Throughput struct {
	Server   string  `json:"contestant"`
	Workload string  `json:"workload"`
	Rounds   []Round `json:"rounds"`
}

// A Round is one window of a closed loop.
type Round struct {
	Requests int     `json:"requests"`
	Failed   int     `json:"failed"` // of Requests: without an answer, or with an unexpected one
	Seconds  float64 `json:"seconds"`
	// CPU is the CPU time of the server's processes, user and system time, in seconds.
	CPU float64 `json:"cpu_seconds"`
	// ClientBusy is the share of the window in which the client had something to do. If it
	// is near 1, the client limits the answers per second; the CPU time is right anyway. It
	// is 0 if unknown, for example because client and server share a CPU.
	ClientBusy float64 `json:"client_busy,omitempty"`
}

// PerSecond returns the answers per second.
func (r Round) PerSecond() float64 { return float64(r.Requests-r.Failed) / r.Seconds }

// PerCPUSecond returns the answers per second of the server's CPU time.
func (r Round) PerCPUSecond() float64 { return float64(r.Requests-r.Failed) / r.CPU }

// A Latency is how long answers took at a fixed rate of requests (an open loop). The time is
// counted from when a request was due, so that a server that stalls is charged with all
// requests that had to wait.
type Latency struct {
	Server   string `json:"contestant"`
	Workload string `json:"workload"`
	// Rate is in requests per second. Share is the same as a share of the reference's
	// saturation; it may be above 1.
	Rate   float64        `json:"rate"`
	Share  float64        `json:"share"`
	Rounds []LatencyRound `json:"rounds"`
}

// A LatencyRound is one window of an open loop. Times are in microseconds.
type LatencyRound struct {
	Due      int     `json:"due"`      // requests that were due in the window
	Answered int     `json:"answered"` // of Due, until shortly after the window
	Failed   int     `json:"failed"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	P999     float64 `json:"p999_us"`
	Max      float64 `json:"max_us"`
	CPU      float64 `json:"cpu_seconds"`
	// ClientLate is the p99 of how long after its due time the client sent a request for
	// which a connection was idle. The times above include it.
	ClientLate float64 `json:"client_late_p99_us,omitempty"`
}

// An Idle is the memory that idle connections need. Each has been used for one request
// before.
type Idle struct {
	Server      string      `json:"contestant"`
	Connections int         `json:"connections"`
	Rounds      []IdleRound `json:"rounds"`
}

// An IdleRound is one measurement of the resident set of the server's processes, before and
// after the connections were opened.
type IdleRound struct {
	Before int64 `json:"before_bytes"`
	After  int64 `json:"after_bytes"`
}

// A Target is a promise of the project: a ratio to the reference.
type Target struct {
	Title string  `json:"title"` // "GET by name: answers per CPU second"
	Want  float64 `json:"want"`
	// AtMost says that Want is an upper limit; otherwise it is a lower limit.
	AtMost bool `json:"at_most"`
	// Got is the median of Ratios, Low and High are their extremes. Ratios has one ratio for
	// each round, of two windows that followed one another.
	Got    float64   `json:"got"`
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
	Ratios []float64 `json:"ratios"`
}

// Met reports whether the target was met. A target that was not measured was not met.
func (t Target) Met() bool {
	switch {
	case len(t.Ratios) == 0:
		return false
	case t.AtMost:
		return t.Got <= t.Want
	default:
		return t.Got >= t.Want
	}
}

// Missed reports whether any target was missed.
func (r *Result) Missed() bool {
	return slices.ContainsFunc(r.Targets, func(t Target) bool { return !t.Met() })
}
