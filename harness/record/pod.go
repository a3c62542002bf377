package record

import "time"

// Pod is the life of one pod of the target. Times are zero if they were not seen.
type Pod struct {
	Name     string `json:"name"`
	Node     string `json:"node"`
	IP       string `json:"ip,omitempty"`
	Revision string `json:"revision,omitempty"` // the ReplicaSet's pod-template-hash

	Created time.Time `json:"created"`
	Ready   time.Time `json:"ready,omitzero"` // first seen Ready
	// Deleted is when the harness saw that the pod was to be deleted.
	Deleted time.Time     `json:"deleted,omitzero"`
	Grace   time.Duration `json:"graceNs,omitempty"` // terminationGracePeriodSeconds
	// Killing is when the kubelet's event Killing said that it began to end the
	// container. The preStop hook, if there is one, and SIGTERM follow.
	Killing time.Time `json:"killing,omitzero"`
	// Signalled is when the pod logged that it received SIGTERM, by the time that the
	// container runtime gave the line. Zero if it logs no such line.
	Signalled time.Time `json:"signalled,omitzero"`
	// EndpointGone is when no EndpointSlice listed it as ready any more.
	EndpointGone time.Time `json:"endpointGone,omitzero"`
	Exited       time.Time `json:"exited,omitzero"` // when the end of its container was seen
	Gone         time.Time `json:"gone,omitzero"`   // when the API server no longer had it

	ExitCode *int   `json:"exitCode,omitempty"` // nil: not seen
	Reason   string `json:"reason,omitempty"`   // of its container's end: Completed, Error, ...
	Restarts int    `json:"restarts,omitempty"`
	// Lost says that the pod went without a report by the kubelet, for example since
	// its node was cut off. Nothing is known of its end.
	Lost bool `json:"lost,omitempty"`

	Probes []Probe   `json:"probes,omitempty"` // since Deleted
	Log    []LogLine `json:"log,omitempty"`    // the last lines
	// LogProblem says why the log may be incomplete.
	LogProblem string `json:"logProblem,omitempty"`
	// Milestones are the lines of the DD-007 sequence, in the order in which they came.
	Milestones []LogLine `json:"milestones,omitempty"`
}

// TermBegan returns when the pod was told to stop, by the best source there is: its own
// log line, the kubelet's event, or else the time at which its deletion was seen. Zero
// if it was not told to stop.
func (p *Pod) TermBegan() time.Time {
	switch {
	case !p.Signalled.IsZero():
		return p.Signalled
	case !p.Killing.IsZero():
		return p.Killing
	}
	return p.Deleted
}

// LogLine is a line that a container logged.
type LogLine struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// ProbeKind says which endpoint a probe asked.
type ProbeKind string

const (
	Readiness ProbeKind = "readiness"
	Liveness  ProbeKind = "liveness"
)

// Probe is a request that the harness itself sent to a terminating pod. Those of the
// kubelet are not recorded.
type Probe struct {
	Kind    ProbeKind     `json:"kind"`
	At      time.Time     `json:"at"`
	Took    time.Duration `json:"tookNs"`
	Status  int           `json:"status,omitempty"` // 0: no response
	Problem bool          `json:"problem,omitempty"`
	// Refused says that no connection could be made; Detail has the cause.
	Refused bool   `json:"refused,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// EventLine is a Kubernetes Event, or something that was done to the cluster.
type EventLine struct {
	At      time.Time `json:"at"`
	Object  string    `json:"object"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Warning bool      `json:"warning,omitempty"`
}
