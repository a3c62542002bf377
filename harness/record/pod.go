package record

import "time"

// Pod is the life of one pod of the target. A zero time: it was not seen.
type Pod struct {
	Name     string `json:"name"`
	Node     string `json:"node"`
	IP       string `json:"ip,omitempty"`
	Revision string `json:"revision,omitempty"` // the ReplicaSet's pod-template-hash

	Created time.Time `json:"created"`
	Ready   time.Time `json:"ready,omitzero"` // first seen Ready
	// Deleted is when the deletion was seen: the API server had accepted it.
	Deleted time.Time     `json:"deleted,omitzero"`
	Grace   time.Duration `json:"graceNs,omitempty"` // terminationGracePeriodSeconds
	// Killing is when the kubelet said (event Killing) that it began to end the
	// container; the preStop hook, if there is one, and SIGTERM follow.
	Killing time.Time `json:"killing,omitzero"`
	// Signalled is when the pod logged that it received SIGTERM, by the time that
	// the kubelet gave the line; zero where it logs no such line.
	Signalled time.Time `json:"signalled,omitzero"`
	// EndpointGone is when the last EndpointSlice stopped listing it as ready.
	EndpointGone time.Time `json:"endpointGone,omitzero"`
	Exited       time.Time `json:"exited,omitzero"` // when its container's end was seen
	Gone         time.Time `json:"gone,omitzero"`   // when the API server no longer had it

	ExitCode *int   `json:"exitCode,omitempty"` // nil: not seen
	Reason   string `json:"reason,omitempty"`   // of the container's end: Completed, Error, ...
	Restarts int    `json:"restarts,omitempty"`
	// Lost says that the pod went without the kubelet's word, such as when its
	// node was cut off: nothing can be said of its end.
	Lost bool `json:"lost,omitempty"`

	Probes []Probe   `json:"probes,omitempty"` // from Deleted on
	Log    []LogLine `json:"log,omitempty"`    // the last lines; bounded
	// LogProblem says why the log may be incomplete.
	LogProblem string `json:"logProblem,omitempty"`
	// Milestones are the lines of the DD-007 sequence, as they came.
	Milestones []LogLine `json:"milestones,omitempty"`
}

// TermBegan is when the pod was told to stop, as well as it is known: by its own
// word, by the kubelet's, else when its deletion was seen. Zero: never.
func (p *Pod) TermBegan() time.Time {
	switch {
	case !p.Signalled.IsZero():
		return p.Signalled
	case !p.Killing.IsZero():
		return p.Killing
	}
	return p.Deleted
}

// LogLine is a line that a container wrote.
type LogLine struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// ProbeKind says what a direct probe asked.
type ProbeKind string

const (
	Readiness ProbeKind = "readiness"
	Liveness  ProbeKind = "liveness"
)

// Probe is a request that the harness sent directly to a terminating pod,
// beside those of the kubelet, which end once the pod is terminating.
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

// EventLine is something that Kubernetes said or that was done to the cluster.
type EventLine struct {
	At      time.Time `json:"at"`
	Object  string    `json:"object"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Warning bool      `json:"warning,omitempty"`
}
