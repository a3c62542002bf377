package snapshot

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
)

// An attacker may make any number of names that end no chunk by their hash. They too are
// cut at the same places, whatever came first.
func TestFullChunksFollowFromTheMembers(t *testing.T) {
	var parts []*part
	for i := 0; len(parts) < 3*maxChunk; i++ {
		if k := (service.Key{Namespace: "ns", Name: fmt.Sprintf("s%06d", i)}); !endsChunk(k) {
			parts = append(parts, &part{key: k, json: fmt.Appendf(nil, ",%d", i)})
		}
	}
	random := rand.New(rand.NewPCG(1, 5))
	now, there := &list{}, map[*part]bool{}
	for round := range 60 {
		var changes []listChange
		for _, p := range parts {
			if random.IntN(1+round%20) == 0 {
				there[p] = !there[p]
				change := listChange{key: p.key}
				if there[p] {
					change.part = p
				}
				changes = append(changes, change)
			}
		}
		now, _ = now.apply(changes)
		var all []listChange
		for _, p := range parts {
			if there[p] {
				all = append(all, listChange{p.key, p})
			}
		}
		anew, _ := (&list{}).apply(all)
		if now.count != len(all) || !slices.EqualFunc(now.chunks, anew.chunks, func(a, b *chunk) bool { return slices.Equal(a.parts, b.parts) }) {
			t.Fatalf("round %d: the chunks of %d members depend on the way to them", round, len(all))
		}
	}
}

// The entity tag also covers what comes after the members.
func TestTagCoversTheEnd(t *testing.T) {
	s := newState(servicetest.Cluster(300)...)
	before := s.Build()
	s.version = "7"
	after := s.Build()
	if string(before.Toolsets().ETag()) == string(after.Toolsets().ETag()) || string(before.Services().ETag()) == string(after.Services().ETag()) {
		t.Error("another version of the ConfigMap has the same tag")
	}
	if string(before.Document().ETag()) != string(after.Document().ETag()) {
		t.Error("the document has another tag, and is the same")
	}
}
