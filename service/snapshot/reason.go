package snapshot

import (
	"fmt"
	"slices"

	"kubernaut.io/dynamic-toolset/service"
)

// primaryReason says why first comes before second, which is nil if there is none; within
// means that only those of one namespace are compared.
func primaryReason(first, second *rendered, within bool) string {
	where := ""
	if within {
		where = " in its namespace"
	}
	switch {
	case !first.isEnabled():
		return "none of this type" + where + " is enabled"
	case second == nil:
		return "the only one of this type" + where
	case !second.isEnabled():
		return "the only one of this type" + where + " that is enabled"
	}
	if reason := betterReason(first, second); reason != "" {
		return reason
	}
	b, other := first.backend, second.key().String()
	s, o := &b.Standing, &second.backend.Standing
	switch {
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

// betterReason says why first comes before second, which may be of another type, by what
// people, health checks and answers say, and by for whom each is there; empty if they are
// equal in all of that.
func betterReason(first, second *rendered) string {
	other := second.key().String()
	s, o := &first.backend.Standing, &second.backend.Standing
	switch {
	case first.order.mark == markPinned && second.order.mark != markPinned:
		return "the administrator's overrides make it the primary"
	case first.order.mark == markPrimary && second.order.mark != markPrimary:
		return "an annotation of its Service makes it the primary"
	case first.order.down != second.order.down:
		return DownReason(second.key())
	case first.order.unproved != second.order.unproved:
		return "it has said itself what it is, and " + other + " has not"
	case s.Scope != o.Scope:
		return scopeReason(s, o, other)
	}
	return ""
}

// DownReason says that others come before a back end since its health checks fail.
func DownReason(key service.Key) string {
	return key.String() + " has failed all of its last health checks"
}

// FirstReason says why the first of all, which Primaries has returned for types, comes
// before those of the other types; empty if there are none.
func FirstReason(all []Chosen, types []string) string {
	if len(all) < 2 {
		return ""
	}
	first, second := all[0].of, all[1].of
	// If one of a type that is preferred was passed over, that says more than what comes next.
	for _, c := range all[1:] {
		if slices.Index(types, c.of.backend.Type) < slices.Index(types, first.backend.Type) {
			second = c.of
			break
		}
	}
	if reason := betterReason(first, second); reason != "" {
		return reason
	}
	return fmt.Sprintf("%s comes before %s (%s), since nothing else decides", first.backend.Type, second.backend.Type, second.key())
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
