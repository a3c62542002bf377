// Package snapshot is what lookups read: an immutable picture of the catalogue, rendered and
// compressed before anybody asks. A lookup finds bytes by an index, or joins those of the
// members that a filter chooses; it renders nothing, takes no lock, and allocates nothing.
//
// A [Builder] makes each [Snapshot] from the one before:
//
//	updates -> names and aliases -> renderings -> chunks of the lists, index, primaries
//
// Lists are kept in chunks of members (chunk.go), compressed so that they can be joined
// (gzipjoin). Each list is an [Answer], and with filters and pages a [Collection]. What
// differs between two snapshots is a [Change], for watchers.
package snapshot

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/internal/suggest"
	"kubernaut.io/dynamic-toolset/service"
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

// WithConfigMapVersion returns a copy of s that shows another version of the ConfigMap, in
// the same place in the sequence of snapshots. It shares all but the ends of the lists.
func (s *Snapshot) WithConfigMapVersion(v string) *Snapshot {
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

// Aliases yields every alias, as the key of its Service, with the key of its toolset.
func (s *Snapshot) Aliases() iter.Seq2[service.Key, service.Key] {
	return func(yield func(alias, toolset service.Key) bool) {
		for _, r := range s.all {
			for _, alias := range r.aliases {
				if !yield(alias, r.key()) {
					return
				}
			}
		}
	}
}

// Portion divides the toolsets into at most that many parts, in which a change of all
// renders no chunk of the list that another part has. It returns the Services of the
// part behind a toolset, or of the first, aliases included; the last toolset of it; and how
// many parts there are.
func (s *Snapshot) Portion(behind service.Key, most int) (services []service.Key, last service.Key, parts int) {
	chunks := s.toolsets.list.chunks
	from, _ := slices.BinarySearchFunc(chunks, behind, func(c *chunk, behind service.Key) int {
		return cmp.Or(c.last().Compare(behind), -1) // the chunk after it
	})
	if from == len(chunks) {
		from = 0
	}
	parts = min(max(len(chunks), 1), most)
	for _, c := range chunks[from:min(len(chunks), from+(len(chunks)+parts-1)/parts)] {
		for _, p := range c.parts {
			services = append(append(services, p.of.backend.Key), p.of.aliases...)
		}
		last = c.last()
	}
	return services, last, parts
}

// CountByType returns the number of backends of every type that was ever seen, zero
// included, so that a gauge falls when a kind goes away.
func (s *Snapshot) CountByType() map[string]int { return s.counts }

// Supersede tells those who wait that a newer snapshot is there. It is called once.
func (s *Snapshot) Supersede() { close(s.superseded) }

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
func (s *Snapshot) Primary(typ, namespace []byte) (primary service.Key, ok bool) {
	t := s.types.find(namespace, typ)
	if t == nil {
		return service.Key{}, false
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
func (s *Snapshot) Candidates(name, namespace []byte, limit int) []service.Key {
	n := s.names.find(namespace, name)
	if len(name) == 0 || n == nil {
		return nil
	}
	f := Filter{Namespace: namespace}
	if n.on.n > 0 {
		f.Enabled = Yes
	}
	var keys []service.Key
	for _, c := range s.toolsets.list.chunks {
		if f.judge(c) == admitsNone {
			continue
		}
		for i, p := range c.parts {
			is := p.key.Name == string(name)
			if n.all.n == 0 {
				is = slices.ContainsFunc(p.of.aliases, func(k service.Key) bool { return k.Name == string(name) })
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
