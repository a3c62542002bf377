package snapshot

import (
	"math/rand/v2"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
)

// The place of each Service is what the lists say, and every alias and primary has a reason.
func TestPlace(t *testing.T) {
	aliases, others := 0, 0
	for seed := range uint64(20) {
		life := servicetest.Life{Rand: rand.New(rand.NewPCG(seed, 3))}
		s := newState(life.Services()...)
		s.administer(life)
		s.Build()
		type listed struct{ Name, Namespace, AliasOf, Type string }
		for _, svc := range servicetest.Decode[struct{ Services []listed }](t, s.Snapshot.Services().JSON()).Services {
			p, ok := s.Place(service.Key{Namespace: svc.Namespace, Name: svc.Name})
			if !ok || p.Alias != (svc.AliasOf != "") || p.Alias && (p.Toolset.String() != svc.AliasOf || p.WhyAlias == "") {
				t.Fatalf("%+v is at %+v", svc, p)
			}
			primary, ok := s.Primary([]byte(svc.Type), nil)
			if !ok || p.Primary != primary || p.WhyPrimary == "" {
				t.Fatalf("%+v: the primary is %v, not %+v", svc, primary, p)
			}
			if aliases += index01(p.Alias); p.Primary != p.Toolset {
				others++
			}
		}
		if p, ok := s.Place(service.Key{Namespace: "ns1", Name: "nobody"}); ok {
			t.Errorf("nobody is at %+v", p)
		}
	}
	if aliases < 100 || others < 100 {
		t.Errorf("only %d aliases, and %d that are not the primary", aliases, others)
	}
}
