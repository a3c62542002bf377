package catalogue

import "kubernaut.io/dynamic-toolset/service"

// Asking is how a catalogue learns what back ends say themselves.
type Asking struct {
	// Identifier asks; its reports go to SetIdentity. With nil nobody is asked.
	Identifier service.Identifier
	// Question returns what to ask a back end; no URLs if nothing.
	Question func(*service.Backend) service.Question
	// Correct returns a back end as an identity has shown it to be; the same if nothing is
	// different.
	Correct func(*service.Backend, *service.Identity) *service.Backend
	// Changed is called when the verdict, the product or the version of a back end has
	// changed. It must not call the catalogue. It may be nil.
	Changed func(b *service.Backend, before, now *service.Identity)
}

// Ask makes the catalogue ask back ends who they are. It must be called before the first
// Service is known.
func (c *Catalogue) Ask(a Asking) { c.asking = a }

// Asks reports whether the health of back ends is checked, and whether they are asked who
// they are.
func (c *Catalogue) Asks() (health, identity bool) {
	return c.prober != nil, c.asking.Identifier != nil
}

// A candidate is a Service that is listed only while it says that it is a back end.
type candidate struct {
	*service.Candidate
	identity service.Identity
}

// consider makes a Service a candidate, which is listed if it has said that it is a back
// end. It reports whether that changes what is shown. c.mu is held.
func (c *Catalogue) consider(key service.Key, found *service.Candidate) bool {
	if c.asking.Identifier == nil {
		return c.unlist(key)
	}
	old := c.candidates[key]
	now := &candidate{Candidate: found}
	if old != nil && old.Question.Equal(found.Question) {
		now.identity = old.identity
	} else if r := c.records[key]; r != nil {
		r.question = service.Question{} // that of the candidate takes its place
	}
	c.candidates[key] = now
	c.asking.Identifier.Set(key, found.Question)
	return c.adopt(key, now)
}

// adopt lists a candidate if its identity shows that it is a back end.
func (c *Catalogue) adopt(key service.Key, cand *candidate) bool {
	b := cand.Adopt(&cand.identity)
	if b == nil {
		return c.unlist(key)
	}
	return c.show(key, b, c.overrides.Apply(b))
}

// question asks what r's back end should be asked, and reports whether what it has answered
// counts no longer. c.mu is held.
func (c *Catalogue) question(key service.Key, r *record) (changed bool) {
	if c.asking.Identifier == nil {
		return false
	}
	if cand := c.candidates[key]; cand != nil {
		changed = !r.Identity.Equal(&cand.identity)
		r.Identity = cand.identity
		return changed
	}
	q := c.asking.Question(r.applied)
	if r.Identity.Verdict != "" && r.question.Equal(q) {
		return false
	}
	had := len(r.question.URLs) > 0
	r.question, r.Identity = q, service.Identity{Verdict: service.Unverified}
	if len(q.URLs) > 0 {
		c.asking.Identifier.Set(key, q)
		return true
	}
	r.Identity.NotAsked = true
	r.Identity.Evidence = []string{"not asked: no rule says how " + r.applied.Type + " proves what it is"}
	if had {
		c.asking.Identifier.Remove(key)
	}
	return true
}

// correct returns r's back end as it has shown itself to be.
func (c *Catalogue) correct(r *record) *service.Backend {
	if c.asking.Identifier == nil {
		return r.applied
	}
	return c.asking.Correct(r.applied, &r.Identity)
}

// SetIdentity records what a back end or a candidate has said itself.
func (c *Catalogue) SetIdentity(key service.Key, id service.Identity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cand, r := c.candidates[key], c.records[key]
	before := service.Identity{Verdict: service.Unverified}
	switch {
	case cand != nil:
		before, cand.identity = cand.identity, id
		if !c.adopt(key, cand) && r == nil {
			return
		}
		r = c.records[key]
	case r == nil:
		return
	default:
		before, r.Identity = r.Identity, id
		if shown := c.correct(r); !shown.Equal(r.Backend) {
			c.reshow(key, r, shown)
		}
	}
	// Where thousands can't be asked, there is always one that has just failed for the first
	// time, or in another way than the last time, such as by a slow name server.
	urgent := !before.SameFinding(&id)
	if r != nil {
		if _, waits := c.dirty[key]; urgent {
			c.dirty[key] = struct{}{}
			delete(c.minor, key)
		} else if !waits {
			c.minor[key] = true // only its time or its evidence is another
		}
		if c.asking.Changed != nil && (before.Verdict != id.Verdict || before.Product != id.Product || before.Version != id.Version) {
			c.asking.Changed(r.Backend, &before, &id)
		}
	}
	if urgent {
		c.touch()
	}
}

// reshow makes b the back end that is shown for key. c.mu is held.
func (c *Catalogue) reshow(key service.Key, r *record, b *service.Backend) {
	if !r.Backend.Probe.Equal(b.Probe) {
		r.Health = service.Health{}
	}
	r.Backend = b
	c.dirty[key] = struct{}{}
	delete(c.minor, key)
	if c.prober != nil {
		c.prober.Set(key, b.Probe)
	}
}

// Identities returns how many toolsets and candidates have each verdict, by type.
func (c *Catalogue) Identities() map[string]map[service.Verdict]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := map[string]map[service.Verdict]int{}
	add := func(typ string, v service.Verdict) {
		if counts[typ] == nil {
			counts[typ] = map[service.Verdict]int{}
		}
		counts[typ][v]++
	}
	for _, r := range c.records {
		if r.Identity.Verdict != "" {
			add(r.Backend.Type, r.Identity.Verdict)
		}
	}
	for k, cand := range c.candidates {
		if c.records[k] == nil {
			verdict := cand.identity.Verdict
			if verdict == "" {
				verdict = service.Unverified
			}
			add("candidate", verdict)
		}
	}
	return counts
}
