package page

import (
	"time"

	"kubernaut.io/dynamic-toolset/service"
)

// State is what the page says about the service, besides its back ends.
type State struct {
	Version string
	// Replica is the name of this instance; empty if it has none.
	Replica   string
	Cluster   Cluster
	Leader    Leader
	ConfigMap ConfigMap
	Overrides Overrides
	// Explains means that any Service can be explained.
	Explains bool
	// Candidates are Services that are asked what they are, and not listed before they have
	// said it: those that the page can find. Unlisted is how many there are besides.
	Candidates []Candidate
	Unlisted   int
}

// Cluster says where Services come from.
type Cluster struct {
	Name string // the address of an API server, or a folder
	// Problem says in a sentence why it can't be read now; empty if it can. Since is since
	// when.
	Problem string
	Since   time.Time
	// Namespaces are those that are read; empty for all.
	Namespaces []string
}

// Leader says which replica writes. The zero value means that there is no election.
type Leader struct {
	Self   string // the name of this replica in the lease
	Leads  bool   // this one
	Holder string // as last seen; empty if nobody holds the lease
	Vacant string // why nobody leads; empty if somebody does
}

// ConfigMap says whether the documents for agents are written.
type ConfigMap struct {
	Name string // namespace/name, or a file; empty if nothing is written
	// Outcome is that of the last attempt of this replica, such as "success"; empty if there
	// was none. At is when that was, and Failed whether it counts as a failure.
	Outcome string
	At      time.Time
	Failed  bool
}

// Overrides says what became of the administrator's corrections.
type Overrides struct {
	Present  bool              // there are some, in force or not
	Mistakes []service.Invalid // because of which all are ignored
	// Unmatched are those that change nothing, each as a text with its place.
	Unmatched []string
}

// A Candidate is a Service about which its metadata say too little to list it.
type Candidate struct {
	Key   service.Key
	URL   string
	Types []string // what it may be, the most likely first
	Note  string   // what came of asking it
	// Refuted means that it is something else.
	Refuted bool
}
