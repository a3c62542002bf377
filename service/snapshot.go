package service

import (
	"strconv"
	"time"
)

// A Snapshot is the state of the catalogue at one moment, rendered. It never
// changes; a newer one replaces it. All of its methods may be called from any
// number of goroutines and take no lock.
type Snapshot struct {
	// BuiltAt is when the snapshot was built.
	BuiltAt time.Time
	// ConfigMapVersion is the resourceVersion of the ConfigMap that was last
	// written; empty if there is none.
	ConfigMapVersion string

	toolsets *Collection
	services *Collection
	document Body
	all      []*rendered            // in the order of namespace and toolset name
	byName   map[string][]*rendered // toolset name -> those that have it
	byType   map[string][]*rendered
	counts   map[string]int // type -> number of backends

	documents  *documentCache
	instance   string
	changes    []Change // the last few, oldest first
	sequence   uint64   // of the last change
	superseded chan struct{}
}

// Toolsets returns the list of toolsets.
func (s *Snapshot) Toolsets() *Collection { return s.toolsets }

// Services returns the list of discovered Services.
func (s *Snapshot) Services() *Collection { return s.services }

// Document returns the generated document, what the ConfigMap holds.
func (s *Snapshot) Document() *Body { return &s.document }

// CountByType calls f for every type that was ever seen with the number of
// backends of it, zero included, so that a gauge falls when a kind goes away.
func (s *Snapshot) CountByType() map[string]int { return s.counts }

// Superseded returns a channel that is closed when a newer snapshot is there.
func (s *Snapshot) Superseded() <-chan struct{} { return s.superseded }

// A Match is the outcome of a lookup by name.
type Match int

// The outcomes.
const (
	Unknown   Match = iota // nothing of that name or type
	Found                  // exactly one
	Ambiguous              // several; the namespace must be said
)

// Lookup finds one toolset by its name or, if no toolset has that name, by its
// type. An empty namespace means any. Of several, the one is found that alone is
// marked as the primary of the type asked for, by an administrator or, if there
// is none, by annotation. It allocates nothing.
func (s *Snapshot) Lookup(name, namespace []byte) (*Body, Match) {
	if b, m := pick(s.byName[string(name)], name, namespace); m != Unknown {
		return b, m
	}
	return pick(s.byType[string(name)], name, namespace)
}

func pick(candidates []*rendered, name, namespace []byte) (*Body, Match) {
	var found, primary *rendered
	n, primaries := 0, 0
	for _, r := range candidates {
		if len(namespace) > 0 && r.toolset.namespace != string(namespace) {
			continue
		}
		n++
		found = r
		switch {
		case !r.primary || r.toolset.kind != string(name) || primary != nil && primary.pinned && !r.pinned:
		case primary == nil || r.pinned && !primary.pinned:
			primary, primaries = r, 1
		default:
			primaries++
		}
	}
	switch {
	case n == 0:
		return nil, Unknown
	case n == 1:
		return &found.single, Found
	case primaries == 1:
		return &primary.single, Found
	}
	return nil, Ambiguous
}

// Candidates lists what made a lookup ambiguous, as keys of toolsets.
func (s *Snapshot) Candidates(name, namespace []byte) []Key {
	candidates := s.byName[string(name)]
	if len(candidates) == 0 {
		candidates = s.byType[string(name)]
	}
	var keys []Key
	for _, r := range candidates {
		if len(namespace) == 0 || r.toolset.namespace == string(namespace) {
			keys = append(keys, Key{r.toolset.namespace, r.name})
		}
	}
	return keys
}

// A Change is one difference between two snapshots, as watchers are told.
type Change struct {
	// Kind is "added", "updated" or "removed".
	Kind string
	// Data is {"change":KIND,"toolset":{...}} on one line.
	Data []byte
}

// changesKept is how many changes a watcher may have missed and still resume.
const changesKept = 1024

// EventID returns the identifier of the state that s shows, for Last-Event-ID.
// It is meaningful to this process only.
func (s *Snapshot) EventID() string { return s.eventID(s.sequence) }

func (s *Snapshot) eventID(sequence uint64) string {
	return s.instance + "-" + strconv.FormatUint(sequence, 10)
}

// Sequence returns the number of the last change.
func (s *Snapshot) Sequence() uint64 { return s.sequence }

// ParseEventID returns the sequence number in id, if it is one of this
// process's.
func (s *Snapshot) ParseEventID(id string) (sequence uint64, ok bool) {
	n := len(s.instance) + 1
	if len(id) <= n || id[:n] != s.instance+"-" {
		return 0, false
	}
	sequence, err := strconv.ParseUint(id[n:], 10, 64)
	return sequence, err == nil && sequence <= s.sequence
}

// ChangesSince returns the changes after sequence, oldest first, and the event
// identifiers that go with them. ok is false when some of them are no longer
// kept: then only the whole state brings a watcher up to date.
func (s *Snapshot) ChangesSince(sequence uint64) (changes []Change, firstSequence uint64, ok bool) {
	missed := s.sequence - sequence
	if missed > uint64(len(s.changes)) {
		return nil, 0, false
	}
	return s.changes[uint64(len(s.changes))-missed:], sequence + 1, true
}

// ChangeID returns the event identifier of the change with that number.
func (s *Snapshot) ChangeID(sequence uint64) string { return s.eventID(sequence) }
