package snapshot

import (
	"slices"
	"strconv"
)

// A namer keeps the names of one namespace's toolsets right and unique.
//
// What an administrator adds keeps its name whatever others ask for, then a
// Service that is called what it wants to be called. Of several that ask for one
// name by annotation the first gets it, in the order of the Services' names.
// Those that come too late are called NAME-SERVICE, so that one of them going
// away renames as few as possible.
//
// Services that are called what they want to be called, which nearly all are,
// cost a namer nothing.
type namer struct {
	added     []*member // by an administrator, in the order of their keys
	asking    []*member // for another name than the Service's, likewise
	displaced []*member // Services whose name one of added has
}

// cares reports whether a member coming, going or asking for another name may
// change any other's.
func (n *namer) cares(m *member) bool {
	return len(n.added) > 0 || len(n.asking) > 0 || m.Added || m.Backend.Name != m.key.Name
}

// enter and leave tell the namer of a member, as long as its backend is what it
// was when it entered.
func (n *namer) enter(m *member) {
	if l := n.place(m); l != nil {
		at, _ := slices.BinarySearchFunc(*l, m, compareMembers)
		*l = slices.Insert(*l, at, m)
	}
}

func (n *namer) leave(m *member) {
	if l := n.place(m); l != nil {
		if at, found := slices.BinarySearchFunc(*l, m, compareMembers); found {
			*l = slices.Delete(*l, at, at+1)
		}
	}
}

func (n *namer) place(m *member) *[]*member {
	switch {
	case m.Added:
		return &n.added
	case m.Backend.Name != m.key.Name:
		return &n.asking
	}
	return nil
}

func compareMembers(a, b *member) int { return a.key.Compare(b.key) }

func (n *namer) empty() bool { return len(n.added) == 0 && len(n.asking) == 0 && len(n.displaced) == 0 }

// assign calls rename for each member whose name is not what it should be.
// service finds the namespace's member of a Service name.
func (n *namer) assign(service func(name string) *member, rename func(*member, string)) {
	taken := map[string]bool{}
	give := func(m *member, name string) {
		taken[name] = true
		if m.name != name {
			rename(m, name)
		}
	}
	free := func(name string) bool {
		if taken[name] {
			return false
		}
		m := service(name)
		return m == nil || m.Backend.Name != name
	}
	var late []*member
	before := n.displaced
	n.displaced = nil
	for _, m := range n.added {
		if taken[m.Backend.Name] {
			late = append(late, m)
			continue
		}
		give(m, m.Backend.Name)
		if s := service(m.Backend.Name); s != nil && s.Backend.Name == s.key.Name {
			n.displaced = append(n.displaced, s)
		}
	}
	for _, m := range before {
		if !m.gone && !m.Added && m.Backend.Name == m.key.Name && !slices.Contains(n.displaced, m) {
			give(m, m.Backend.Name)
		}
	}
	late = append(late, n.asking...)
	late = append(late, n.displaced...)
	slices.SortFunc(late, compareMembers)
	for _, m := range late {
		name := m.Backend.Name
		if !free(name) {
			name = m.Backend.Name + "-" + m.key.Name
		}
		for i := 2; !free(name); i++ {
			name = m.Backend.Name + "-" + m.key.Name + "-" + strconv.Itoa(i)
		}
		give(m, name)
	}
}
