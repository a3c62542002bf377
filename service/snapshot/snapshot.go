// Package snapshot has what lookups read: immutable pictures of the catalogue, rendered and
// compressed in advance. A lookup finds bytes by an index, or joins those of the members
// that a filter chooses. It renders nothing, takes no lock and allocates nothing.
//
// A [Builder] makes each [Snapshot] from the one before:
//
//	updates -> names and aliases -> renderings -> chunks of the lists, index, primaries
//
// The members of a list are kept in chunks (chunk.go), compressed in such a way that they
// can be joined (gzipjoin). A whole list is an [Answer]; with filters and pages it is a
// [Collection]. One toolset is a [Body]. What is different from the snapshot before are its
// [Change] values, for watchers.
package snapshot

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/service"
)

// A Snapshot is a rendered picture of the catalogue at one moment. It never changes; a
// newer one replaces it. All of its methods may be called concurrently, and take no lock.
type Snapshot struct {
	// BuiltAt is when the snapshot was built.
	BuiltAt time.Time
	// ConfigMapVersion is the resourceVersion of the ConfigMap that was last written; empty
	// if there is none.
	ConfigMapVersion string

	toolsets  *Collection
	services  *Collection
	document  *Answer
	discovery time.Time
	names     *table[named]
	types     *table[*typed]
	counts    map[string]int // type -> number of back ends

	instance   string
	changes    []Change // the last few, oldest first
	sequence   uint64   // of the last change
	superseded chan struct{}
}

// emptySnapshot is the predecessor of the first snapshot.
var emptySnapshot = func() *Snapshot {
	none := &Answer{list: &list{}}
	return &Snapshot{toolsets: &Collection{Answer: none}, services: &Collection{Answer: none}, document: none, names: &table[named]{}, types: &table[*typed]{}}
}()

// Toolsets returns the list of toolsets.
func (s *Snapshot) Toolsets() *Collection { return s.toolsets }

// Services returns the list of discovered Services.
func (s *Snapshot) Services() *Collection { return s.services }

// Document returns the document for Kubernaut, as it is in the ConfigMap.
func (s *Snapshot) Document() *Answer { return s.document }

// collect makes the collections of two lists, with the members that end their JSON objects.
func (s *Snapshot) collect(toolsets, services *list) {
	tail := marshal(struct {
		LastDiscovery    string `json:"lastDiscovery"`
		ConfigMapVersion string `json:"configMapVersion"`
	}{FormatTime(s.discovery), s.ConfigMapVersion})
	tail[0] = ',' // in place of the brace
	s.toolsets = newCollection("toolsets", toolsets, tail)
	s.services = newCollection("services", services, tail)
}

// WithConfigMapVersion returns a copy of s with another version of the ConfigMap. It shares
// all but the ends of the lists, and takes the place of s: superseding s supersedes the
// copy.
func (s *Snapshot) WithConfigMapVersion(v string) *Snapshot {
	same := *s
	same.ConfigMapVersion = v
	same.collect(s.toolsets.list, s.services.list)
	return &same
}

// all yields every toolset with its index, in the order of namespace and name.
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

// Aliases yields the key of every alias's Service, with the key of its toolset.
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

// Portion divides the toolsets into parts, at most as many as most, such that no two parts
// share a chunk of the list. It returns the Services, aliases included, of the part after
// the toolset with the key after, or of the first part if there is none; the last toolset
// in it; and the number of parts.
func (s *Snapshot) Portion(after service.Key, most int) (services []service.Key, last service.Key, parts int) {
	chunks := s.toolsets.list.chunks
	from, _ := slices.BinarySearchFunc(chunks, after, func(c *chunk, after service.Key) int {
		return cmp.Or(c.last().Compare(after), -1) // the chunk after it
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

// CountByType returns the number of back ends of each type that was ever seen, even if it
// is zero now, so that a gauge falls when a type goes away.
func (s *Snapshot) CountByType() map[string]int { return s.counts }

// Supersede closes the channel of Superseded. It is called once, when a newer snapshot is
// current.
func (s *Snapshot) Supersede() { close(s.superseded) }

// Superseded returns a channel that is closed when a newer snapshot is current.
func (s *Snapshot) Superseded() <-chan struct{} { return s.superseded }
