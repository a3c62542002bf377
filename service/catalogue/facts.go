package catalogue

import (
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/overrides"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// Facts are what the catalogue knows about one Service, for an explanation.
type Facts struct {
	// Found is the back end as it was discovered, and Backend what overrides have made of
	// it; nil if the Service is no back end, or has not been seen yet.
	Found, Backend *service.Backend
	Health         service.Health
	// Checked means that its health is checked at all.
	Checked bool
	// Place is where it is in the current snapshot; nil if it is not there.
	Place *snapshot.Place
	// Question is what it is asked about itself, without URLs if nothing, and Identity what
	// it has said. Candidate means that it is listed only if that shows it to be a back end.
	Question  service.Question
	Identity  service.Identity
	Candidate bool
	// Overrides are the entries that match the Service, back end or not.
	Overrides []overrides.Match
	// Added are the toolsets that overrides add and that lead to the Service.
	Added []service.Key

	all *overrides.Set
}

// Apply returns b as the overrides in force would change it.
func (f *Facts) Apply(b *service.Backend) *service.Backend { return f.all.Apply(b) }

// Facts returns what is known about a Service. toolset is the name that its toolset asks
// for, by which overrides may match it.
func (c *Catalogue) Facts(svc service.Key, toolset string) Facts {
	c.mu.Lock()
	f := Facts{Checked: c.prober != nil}
	if r := c.records[svc]; r != nil && r.found != nil {
		f.Found, f.Backend, f.Health = r.found, r.Backend, r.Health
		f.Question, f.Identity = r.question, r.Identity
	}
	if cand := c.candidates[svc]; cand != nil {
		f.Question, f.Identity, f.Candidate = cand.Question, cand.identity, true
	}
	o := c.overrides
	c.mu.Unlock()
	about := f.Found
	if about == nil {
		about = &service.Backend{Key: svc, Name: toolset}
	}
	f.all, f.Overrides, f.Added = o, o.Explain(about), o.LeadingTo(svc)
	if s := c.Snapshot(); s != nil {
		if p, ok := s.Place(svc); ok {
			f.Place = &p
		}
	}
	return f
}
