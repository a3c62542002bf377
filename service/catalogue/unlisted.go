package catalogue

import (
	"cmp"
	"slices"

	"kubernaut.io/dynamic-toolset/service"
)

// An Unlisted is a candidate that is not listed, since it has not said what it is.
type Unlisted struct {
	Key      service.Key
	Question service.Question
	// Identity is what it has said; without a Verdict if it was not asked yet.
	Identity service.Identity
}

// Unlisted returns candidates that are not listed, at most limit, and how many there are
// besides. First come those that may be listed yet; those that are something else come last.
func (c *Catalogue) Unlisted(limit int) (all []Unlisted, more int) {
	c.mu.Lock()
	for k, cand := range c.candidates {
		if c.records[k] == nil {
			all = append(all, Unlisted{k, cand.Question, cand.identity})
		}
	}
	c.mu.Unlock()
	last := func(u *Unlisted) int {
		if u.Identity.Verdict == service.Refuted {
			return 1
		}
		return 0
	}
	slices.SortFunc(all, func(a, b Unlisted) int { return cmp.Or(cmp.Compare(last(&a), last(&b)), a.Key.Compare(b.Key)) })
	more = max(0, len(all)-limit)
	return all[:len(all)-more], more
}
