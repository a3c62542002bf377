package snapshot

import (
	"cmp"
	"fmt"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
)

// An order is the rank of a toolset among those of its type. It never changes.
type order struct {
	// mark, down and unproved come first: they are what people, health checks and the back
	// end itself say. The rest
	// depends on the Service alone, and changes only with it.
	mark byte
	down bool
	// unproved is false for what has said itself that it is of its type.
	unproved bool
	rest     string // scope, role, headless, age, namespace and name, in this order; sorts as text
}

// What people say of a toolset, from the first to the last.
const (
	markPinned   = '0' // an administrator's overrides make it the primary
	markPrimary  = '1' // an annotation does
	markNone     = '2'
	markDisabled = '3'
)

func orderOf(b *service.Backend, name string, h *service.Health, id *service.Identity) order {
	o := order{mark: markNone, unproved: unproved(id), down: down(h)}
	switch {
	case !b.Enabled:
		o.mark = markDisabled
	case b.Pinned:
		o.mark = markPinned
	case b.Primary:
		o.mark = markPrimary
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
	return cmp.Or(cmp.Compare(o.mark, p.mark), cmp.Compare(index01(o.down), index01(p.down)), cmp.Compare(index01(o.unproved), index01(p.unproved)), strings.Compare(o.rest, p.rest))
}

// unproved reports whether a back end has not said that it is of its type. One that wants
// credentials before it says anything is not worse for that.
func unproved(id *service.Identity) bool {
	wantsCredentials := id.Access.Auth != "" && id.Access.Auth != service.AuthNone
	return id.Verdict != service.Verified && !wantsCredentials
}

// is reports whether people, health checks and answers say the same of o and p.
func (o *order) is(p *order) bool {
	return o.mark == p.mark && o.down == p.down && o.unproved == p.unproved
}

// lasting returns the order without health and answers, as text. The generated documents are in this
// order after the primary, so that a back end that comes and goes does not change them.
func (o *order) lasting() string { return string(o.mark) + o.rest }

func (r *rendered) compare(o *rendered) int { return r.order.compare(&o.order) }

// isEnabled reports whether r is enabled: a lookup by type prefers such toolsets.
func (r *rendered) isEnabled() bool { return r.backend.Enabled }

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
