package service

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Pods says which pods a Service sends requests to, and at which port: Services of
// one namespace and type that send to the same pods and port are one back end.
type Pods struct {
	// Selector is the Service's selector; it is not empty.
	Selector map[string]string
	// Port is the number of the port that answers, at the pods; 0 if only its
	// name, PortName, is known.
	Port     int32
	PortName string
	// ServicePort is the Service's number of that port.
	ServicePort int32
	// Headless means that the Service has no address of its own.
	Headless bool
	// Operated means that an operator made the Service for its own use, as
	// prometheus-operated is made beside what a user asks for.
	Operated bool
	// Exposure is from where the Service can be reached.
	Exposure Exposure
}

// An Exposure orders the types of Services: of several, the plain one is the one
// that was made for clients inside the cluster.
type Exposure uint8

// The exposures.
const (
	ExposedInside Exposure = iota // ClusterIP
	ExposedOnNodes
	ExposedByLoadBalancer
)

func (p *Pods) equal(o *Pods) bool {
	if p == nil || o == nil {
		return p == o
	}
	return p.Port == o.Port && p.PortName == o.PortName && p.ServicePort == o.ServicePort &&
		p.Headless == o.Headless && p.Operated == o.Operated && p.Exposure == o.Exposure && maps.Equal(p.Selector, o.Selector)
}

// A podsKey is what Services of one back end have in common.
type podsKey struct{ namespace, kind string }

// A podsGroup is the members of one namespace and type, among which those of one
// back end are looked for.
type podsGroup map[*member]struct{}

func (m *member) podsKey() (podsKey, bool) {
	b := m.backend
	return podsKey{b.Key.Namespace, b.Type}, b.Pods != nil && len(b.Pods.Selector) > 0
}

// sameForFolding reports whether two states of a backend lead to the same aliases.
func sameForFolding(a, b *Backend) bool {
	return a == b || a.Type == b.Type && a.Declared == b.Declared && a.Pinned == b.Pinned && a.Primary == b.Primary &&
		a.Created.Equal(b.Created) && a.Pods.equal(b.Pods)
}

// group puts m among those of its kind, and ungroup takes it away.
func (a *assembly) group(m *member, d *delta) {
	key, ok := m.podsKey()
	if !ok {
		return
	}
	g := a.groups[key]
	if g == nil {
		g = podsGroup{}
		a.groups[key] = g
	}
	g[m] = struct{}{}
	m.selector = selectorOf(m.backend.Pods)
	d.groups[key] = true
}

func (a *assembly) ungroup(m *member, d *delta) {
	key, ok := m.podsKey()
	if !ok {
		return
	}
	delete(a.groups[key], m)
	m.selector, m.of, m.aliases = nil, nil, nil
	d.groups[key] = true
}

// fold finds anew which members of a group are aliases of which.
func (a *assembly) fold(key podsKey, d *delta) {
	g := a.groups[key]
	if len(g) == 0 {
		delete(a.groups, key)
		return
	}
	members := make([]*member, 0, len(g))
	for m := range g {
		members = append(members, m)
	}
	slices.SortFunc(members, compareMembers)
	for _, same := range samePods(members) {
		slices.SortFunc(same, compareForClients)
		// What somebody has said something about is never folded away.
		declared := 1
		for declared < len(same) && same[declared].backend.Declared {
			declared++
		}
		aliases := slices.Clone(same[declared:])
		slices.SortFunc(aliases, compareMembers)
		same[0].setAliases(nil, aliases, d)
		for _, m := range same[1:declared] {
			m.setAliases(nil, nil, d)
		}
		for _, m := range aliases {
			m.setAliases(same[0], nil, d)
		}
	}
}

func (m *member) setAliases(of *member, aliases []*member, d *delta) {
	if m.of != of || !slices.Equal(m.aliases, aliases) {
		m.of, m.aliases = of, aliases
		d.touch(m)
	}
}

// compareForClients orders the Services of one back end: the first is the one that
// clients should use.
func compareForClients(a, b *member) int {
	x, y := a.backend, b.backend
	first := func(a, b bool) int { return index01(b) - index01(a) }
	return cmp.Or(
		first(x.Declared, y.Declared),
		first(x.Pinned, y.Pinned),
		first(x.Primary, y.Primary),
		-first(a.selector.pod != "", b.selector.pod != ""), // one pod of them
		-first(x.Pods.Headless, y.Pods.Headless),
		-first(x.Pods.Operated, y.Pods.Operated),
		cmp.Compare(len(a.selector.labels), len(b.selector.labels)), // the one for all comes before one for some
		cmp.Compare(x.Pods.Exposure, y.Pods.Exposure),
		compareAge(x.Created, y.Created),
		compareMembers(a, b),
	)
}

// compareAge puts the oldest first, and what has no known age last.
func compareAge(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		return index01(a.IsZero()) - index01(b.IsZero())
	}
	return a.Compare(b)
}
