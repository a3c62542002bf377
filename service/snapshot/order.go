package snapshot

import (
	"cmp"
	"fmt"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
)

// An order is the rank of a toolset among those of its type. It never changes.
type order struct {
	// marks and down come first: they are what people and health checks say. The rest
	// depends on the Service alone, and changes only with it.
	marks byte // '0' pinned, '1' by annotation, '2' not marked, '3' disabled
	// Whether the back end proved to be what it seems belongs here, before down.
	down bool
	rest string // role, age, namespace and name, in this order; sorts as text
}

func orderOf(b *service.Backend, name string, h *service.Health) order {
	o := order{marks: '2', down: down(h)}
	switch {
	case !b.Enabled:
		o.marks = '3'
	case b.Pinned:
		o.marks = '0'
	case b.Primary:
		o.marks = '1'
	}
	age := "~" // unknown: last
	if !b.Created.IsZero() {
		age = fmt.Sprintf("%019d", max(0, b.Created.UnixNano()))
	}
	s := &b.Standing
	o.rest = fmt.Sprintf("%d%d%d%s %s\x00%s", s.Scope, s.Role, index01(s.Headless), age, b.Key.Namespace, name)
	return o
}

func (o *order) compare(p *order) int {
	return cmp.Or(cmp.Compare(o.marks, p.marks), cmp.Compare(index01(o.down), index01(p.down)), strings.Compare(o.rest, p.rest))
}

// lasting returns the order without health, as text. The generated documents are in this
// order after the primary, so that a back end that comes and goes does not change them.
func (o *order) lasting() string { return string(o.marks) + o.rest }

func (r *rendered) compare(o *rendered) int { return r.order.compare(&o.order) }

// isEnabled reports whether r is enabled: a lookup by type prefers such toolsets.
func (r *rendered) isEnabled() bool { return r.backend.Enabled }

// primaryReason says why first comes before second, which is nil if there is none.
func primaryReason(first, second *rendered) string {
	b := first.backend
	switch {
	case !first.isEnabled():
		return "none of this type is enabled"
	case second == nil:
		return "the only one of this type"
	case !second.isEnabled():
		return "the only one of this type that is enabled"
	case b.Pinned && !second.backend.Pinned:
		return "the administrator's overrides make it the primary"
	case first.order.marks == '1' && second.order.marks != '1':
		return "an annotation of its Service makes it the primary"
	}
	other := second.key().String()
	s, o := &b.Standing, &second.backend.Standing
	switch {
	case first.order.down != second.order.down:
		return other + " has failed all of its last health checks"
	case s.Scope != o.Scope:
		return scopeReason(s, o, other)
	case s.Role != o.Role && o.Role == service.RoleFrontEnd:
		return "it is the gateway of its system, and " + other + " answers queries only"
	case s.Role != o.Role && s.Role <= service.RoleFrontEnd:
		return "it is the entry point of its system, and " + other + " is none"
	case s.Role != o.Role:
		return other + " is one part of several"
	case s.Headless != o.Headless:
		return "it has an address of its own, and " + other + " stands for pods"
	case !b.Created.Equal(second.backend.Created) && !b.Created.IsZero():
		return "older than " + other + "; nothing else tells them apart"
	}
	return "before " + other + " by namespace and name; nothing else tells them apart"
}

func scopeReason(s, o *service.Standing, other string) string {
	switch {
	case o.Scope == service.ScopeBundled && o.ScopeOf != "":
		return fmt.Sprintf("%q in the namespace or labels of %s says that it belongs to something of its own", o.ScopeOf, other)
	case s.ScopeOf != "":
		return fmt.Sprintf("%q in its namespace or labels says that it is the cluster's, and nothing says so of %s", s.ScopeOf, other)
	}
	return "it is the cluster's, which nothing says of " + other
}

// down reports whether all remembered health checks of a back end have failed. One that
// comes and goes is not down, so that the primary does not change with it.
func down(h *service.Health) bool {
	if h.Healthy || h.CheckedAt.IsZero() {
		return false
	}
	for _, c := range h.History {
		if c.Healthy {
			return false
		}
	}
	return true
}
