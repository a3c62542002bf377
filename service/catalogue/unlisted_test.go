package catalogue

import (
	"fmt"
	"slices"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
)

// The candidates that may be listed yet come first, and none that is listed.
func TestUnlisted(t *testing.T) {
	c, _ := newAsking(t)
	if all, more := c.Unlisted(5); len(all) != 0 || more != 0 {
		t.Errorf("of nothing: %v, %d", all, more)
	}
	for i := range 6 {
		c.Upsert(svc(fmt.Sprint("c", i), 9090, "shop"))
	}
	c.Upsert(svc("p", 9090, "prometheus")) // no candidate
	c.SetIdentity(key("c0"), service.Identity{Verdict: service.Refuted, Evidence: []string{"it is nginx"}})
	c.SetIdentity(key("c2"), verified("prometheus", "http://c2.ns.svc.cluster.local:9090", ""))
	for limit, want := range map[int][]string{9: {"c1", "c3", "c4", "c5", "c0"}, 2: {"c1", "c3"}, 0: nil} {
		all, more := c.Unlisted(limit)
		var got []string
		for _, u := range all {
			got = append(got, u.Key.Name)
		}
		if !slices.Equal(got, want) || more != 5-len(want) {
			t.Errorf("at most %d: %q and %d more, want %q", limit, got, more, want)
		}
	}
	all, _ := c.Unlisted(9)
	if last := all[len(all)-1]; last.Identity.Verdict != service.Refuted || last.Identity.Evidence[0] != "it is nginx" || len(last.Question.URLs) != 1 {
		t.Errorf("%+v", last)
	}
}
