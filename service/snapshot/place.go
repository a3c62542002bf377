package snapshot

import (
	"encoding/json"
	"slices"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/aliases"
)

// A Place says where a Service is among the toolsets, and why there.
type Place struct {
	// Toolset is that of the Service, or the one that it is an alias of.
	Toolset service.Key
	// Alias means that the Service is an alias. WhyAlias says why it is not the toolset.
	Alias    bool
	WhyAlias string
	// Aliases are the other Services of the toolset.
	Aliases []service.Key
	// Primary is the primary of the type, which may be Toolset. WhyPrimary says why it is,
	// or why it comes before Toolset.
	Primary    service.Key
	WhyPrimary string
}

// Place returns where a Service is. It takes time in proportion to the number of toolsets
// for an alias, and so is not for lookups.
func (s *Snapshot) Place(svc service.Key) (p Place, ok bool) {
	r := s.services.list.find(svc)
	if r == nil {
		return Place{}, false
	}
	if alias := r; r.toolset == nil {
		for _, t := range s.all {
			if slices.Contains(t.aliases, svc) {
				r, p.Alias, p.WhyAlias = t, true, aliases.Why(t.backend, alias.backend)
				break
			}
		}
		if r.toolset == nil {
			return Place{}, false
		}
	}
	p.Toolset, p.Aliases = r.key(), r.aliases
	if t := s.types.find(nil, []byte(r.backend.Type)); t != nil {
		first := (*t).primary
		p.Primary = first.key()
		if p.Primary == p.Toolset {
			p.WhyPrimary = (*t).reason()
		} else {
			p.WhyPrimary = primaryReason(first, r, false)
		}
	}
	return p, true
}

// reason returns why the primary is the one.
func (t *typed) reason() string {
	var tail typedTail
	if err := json.Unmarshal(t.tail, &tail); err != nil { // it is what tailOf has made
		return ""
	}
	return tail.PrimaryReason
}

// find returns the rendering of the member at a key; nil if there is none.
func (l *list) find(key service.Key) *rendered {
	i, _ := slices.BinarySearchFunc(l.chunks, key, func(c *chunk, key service.Key) int { return c.last().Compare(key) })
	if i == len(l.chunks) {
		return nil
	}
	parts := l.chunks[i].parts
	j, found := slices.BinarySearchFunc(parts, key, func(p *part, key service.Key) int { return p.key.Compare(key) })
	if !found {
		return nil
	}
	return parts[j].of
}
