package snapshot

import (
	"testing"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
)

// Each Service is in exactly one portion, and each chunk of the list of toolsets, too.
func TestPortions(t *testing.T) {
	s := newState(servicetest.Cluster(2000)...)
	s.Build()
	const most = 50
	var last service.Key
	seen := map[service.Key]bool{}
	for round := 0; ; round++ {
		services, end, parts := s.Portion(last, most)
		if parts > most || round >= parts || len(services) == 0 {
			t.Fatalf("round %d of %d: %d Services", round, parts, len(services))
		}
		for _, k := range services {
			if seen[k] {
				t.Fatalf("%s is in two portions", k)
			}
			seen[k] = true
		}
		whole := false
		for _, c := range s.toolsets.list.chunks {
			whole = whole || c.last() == end
		}
		if !whole {
			t.Fatalf("a portion ends amid a chunk, at %s", end)
		}
		if last = end; len(seen) == 2000 {
			break
		}
	}
	if _, end, _ := s.Portion(last, most); end.Compare(last) >= 0 {
		t.Errorf("behind the last toolset comes %s, not the first", end)
	}
}
