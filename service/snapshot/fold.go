package snapshot

import (
	"maps"
	"slices"

	"kubernaut.io/dynamic-toolset/service/aliases"
)

// A groupKey names a group.
type groupKey struct{ namespace, kind string }

// A group is the members of one namespace and type. Only they can be aliases of each other.
type group map[*aliases.Entry]*member

// group adds m to its group, and ungroup removes it.
func (a *Builder) group(m *member, d *delta) {
	m.entry = aliases.New(m.Backend)
	if m.entry == nil {
		return
	}
	key := groupKey{m.key.Namespace, m.Backend.Type}
	if a.groups[key] == nil {
		a.groups[key] = group{}
	}
	a.groups[key][m.entry] = m
	d.groups[key] = true
}

func (a *Builder) ungroup(m *member, d *delta) {
	if m.entry == nil {
		return
	}
	key := groupKey{m.key.Namespace, m.entry.Type}
	delete(a.groups[key], m.entry)
	m.entry, m.of, m.aliases = nil, nil, nil
	d.groups[key] = true
}

// fold determines which members of a group are aliases of which.
func (a *Builder) fold(key groupKey, d *delta) {
	g := a.groups[key]
	if len(g) == 0 {
		delete(a.groups, key)
		return
	}
	for _, toolset := range aliases.Find(slices.Collect(maps.Keys(g))) {
		first := g[toolset[0]]
		var others []*member
		for _, alias := range toolset[1:] {
			others = append(others, g[alias])
			g[alias].setAliases(first, nil, d)
		}
		first.setAliases(nil, others, d)
	}
}

func (m *member) setAliases(of *member, aliases []*member, d *delta) {
	if m.of != of || !slices.Equal(m.aliases, aliases) {
		m.of, m.aliases = of, aliases
		d.touch(m)
	}
}
