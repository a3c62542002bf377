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
	// PreStop is the container's preStop hook; nil if it has none. Between Killing and
	// SIGTERM the kubelet waits for its end.
	PreStop *PreStop `json:"preStop,omitempty"`
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

// ReadyAt reports whether the pod was ready at t, and neither deleted nor out of the endpoints.
func (p *Pod) ReadyAt(t time.Time) bool {
	return !p.Ready.IsZero() && !p.Ready.After(t) && (p.EndpointGone.IsZero() || p.EndpointGone.After(t)) && (p.Deleted.IsZero() || p.Deleted.After(t))
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

// PreStop describes a preStop hook.
type PreStop struct {
	// Sleep is how long it sleeps, if that is all that it does; 0: how long it takes is not
	// known.
	Sleep time.Duration `json:"sleepNs,omitempty"`
}

// SIGTERM returns when the kubelet sent SIGTERM: as the pod logged it, or else as it
// follows from when the kubelet began to end the container, and from its preStop hook.
// by says which. It returns the zero time if that is not known.
func (p *Pod) SIGTERM() (at time.Time, by string) {
	switch {
	case !p.Signalled.IsZero():
		return p.Signalled, "as the pod logged it"
	case p.Killing.IsZero():
		return time.Time{}, ""
	case p.PreStop == nil:
		return p.Killing, "as the kubelet began to end it"
	case p.PreStop.Sleep > 0 && (p.Grace == 0 || p.PreStop.Sleep < p.Grace):
		at = p.Killing.Add(p.PreStop.Sleep)
		if !p.Exited.IsZero() && p.Exited.Before(at) {
			return time.Time{}, "" // it had ended by itself
		}
		return at, "after its preStop hook had slept " + p.PreStop.Sleep.String()
	}
	return time.Time{}, ""
}

// SinceStop says how long before t the pod was told to stop, and by what: "3 s after
// SIGTERM". format formats the duration.
func (p *Pod) SinceStop(t time.Time, format func(time.Duration) string) string {
	at, _ := p.SIGTERM()
	switch {
	case !at.IsZero() && !t.Before(at) && !p.Killing.IsZero() && p.PreStop != nil:
		return format(t.Sub(at)) + " after SIGTERM, which came " + format(at.Sub(p.Killing)) + " after its preStop hook began"
	case !at.IsZero() && !t.Before(at):
		return format(t.Sub(at)) + " after SIGTERM"
	case !p.Killing.IsZero() && p.PreStop != nil:
		return format(t.Sub(p.Killing)) + " after its preStop hook began"
	case !p.Killing.IsZero():
		return format(t.Sub(p.Killing)) + " after the kubelet began to end it"
	}
	return format(t.Sub(p.Deleted)) + " after its deletion"
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
	// Connection: only a connection was made, to the port that serves the traffic, and
	// closed again.
	Connection ProbeKind = "connection"
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

// Answered reports whether there was an answer; of a probe that only connects, whether it
// could.
func (p *Probe) Answered() bool {
	return p.Status != 0 || p.Kind == Connection && !p.Refused && p.Detail == ""
}

// EventLine is a Kubernetes Event, or something that was done to the cluster.
type EventLine struct {
	At      time.Time `json:"at"`
	Object  string    `json:"object"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Warning bool      `json:"warning,omitempty"`
}
