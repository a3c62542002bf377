// Package record has the types for what is seen during a verification: every request
// and its outcome, the life of every pod, Events, and finally the checks. The load
// generator and the observer fill them; the verdict and the reports are pure functions
// of a [Run].
package record

import "time"

// Run is one verification.
type Run struct {
	Command []string  `json:"command"` // that started it
	Version string    `json:"version"` // of the harness
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended"`

	Target   Target   `json:"target"`
	Cluster  Cluster  `json:"cluster"`
	Scenario string   `json:"scenario"`
	Load     []Client `json:"load"`
	Phases   []Phase  `json:"phases"`

	Requests []Request   `json:"-"` // reports aggregate them and write them to a file of their own
	Pods     []Pod       `json:"pods"`
	Events   []EventLine `json:"events"`

	// Via is the proxy in the path; nil: there is none.
	Via *Via `json:"via,omitempty"`

	// Propagation is what the load's node says about stopping pods; nil: nothing.
	Propagation *Propagation `json:"propagation,omitempty"`

	Checks []Check `json:"checks"`
	Causes []Cause `json:"causes,omitempty"` // why requests were lost, and what to do; see package cause
	// Fixed is the same verification once more, with the manifest changed as the causes
	// ask; nil if there was none.
	Fixed *Run     `json:"fixed,omitempty"`
	Notes []string `json:"notes,omitempty"` // what a reader should know, such as what could not be done as asked
}

// Via is the proxy between the load and the target.
type Via struct {
	// Kind is what it is, such as "nginx"; empty: not known, as it came with manifests.
	Kind   string `json:"kind,omitempty"`
	Target Target `json:"target"` // the proxy's own workload, and the address of its Service
	Pods   []Pod  `json:"pods"`
}

// Propagation is for how long one node went on to send new connections to pods that were
// told to stop. Both durations are the longest of all these pods; negative or 0: none
// came after that.
type Propagation struct {
	Node          string        `json:"node"`
	Pods          int           `json:"pods"` // that were told to stop
	AfterDeletion time.Duration `json:"afterDeletionNs"`
	AfterEndpoint time.Duration `json:"afterEndpointNs"` // after they had left the endpoints
}

// Wait returns for how long a pod should go on to take connections after it is told to stop:
// twice as long as was seen, and a second, since no run sees the longest. It is 0 if none
// came late.
func (p *Propagation) Wait() time.Duration {
	if p.AfterDeletion <= 0 {
		return 0
	}
	return (2*p.AfterDeletion + time.Second + time.Second - 1).Truncate(time.Second)
}

// Target is what was verified.
type Target struct {
	Name     string   `json:"name"`           // namespace/Deployment
	Kind     string   `json:"kind,omitempty"` // of the workload; empty: Deployment
	Image    string   `json:"image,omitempty"`
	Address  string   `json:"address"` // of the Service
	Paths    []string `json:"paths"`
	Replicas int      `json:"replicas"`

	Container string   `json:"container,omitempty"` // that serves the traffic
	Port      int      `json:"port,omitempty"`      // on which it does
	Command   []string `json:"command,omitempty"`   // of the container, with its arguments; empty: as the image says
	// Program is how the program in the image describes itself, for example by its Go
	// module and those it uses. Empty if that is not known.
	Program string `json:"program,omitempty"`
	// Server is what responses said about the program that made them.
	Server Signature `json:"server,omitzero"`
	// Grace is terminationGracePeriodSeconds.
	Grace time.Duration `json:"graceNs,omitempty"`
	// PreStop describes the container's preStop hook; empty: none. PreStopSleep is how
	// long it sleeps, if it is a sleep.
	PreStop string `json:"preStop,omitempty"`
	// PreStopByCommand: the hook runs a command, if only to sleep.
	PreStopByCommand bool          `json:"preStopByCommand,omitempty"`
	PreStopSleep     time.Duration `json:"preStopSleepNs,omitempty"`
	// StopSignal is the signal that tells the container to stop, where the manifest or
	// the image names one. Empty: SIGTERM, as far as known.
	StopSignal string `json:"stopSignal,omitempty"`
	// ReadinessProbe: the container has one.
	ReadinessProbe bool `json:"readinessProbe,omitempty"`
}

// A Signature has the headers of responses by which a server can be recognised.
type Signature struct {
	Server    string `json:"server,omitempty"`
	PoweredBy string `json:"poweredBy,omitempty"` // X-Powered-By
	Via       string `json:"via,omitempty"`
	KeepAlive string `json:"keepAlive,omitempty"`
}

// Cluster is where it was verified.
type Cluster struct {
	Driver     string   `json:"driver"`
	Kubernetes string   `json:"kubernetes"` // the API server's version
	Nodes      []string `json:"nodes"`
}

// Client is what one client class was told to do, and what it reports to have done.
type Client struct {
	Class       Class         `json:"class"`
	Rate        float64       `json:"rate"` // requests per second; 0 for streams
	Connections int           `json:"connections,omitempty"`
	Duration    time.Duration `json:"durationNs,omitempty"` // of a slow request, at most
	// Late is the load generator's own delay: how long after they were due requests
	// were sent, at the 99th percentile.
	Late time.Duration `json:"lateNs,omitempty"`
	// Skipped counts requests that were not sent, since too many were waiting.
	Skipped int `json:"skipped,omitempty"`
	// NoPort counts requests that were not sent, since no source port had rested for long
	// enough to tell a new connection from an old one.
	NoPort int `json:"noPort,omitempty"`
	// Sent counts requests that were sent, whatever their outcome.
	Sent int `json:"sent"`
	// Opened counts connections.
	Opened int `json:"opened"`
	// Stale counts kept connections that a pooled client found closed when it looked, so
	// that it took another one.
	Stale int `json:"stale,omitempty"`
	// Server is what the first response said about its server.
	Server Signature `json:"server,omitzero"`
	// Early counts slow requests that succeeded before their time was over, and so may
	// not have been in flight when they should have been.
	Early int `json:"early,omitempty"`
}

// PhaseKind says what a phase is for.
type PhaseKind string

const (
	Baseline PhaseKind = "baseline" // traffic only, nothing is changed
	Action   PhaseKind = "action"   // something is done to the target or the cluster
	Settle   PhaseKind = "settle"   // traffic goes on until all pods are settled
)

// Phase is a part of the scenario.
type Phase struct {
	Name  string    `json:"name"` // "rolling restart 1"
	Kind  PhaseKind `json:"kind"`
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
}

// LostBefore counts the requests that were lost before the first action. What is done
// later can't be the cause.
func (r *Run) LostBefore() int {
	lost := 0
	for i := range r.Phases {
		if r.Phases[i].Kind == Action {
			for k := range r.Requests {
				if q := &r.Requests[k]; q.Failed() && q.End.Before(r.Phases[i].Began) {
					lost++
				}
			}
			break
		}
	}
	return lost
}

// Result is the result of a check.
type Result string

const (
	Pass Result = "pass"
	Fail Result = "fail"
	// Warning: what must hold does not, but no client need notice. With --strict it is a
	// Fail.
	Warning Result = "warning"
	// Reported: measured for the reader; there is no bound.
	Reported Result = "reported"
	// NotChecked: it does not apply, or the user turned it off; Measured says why. What
	// could not be measured is a Fail instead.
	NotChecked Result = "not checked"
)

// Check is one line of the verdict.
type Check struct {
	ID       string   `json:"id"`    // stable, for machines: "readiness", "requests-new", ...
	Name     string   `json:"name"`  // for people
	Bound    string   `json:"bound"` // what must hold
	Measured string   `json:"measured"`
	Result   Result   `json:"result"`
	Evidence []string `json:"evidence,omitempty"` // the first cases of a failure
}

// Passed reports whether no check failed and at least one passed. A warning does not count.
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
