package service

import "fmt"

// SetOverrides makes o the overrides in force, nil for none. They are applied to
// what is known and to what will be.
func (c *Catalogue) SetOverrides(o *Overrides) {
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

// UnmatchedOverrides names the overrides in force that are about no back end that is
// known, such as "toolsets[2] (monitoring/thanos)": often a name that was mistyped.
func (c *Catalogue) UnmatchedOverrides() []string {
	c.mu.Lock()
	found := make([]*Backend, 0, len(c.records))
	for _, r := range c.records {
		if r.found != nil {
			found = append(found, r.found)
		}
	}
	o := c.overrides
	c.mu.Unlock()
	return o.Unmatched(found)
}

// OverriddenAliases names the overrides in force that switch off a Service which is an
// alias in the current snapshot, and of which toolset: "toolsets[2]
// (monitoring/prometheus-operated) switches off an alias of monitoring/prometheus".
// They change nothing, as the toolset stays, with the name of another Service. (An
// override that says anything else makes its Service the toolset's.)
func (c *Catalogue) OverriddenAliases() []string {
	s := c.Snapshot()
	if s == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, r := range s.all {
		for _, alias := range r.aliases {
			known := c.records[alias]
			if known == nil || known.found == nil || c.overrides == nil {
				continue
			}
			for _, v := range c.overrides.about(known.found) {
				out = append(out, fmt.Sprintf("%s (%s) switches off an alias of %s", v.at(), alias, r.key()))
			}
		}
	}
	return out
}

// add makes the records that the overrides add those that there are. c.mu is
// held.
func (c *Catalogue) add() bool {
	added := map[Key]*Backend{}
	for _, b := range c.overrides.Added() {
		own := *b
		own.Key = addedKey(b)
		added[own.Key] = &own
	}
	changed := false
	for k, r := range c.records {
		if r.added && added[k] == nil {
			changed = c.remove(k) || changed
		}
	}
	for k, b := range added {
		changed = c.show(k, nil, b) || changed
	}
	return changed
}

// addedKey returns the key of a backend that the overrides add. It can't be that
// of a Service: none has a colon in its name.
func addedKey(b *Backend) Key { return Key{b.Key.Namespace, OverridesKey + ":" + b.Name} }
