package snapshot

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
)

// For any Services, in any order: each is a toolset or an alias of exactly one, and a
// declared one is a toolset. (The random lives do this as well; here, there are many
// Services in one group.)
func TestAliasesPartition(t *testing.T) {
	for seed := range uint64(200 / servicetest.Shorter) {
		life := servicetest.Life{Rand: rand.New(rand.NewPCG(seed, 5))}
		var all []*corev1.Service
		for i := range 2 + life.IntN(30) {
			svc := servicetest.Service("ns", fmt.Sprintf("s%02d", i), "prometheus")
			life.Select(svc)
			if life.IntN(10) == 0 {
				svc.Annotations = map[string]string{"path": "/"}
			}
			all = append(all, svc)
		}
		var first string
		for range 3 {
			life.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			c := newState()
			for _, svc := range all {
				c.Upsert(svc)
				if life.IntN(3) == 0 {
					c.Build()
				}
			}
			c.Build()
			shown := describeAliases(t, c.Snapshot, len(all))
			if first == "" {
				first = shown
				compareWithPlain(t, c)
			}
			if shown != first {
				t.Fatalf("seed %d: the order of events matters:\n%s\n%s", seed, first, shown)
			}
		}
	}
}

// describeAliases lists the toolsets of a snapshot with their aliases. It fails unless
// these are all of total Services, once each.
func describeAliases(t *testing.T, s *Snapshot, total int) string {
	t.Helper()
	var lines []string
	seen := map[service.Key]bool{}
	see := func(k service.Key) {
		if seen[k] {
			t.Fatalf("%s is there twice", k)
		}
		seen[k] = true
	}
	for _, r := range s.all {
		see(r.backend.Key)
		for _, k := range r.aliases {
			see(k)
		}
		lines = append(lines, fmt.Sprint(r.key(), r.aliases))
	}
	if len(seen) != total || s.Services().Len() != total {
		t.Fatalf("%d of %d are there, and %d in the list of Services", len(seen), total, s.Services().Len())
	}
	return strings.Join(lines, "\n")
}
