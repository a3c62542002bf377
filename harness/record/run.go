// Package record holds what is seen during a verification: every request and
// its fate, the life of every pod, what Kubernetes said, and at the end the
// verdict. The load generator and the observers write it; the checks and the
// reports are pure functions of it.
package record

import "time"

// Run is one verification.
type Run struct {
	Command []string  `json:"command"` // that made it
	Version string    `json:"version"` // of the harness
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended"`

	Target   Target   `json:"target"`
	Cluster  Cluster  `json:"cluster"`
	Scenario string   `json:"scenario"`
	Load     []Client `json:"load"`
	Phases   []Phase  `json:"phases"`

	Requests []Request   `json:"-"` // all; reports aggregate them and write them to a file of their own
	Pods     []Pod       `json:"pods"`
	Events   []EventLine `json:"events"`

	Checks []Check  `json:"checks"`
	Notes  []string `json:"notes,omitempty"` // what a reader should know: what could not be done as asked
}

// Target is what was verified.
type Target struct {
	Name     string   `json:"name"` // namespace/Deployment
	Image    string   `json:"image,omitempty"`
	Address  string   `json:"address"` // of the Service
	Paths    []string `json:"paths"`
	Replicas int      `json:"replicas"`
}

// Cluster is where.
type Cluster struct {
	Driver     string   `json:"driver"`
	Kubernetes string   `json:"kubernetes"` // the API server's version
	Nodes      []string `json:"nodes"`
}

// Client is what one client class was told to do, and what it says it did.
type Client struct {
	Class       Class         `json:"class"`
	Rate        float64       `json:"rate"` // requests per second; for streams 0
	Connections int           `json:"connections,omitempty"`
	Duration    time.Duration `json:"durationNs,omitempty"` // of a slow request, at most
	// Late is how long after their due time requests were sent, at the 99th
	// percentile: the load generator's own delay.
	Late time.Duration `json:"lateNs,omitempty"`
	// Skipped counts the requests that were not sent, as too many were waiting.
	Skipped int `json:"skipped,omitempty"`
	// Sent counts the requests that were sent, whatever became of them.
	Sent int `json:"sent"`
	// Opened counts the connections that were made.
	Opened int `json:"opened"`
	// Early counts the slow requests that were answered well, but before their
	// time was over: they weren't slow, and may not have been in flight when they
	// should have been.
	Early int `json:"early,omitempty"`
}

// PhaseKind says what a phase is for.
type PhaseKind string

const (
	Baseline PhaseKind = "baseline" // traffic, and nothing is changed
	Action   PhaseKind = "action"   // something is done to the target or the cluster
	Settle   PhaseKind = "settle"   // traffic goes on, until what was done is over
)

// Phase is a part of the scenario.
type Phase struct {
	Name  string    `json:"name"` // "rolling restart 1"
	Kind  PhaseKind `json:"kind"`
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
}

// Result is what a check says.
type Result string

const (
	Pass Result = "pass"
	Fail Result = "fail"
	// Reported: measured for the reader; there is no bound that could fail.
	Reported Result = "reported"
	// NotChecked: it doesn't apply, or the user turned it off; Measured says why.
	// It never stands for something that could not be measured: that is a Fail.
	NotChecked Result = "not checked"
)

// Check is one line of the verdict.
type Check struct {
	ID       string   `json:"id"`    // stable, for machines: "requests", "readiness", ...
	Name     string   `json:"name"`  // for people
	Bound    string   `json:"bound"` // what must hold
	Measured string   `json:"measured"`
	Result   Result   `json:"result"`
	Evidence []string `json:"evidence,omitempty"` // of a failure: the first few cases
}

// Passed says whether no check failed and at least one passed.
func (r *Run) Passed() bool {
	passed := false
	for i := range r.Checks {
		switch r.Checks[i].Result {
		case Fail:
			return false
		case Pass:
			passed = true
		}
	}
	return passed
}
