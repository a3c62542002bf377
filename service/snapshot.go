package service

import (
	"slices"
	"strconv"
	"time"

	"kubernaut.io/dynamic-toolset/internal/suggest"
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

	toolsets  *Collection
	services  *Collection
	document  *Answer
	discovery time.Time
	names     *table[named]
	types     *table[*typed]
	counts    map[string]int // type -> number of backends

	instance   string
	changes    []Change // the last few, oldest first
	sequence   uint64   // of the last change
	superseded chan struct{}
}

// emptySnapshot is before the first.
var emptySnapshot = func() *Snapshot {
	none := &Answer{list: &list{}}
	return &Snapshot{toolsets: &Collection{Answer: none}, services: &Collection{Answer: none}, document: none, names: &table[named]{}, types: &table[*typed]{}}
}()

// Toolsets returns the list of toolsets.
func (s *Snapshot) Toolsets() *Collection { return s.toolsets }

// Services returns the list of discovered Services.
func (s *Snapshot) Services() *Collection { return s.services }

// Document returns the generated document, what the ConfigMap holds.
func (s *Snapshot) Document() *Answer { return s.document }

// collect makes the collections of these lists, with what follows the members.
func (s *Snapshot) collect(toolsets, services *list) {
	tail := marshal(struct {
		LastDiscovery    string `json:"lastDiscovery"`
		ConfigMapVersion string `json:"configMapVersion"`
	}{FormatTime(s.discovery), s.ConfigMapVersion})
	tail[0] = ',' // in place of the brace
	s.toolsets = newCollection("toolsets", toolsets, tail)
	s.services = newCollection("services", services, tail)
}

// withVersion returns a copy of s that shows another version of the ConfigMap, in the same
// place in the sequence of snapshots. It shares all but the ends of the lists.
func (s *Snapshot) withVersion(v string) *Snapshot {
	same := *s
	same.ConfigMapVersion = v
	same.collect(s.toolsets.list, s.services.list)
	return &same
}

// all calls yield for every toolset, in the order of namespace and name, until
// it returns false.
func (s *Snapshot) all(yield func(int, *rendered) bool) {
	i := 0
	for _, c := range s.toolsets.list.chunks {
		for _, p := range c.parts {
			if !yield(i, p.of) {
				return
			}
			i++
		}
	}
}

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

// Lookup finds one toolset: by its name; if no toolset has that name, the primary of
// the type of that name, which is always one; and else by the name of a Service that
// is an alias of it. An empty namespace means any.
//
// Of several that have the name, which is also their type, the one is found that
// alone is marked as the primary. What an administrator has chosen for a type is
// found by it also if others are called so: whoever may create a Service could call
// one so. And what is disabled is found only if nothing that is enabled has the name
// or type. It allocates nothing.
func (s *Snapshot) Lookup(name, namespace []byte) (*Body, Match) {
	if len(name) == 0 {
		return nil, Unknown
	}
	n, t := s.names.find(namespace, name), s.types.find(namespace, name)
	typeOn := t != nil && (*t).primary.isEnabled()
	switch {
	case typeOn && (*t).isPinned():
		return &(*t).body, Found
	case n != nil && n.on.n > 0:
		if typeOn && n.found != nil {
			// Who asks for grafana may mean whatever Grafana there is: the answer says which
			// others there are.
			if b := (*t).bodyOf(n.found); b != nil {
				return b, Found
			}
		}
		return n.found.match()
	case typeOn:
		return &(*t).body, Found
	case n != nil && n.all.n > 0:
		return n.found.match()
	case t != nil:
		return &(*t).body, Found
	case n != nil:
		return n.alias.match()
	}
	return nil, Unknown
}

// Primary returns the primary of a type, in a namespace or, with an empty one, in all;
// ok is false if there is no toolset of it.
func (s *Snapshot) Primary(typ, namespace []byte) (primary Key, ok bool) {
	t := s.types.find(namespace, typ)
	if t == nil {
		return Key{}, false
	}
	return (*t).primary.key(), true
}

// typesCompared is how many types TypeLike looks at: clients can ask for it as often as they
// like, and annotations may give any number of types.
const typesCompared = 100

// TypeLike returns the type that looks most like name, if any does.
func (s *Snapshot) TypeLike(name string) string {
	types := make([]string, 0, min(len(s.counts), typesCompared))
	for t, n := range s.counts {
		if len(types) == typesCompared {
			break
		}
		if n > 0 {
			types = append(types, t)
		}
	}
	slices.Sort(types)
	return suggest.Of(name, types)
}

// match is the outcome of a lookup that found r, nil for several.
func (r *rendered) match() (*Body, Match) {
	if r == nil {
		return nil, Ambiguous
	}
	return &r.single, Found
}

// Candidates lists what made a lookup ambiguous, as keys of toolsets, but no
// more than limit.
func (s *Snapshot) Candidates(name, namespace []byte, limit int) []Key {
	n := s.names.find(namespace, name)
	if len(name) == 0 || n == nil {
		return nil
	}
	f := Filter{Namespace: namespace}
	if n.on.n > 0 {
		f.Enabled = Yes
	}
	var keys []Key
	for _, c := range s.toolsets.list.chunks {
		if f.judge(c) == admitsNone {
			continue
		}
		for i, p := range c.parts {
			is := p.key.Name == string(name)
			if n.all.n == 0 {
				is = slices.ContainsFunc(p.of.aliases, func(k Key) bool { return k.Name == string(name) })
			}
			if !is || !f.admits(c, i) {
				continue
			}
			if len(keys) == limit {
				return keys
			}
			keys = append(keys, p.key)
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

// tell makes s go on from old with the changes of its toolsets, which are in the
// order of namespace and name. before has what was there.
func (s *Snapshot) tell(old *Snapshot, toolsets []listChange, before map[Key]*part) {
	s.changes, s.sequence = old.changes, old.sequence
	var changes []Change
	for _, c := range toolsets {
		was, is := before[c.key], c.part
		switch {
		case is == nil:
			changes = append(changes, newChange("removed", was))
		case was == nil:
			changes = append(changes, newChange("added", is))
		case !is.of.sameToWatchers(was.of):
			changes = append(changes, newChange("updated", is))
		}
	}
	if len(changes) == 0 {
		return
	}
	s.sequence += uint64(len(changes))
	// The array is shared with older snapshots, which know of fewer of its
	// members, until it is full: then the last few move to a new one.
	if len(s.changes)+len(changes) > cap(s.changes) {
		kept := s.changes[max(0, min(len(s.changes), len(s.changes)+len(changes)-changesKept)):]
		s.changes = append(make([]Change, 0, max(2*changesKept, len(kept)+len(changes))), kept...)
	}
	s.changes = append(s.changes, changes...)
	s.changes = s.changes[max(0, len(s.changes)-changesKept):]
}

func newChange(kind string, p *part) Change {
	data := append([]byte(`{"change":"`+kind+`","toolset":`), p.json[1:]...)
	return Change{kind, append(data, '}')}
}

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
