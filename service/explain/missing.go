package explain

import (
	"slices"
	"strconv"
	"strings"

	"kubernaut.io/dynamic-toolset/internal/suggest"
	"kubernaut.io/dynamic-toolset/service"
)

// Missing is the error for a Service that does not exist.
type Missing struct {
	Key  service.Key
	Near []service.Key // Services that may be meant, the most likely first
	// Empty means that there is no Service at all in the namespace, as far as is known.
	Empty bool
}

// maxNear is the number of Services that are suggested.
const maxNear = 5

// NewMissing returns a Missing that suggests from others: the same name in another
// namespace, and similar names in the same one.
func NewMissing(key service.Key, others []service.Key) *Missing {
	m := &Missing{Key: key, Empty: true}
	var here []string
	for _, o := range others {
		switch {
		case o.Namespace == key.Namespace:
			m.Empty = false
			here = append(here, o.Name)
		case o.Name == key.Name:
			m.Near = append(m.Near, o)
		}
	}
	slices.SortFunc(m.Near, service.Key.Compare)
	slices.Sort(here)
	var names []string
	if near := suggest.Of(key.Name, here); near != "" {
		names = append(names, near)
	}
	for _, n := range here {
		if strings.Contains(n, key.Name) || strings.Contains(key.Name, n) {
			names = append(names, n)
		}
	}
	for _, n := range names {
		if k := (service.Key{Namespace: key.Namespace, Name: n}); !slices.Contains(m.Near, k) {
			m.Near = append(m.Near, k)
		}
	}
	m.Near = m.Near[:min(len(m.Near), maxNear)]
	return m
}

// Error implements error.
func (m *Missing) Error() string { return "there is no Service " + m.Which() }

// Which returns the end of a sentence that begins with "There is no Service", without a
// full stop.
func (m *Missing) Which() string {
	name, namespace := quoted(m.Key.Name), quoted(m.Key.Namespace)
	s := name + " in the namespace " + namespace
	if m.Empty {
		s = name + ", and none at all in the namespace " + namespace
	}
	if len(m.Near) == 0 {
		return s
	}
	near := make([]string, len(m.Near))
	for i, k := range m.Near {
		near[i] = k.String()
	}
	return s + "; did you mean " + strings.Join(near, " or ") + "?"
}

// quoted quotes a name, which may be anything, and cuts one that is longer than a name can
// be.
func quoted(name string) string {
	if len(name) > 64 {
		return strconv.Quote(name[:64]) + "..."
	}
	return strconv.Quote(name)
}
