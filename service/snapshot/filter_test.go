package snapshot

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
)

// For any filter, the answer has the members that a plain loop chooses, and the compressed
// answer is the same document.
func TestFilteredAnswers(t *testing.T) {
	c := newState()
	random := rand.New(rand.NewPCG(1, 2))
	// Several chunks of one namespace, and several namespaces in one chunk.
	kinds, namespaces := []string{"prometheus", "grafana", "loki"}, []string{"a", "aa", "b", "c", "d", "e"}
	const members = 300
	var all []*corev1.Service
	for i := range members {
		s := servicetest.Service(namespaces[min(random.IntN(40), len(namespaces)-1)], fmt.Sprintf("s%03d", i), kinds[random.IntN(3)])
		if i%5 == 0 {
			s.Annotations = map[string]string{"off": "1"}
		}
		if i == 7 {
			s.Labels["long"] = strings.Repeat("x", 200_000) // more than fits into a stored block
		}
		all = append(all, s)
	}
	c.Replace(all)
	for i, s := range all {
		if i%3 == 0 {
			c.SetHealth(service.Key{Namespace: s.Namespace, Name: s.Name}, service.Health{Healthy: true, Reason: "fine", CheckedAt: time.Now()})
		}
		if i%7 == 0 {
			c.SetIdentity(service.Key{Namespace: s.Namespace, Name: s.Name}, service.Identity{Verdict: service.Verified, Type: s.Labels["kind"]})
		}
	}
	c.Build()
	snap := c
	whole := servicetest.Decode[servicetest.List](t, snap.Toolsets().JSON())
	if whole.Total != members || len(whole.Toolsets) != members {
		t.Fatalf("total %d, %d toolsets", whole.Total, len(whole.Toolsets))
	}
	if n := len(snap.Toolsets().list.chunks); n < 5 {
		t.Fatalf("only %d chunks", n)
	}
	if !slices.IsSortedFunc(whole.Toolsets, func(a, b servicetest.Toolset) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	}) {
		t.Error("not in the order of namespace and name")
	}
	tags := map[string]Filter{}
	for _, kind := range append(kinds, "", "nothing") {
		for _, ns := range append(namespaces, "", "nowhere") {
			for _, enabled := range []Tri{Any, Yes, No} {
				for _, healthy := range []Tri{Any, Yes, No} {
					for _, verified := range []Tri{Any, Yes, No} {
						f := Filter{Enabled: enabled, Healthy: healthy, Verified: verified, Type: []byte(kind), Namespace: []byte(ns)}
						want := 0
						for _, m := range whole.Toolsets {
							is := m.Identity.Verdict == service.Verified
							if (kind == "" || m.Type == kind) && (ns == "" || m.Namespace == ns) && enabled.admits(m.Enabled) && healthy.admits(m.Healthy) && verified.admits(is) {
								want++
							}
						}
						plain := snap.Toolsets().AppendJSON(nil, &f)
						got := servicetest.Decode[servicetest.List](t, plain)
						if got.Total != want || len(got.Toolsets) != want {
							t.Errorf("%+v: total %d, %d toolsets, want %d", f, got.Total, len(got.Toolsets), want)
						}
						for _, col := range []*Collection{snap.Toolsets(), snap.Services()} {
							if !bytes.Equal(servicetest.Gunzip(t, col.AppendGzip(nil, &f)), col.AppendJSON(nil, &f)) {
								t.Errorf("%+v: the compressed answer differs", f)
							}
						}
						tag := string(snap.Toolsets().AppendETag(nil, &f))
						if other, ok := tags[tag]; ok {
							t.Errorf("%+v and %+v share the entity tag %s", f, other, tag)
						}
						tags[tag] = f
					}
				}
			}
		}
	}
	var whole2, packed bytes.Buffer
	for _, to := range []*bytes.Buffer{&whole2, &packed} {
		var stream Stream
		stream.Reset(snap.Toolsets().Answer, to == &packed)
		stream.WriteTo(to) //nolint:errcheck // a bytes.Buffer takes everything
	}
	if !bytes.Equal(servicetest.Gunzip(t, packed.Bytes()), whole2.Bytes()) {
		t.Error("the whole list compressed differs")
	}
}
