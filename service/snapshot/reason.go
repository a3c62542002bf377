package snapshot

import (
	"fmt"

	"kubernaut.io/dynamic-toolset/service"
)

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
	case first.order.mark == markPrimary && second.order.mark != markPrimary:
		return "an annotation of its Service makes it the primary"
	}
	other := second.key().String()
	s, o := &b.Standing, &second.backend.Standing
	switch {
	case first.order.down != second.order.down:
		return other + " has failed all of its last health checks"
	case first.order.unproved != second.order.unproved:
		return "it has said itself what it is, and " + other + " has not"
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
