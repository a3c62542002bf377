package catalogue

import (
	"fmt"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/overrides"
)

// SetOverrides makes o the overrides in force; nil for none. They apply to the back ends
// that are known and to later ones.
func (c *Catalogue) SetOverrides(o *overrides.Set) {
	c.mu.Lock()
	c.overrides = o
	changed := false
	for k, r := range c.records {
		if r.found != nil && c.show(k, r.found, o.Apply(r.found)) {
			changed = true
		}
	}
	changed = c.add() || changed
	c.mu.Unlock()
	if changed {
		c.touch()
	}
}

// UnmatchedOverrides returns the overrides in force that match no known back end, such as
// "toolsets[2] (monitoring/thanos)". Often the name is mistyped.
func (c *Catalogue) UnmatchedOverrides() []string {
	c.mu.Lock()
	found := make([]*service.Backend, 0, len(c.records))
	for _, r := range c.records {
		if r.found != nil {
			found = append(found, r.found)
		}
	}
	o := c.overrides
	c.mu.Unlock()
	return o.Unmatched(found)
}

// OverriddenAliases returns the overrides in force that switch off a Service which is an
// alias in the current snapshot, such as "toolsets[2] (monitoring/prometheus-operated)
// switches off an alias of monitoring/prometheus". They change nothing, as the toolset has
// the name of another Service. (With any other override a Service is Declared, and no
// alias.)
func (c *Catalogue) OverriddenAliases() []string {
	s := c.Snapshot()
	if s == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for alias, toolset := range s.Aliases() {
		if known := c.records[alias]; known != nil && known.found != nil {
			for _, at := range c.overrides.About(known.found) {
				out = append(out, fmt.Sprintf("%s (%s) switches off an alias of %s", at, alias, toolset))
			}
		}
	}
	return out
}

// add adds the back ends that the overrides add, and removes those that they added before
// and no longer do. It reports whether anything is different. c.mu is held.
func (c *Catalogue) add() bool {
	added := map[service.Key]*service.Backend{}
	for _, b := range c.overrides.Added() {
		own := *b
		own.Key = addedKey(b)
		added[own.Key] = &own
	}
	changed := false
	for k, r := range c.records {
		if r.Added && added[k] == nil {
			changed = c.remove(k) || changed
		}
	}
	for k, b := range added {
		changed = c.show(k, nil, b) || changed
	}
	return changed
}

// addedKey returns the key of a back end that the overrides add. It can't be that of a
// Service, as it has a colon in its name.
func addedKey(b *service.Backend) service.Key {
	return service.Key{Namespace: b.Key.Namespace, Name: overrides.Key + ":" + b.Name}
}
