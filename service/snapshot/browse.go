package snapshot

import (
	"iter"
	"time"

	"kubernaut.io/dynamic-toolset/service"
)

// An Item is one toolset of a snapshot, for those that go through all of them, such as the
// page. Its methods render nothing.
type Item struct{ of *rendered }

// Items yields all toolsets, in the order of namespace and name.
func (s *Snapshot) Items() iter.Seq[Item] {
	return func(yield func(Item) bool) {
		for _, r := range s.all {
			if !yield(Item{r}) {
				return
			}
		}
	}
}

// Key returns the key of the toolset.
func (i Item) Key() service.Key { return i.of.key() }

// Backend returns the back end, which must not be changed.
func (i Item) Backend() *service.Backend { return i.of.backend }

// Healthy reports whether the last health check succeeded.
func (i Item) Healthy() bool { return i.of.healthy }

// Checked reports whether there was a health check.
func (i Item) Checked() bool { return i.of.checked }

// Identity returns what the back end has said itself; without a Verdict if back ends are not
// asked.
func (i Item) Identity() service.Identity {
	if i.of.identity == nil {
		return service.Identity{}
	}
	return *i.of.identity
}

// Added reports whether overrides added the toolset, so that there is no such Service.
func (i Item) Added() bool { return i.of.service == nil }

// Aliases returns the other Services of the same back end. The slice must not be changed.
func (i Item) Aliases() []service.Key { return i.of.aliases }

// Document returns the answer to a lookup of the toolset by its name, which must not be
// changed.
func (i Item) Document() *Body { return &i.of.single }

// PrimaryReason says why the primary of a type, in all namespaces, is that; empty if there
// is no toolset of the type. [Snapshot.Primary] says which it is.
func (s *Snapshot) PrimaryReason(typ string) string {
	t := s.types.find(nil, []byte(typ))
	if t == nil {
		return ""
	}
	return (*t).reason()
}

// DiscoveredAt returns when the cluster was last read, or a Service in it last changed.
func (s *Snapshot) DiscoveredAt() time.Time { return s.discovery }
