package snapshot

import (
	"slices"
	"strconv"
)

// A namer keeps the names of the toolsets in one namespace unique.
//
// A toolset that an administrator added keeps its name, whatever others ask for. Next comes
// a Service that wants to be called by its own name. Of several that ask for one name by
// annotation, the first gets it, in the order of the Services' names. The others are called
// NAME-SERVICE, so that few are renamed when one of them goes away.
//
// Services that want their own name, which are nearly all, cost a namer nothing.
type namer struct {
	added     []*member // added by an administrator, in the order of their keys
	asking    []*member // asking for another name than their Service's, in the same order
	displaced []*member // Services whose name one of added has taken
}

// cares reports whether another name may change when m comes, goes, or asks for another
// name.
func (n *namer) cares(m *member) bool {
	return len(n.added) > 0 || len(n.asking) > 0 || m.Added || m.Backend.Name != m.key.Name
}

// enter and leave tell the namer about a member. Its backend must not change in between.
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

// assign calls rename for each member that needs another name. service returns the
// namespace's member for a Service.
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
