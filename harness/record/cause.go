package record

import "time"

// A Cause is a reason why requests were lost, or would be under another load. Package
// cause finds them in a Run.
type Cause struct {
	ID    string `json:"id"`    // stable, for machines: "no-signal-handler", ...
	Title string `json:"title"` // one sentence, for people

	// Side is AtProxy if what is to be changed is the proxy's, whose causes begin with "The
	// proxy". Empty: the target's.
	Side Side `json:"side,omitempty"`

	Lost int `json:"lost"` // requests that it explains
	// OnlyBlind counts those of them that only clients lose that don't look whether the
	// server has closed the connection; see Request.OnlyBlind.
	OnlyBlind int       `json:"onlyBlind,omitempty"`
	First     time.Time `json:"first,omitzero"` // when the first of them was lost
	Pods      []string  `json:"pods,omitempty"` // where it was seen

	// Evidence is what the cause rests on, a sentence each.
	Evidence []string `json:"evidence"`
	// Likely says that the evidence fits another cause, too.
	Likely bool `json:"likely,omitempty"`

	// InServer is what to do in the server, in its own terms; Server is its name, as far
	// as it was recognised. InKubernetes is what to do in the manifest. Either may be
	// empty.
	Server       string `json:"server,omitempty"`
	InServer     string `json:"inServer,omitempty"`
	InKubernetes string `json:"inKubernetes,omitempty"`
	Change       Change `json:"change,omitzero"`
	// InProxy is what to do in the configuration of the proxy in the path.
	InProxy string `json:"inProxy,omitempty"`
}

// A Change is what can be changed in the manifest of a target.
type Change struct {
	// Command is how to start the container; empty: unchanged.
	Command []string `json:"command,omitempty"`
	// PreStop is the command of a preStop hook; empty: PreStopSleep.
	PreStop      []string      `json:"preStop,omitempty"`
	PreStopSleep time.Duration `json:"preStopSleepNs,omitempty"` // in whole seconds; 0: unchanged
	Grace        time.Duration `json:"graceNs,omitempty"`        // in whole seconds; 0: unchanged
	// ReadinessPath is that of a readiness probe, if there is none; empty: unchanged.
	ReadinessPath string `json:"readinessPath,omitempty"`
}
