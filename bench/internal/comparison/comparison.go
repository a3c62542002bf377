// Package comparison holds what a comparison of servers found: every figure of
// every round, and what is said about them. It is written as JSON, as a table for
// a terminal, and as charts: all three are in docs/benchmarks.md.
package comparison

import (
	"slices"
	"time"
)

// A Result is what one run found. All servers were measured in it, in turn,
// on the same machine and with the same requests and answers.
type Result struct {
	Command   string    `json:"command"` // that makes a result like this one
	Version   string    `json:"version"` // of this project
	Host      string    `json:"machine"` // see package host
	At        time.Time `json:"at"`
	Load      float64   `json:"load"` // average of the minute before the run
	ServerCPU int       `json:"server_cpu"`
	ClientCPU int       `json:"client_cpu"` // the same as ServerCPU where there is only one
	// Window is how long each round of each measurement took, in seconds.
	Window      float64      `json:"window_seconds"`
	Connections int          `json:"connections"` // that the client keeps, but for idle ones
	Servers     []Server     `json:"contestants"`
	Workloads   []Workload   `json:"workloads"`
	Throughput  []Throughput `json:"throughput"`
	Latency     []Latency    `json:"latency"`
	Idle        []Idle       `json:"idle"`
	Targets     []Target     `json:"targets"`
	// Missing says what could not be measured on this machine, and why.
	Missing []string `json:"missing,omitempty"`
}

// A Server is one that was measured.
type Server struct {
	Name    string `json:"name"`    // "ours", "fasthttp"
	Title   string `json:"title"`   // "this service", "bare fasthttp"
	Version string `json:"version"` // "v1.78.0", "nginx/1.22.1"
	Note    string `json:"note"`    // what it does, in a sentence
}

// The servers. Reference is what the targets compare with.
const (
	Ours              = "ours"
	OursAuthenticated = "ours-auth"
	Reference         = "fasthttp"
)

// A Workload is a kind of request that every server answers with the same body
// and the same header fields.
type Workload struct {
	Name           string `json:"name"`  // "by-name"
	Title          string `json:"title"` // "GET by name, 400 B"
	Status         int    `json:"status"`
	Body           int    `json:"body_bytes"`
	Response       int    `json:"response_bytes"` // head and body, as ours sends it
	Pipelined      int    `json:"pipelined"`      // requests that are sent at once; 1 for no pipelining
	NewConnections bool   `json:"new_connections"`
}

// The workloads that targets speak of.
const (
	ByName          = "by-name"
	NotModified     = "not-modified"
	ByNamePipelined = "by-name-pipelined"
	// ByNameAuthenticated is ByName next to an API server, which OursAuthenticated
	// lets review its callers; the other servers know nothing of it, but have what
	// it does in the background beside them, too.
	ByNameAuthenticated = "by-name-authenticated"
)

// A Throughput is how much of a workload a server answers to clients that ask
// as fast as they are answered (a closed loop).
type Throughput struct {
	Server   string  `json:"contestant"`
	Workload string  `json:"workload"`
	Rounds   []Round `json:"rounds"`
}

// A Round is one window of a closed loop.
type Round struct {
	Requests int     `json:"requests"`
	Failed   int     `json:"failed"` // of these: connections lost, answers other than expected
	Seconds  float64 `json:"seconds"`
	// CPU is what the server's processes used of the processor, user and system
	// time, in seconds.
	CPU float64 `json:"cpu_seconds"`
	// ClientBusy is the share of the window in which the client had something to do.
	// Near 1 the client is what is slow; the CPU seconds are right all the same. 0 is
	// that it is not known, as where client and server share a CPU.
	ClientBusy float64 `json:"client_busy,omitempty"`
}

// PerSecond is the answers per second of time.
func (r Round) PerSecond() float64 { return float64(r.Requests-r.Failed) / r.Seconds }

// PerCPUSecond is the answers per second of the server's CPU time.
func (r Round) PerCPUSecond() float64 { return float64(r.Requests-r.Failed) / r.CPU }

// A Latency is how long answers took at a fixed rate of requests (an open loop):
// counted from when each was due, so that a server that stalls pays for all
// requests that it kept waiting.
type Latency struct {
	Server   string `json:"contestant"`
	Workload string `json:"workload"`
	// Rate is requests per second, Share what that is of the reference's
	// saturation (0 to 1 and a little more).
	Rate   float64        `json:"rate"`
	Share  float64        `json:"share"`
	Rounds []LatencyRound `json:"rounds"`
}

// A LatencyRound is one window of an open loop. Times are in microseconds.
type LatencyRound struct {
	Due      int     `json:"due"`      // requests that were due in the window
	Answered int     `json:"answered"` // of these, until shortly after it
	Failed   int     `json:"failed"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	P999     float64 `json:"p999_us"`
	Max      float64 `json:"max_us"`
	CPU      float64 `json:"cpu_seconds"`
	// ClientLate is how late the client sent 99 % of the requests, at most, after they
	// were due, of those for which a connection was idle. It is part of the times above.
	ClientLate float64 `json:"client_late_p99_us,omitempty"`
}

// An Idle is what connections cost on which nothing happens: each has been used
// for one request before.
type Idle struct {
	Server      string      `json:"contestant"`
	Connections int         `json:"connections"`
	Rounds      []IdleRound `json:"rounds"`
}

// An IdleRound is one measurement of memory. Bytes are of the resident set of the
// server's processes.
type IdleRound struct {
	Before int64 `json:"before_bytes"`
	After  int64 `json:"after_bytes"`
}

// A Target is what the project promises, as a ratio to the reference.
type Target struct {
	Title string  `json:"title"` // "GET by name: answers per CPU second"
	Want  float64 `json:"want"`
	// AtMost says that Want is the most and not the least.
	AtMost bool `json:"at_most"`
	// Got is the median of the rounds' ratios, Low and High are their extremes. Each
	// round's ratio is of two windows that followed one another.
	Got    float64   `json:"got"`
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
	Ratios []float64 `json:"ratios"`
}

// Met reports whether the target was reached. One without a measurement was not.
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

// Missed reports whether any target was.
func (r *Result) Missed() bool {
	return slices.ContainsFunc(r.Targets, func(t Target) bool { return !t.Met() })
}
