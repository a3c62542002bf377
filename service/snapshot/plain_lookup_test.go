package snapshot

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
)

// comparePlainLookups compares lookups with a search through everything.
func comparePlainLookups(t *testing.T, s *Snapshot, all []*part) {
	t.Helper()
	asked := map[string]bool{"nothing": true}
	for _, p := range all {
		asked[p.key.Name], asked[p.kind] = true, true
		for _, k := range p.of.aliases {
			asked[k.Name] = true
		}
	}
	if body, match := s.Lookup(nil, nil); body != nil || match != Unknown || s.Candidates(nil, nil, 1) != nil {
		t.Fatal("no name found something")
	}
	for name := range asked {
		for _, namespace := range []string{"", "ns0", "ns1", "ns2", "ns3", "ns9"} {
			having := func(is func(r *rendered) bool) (found []*rendered) {
				for _, p := range all {
					if (namespace == "" || p.key.Namespace == namespace) && is(p.of) {
						found = append(found, p.of)
					}
				}
				return found
			}
			on := func(r *rendered) bool { return r.backend.Enabled }
			isNamed := func(r *rendered) bool { return r.name == name }
			typed := having(func(r *rendered) bool { return r.backend.Type == name })
			named := having(func(r *rendered) bool { return isNamed(r) && on(r) })
			if len(named) == 0 {
				named = having(isNamed)
			}
			aliased := having(func(r *rendered) bool {
				return slices.ContainsFunc(r.aliases, func(k service.Key) bool { return k.Name == name })
			})
			slices.SortFunc(typed, (*rendered).compare)
			if len(typed) > 0 {
				plainTyped(t, s, name, namespace, typed)
			}

			var want []*rendered
			byType := false
			switch typeOn := len(typed) > 0 && on(typed[0]); {
			case typeOn && typed[0].backend.Pinned:
				byType = true
			case len(named) > 0 && on(named[0]):
				if want = named; len(named) > 1 {
					if p := slices.DeleteFunc(slices.Clone(named), func(r *rendered) bool { return !r.backend.Primary || r.backend.Type != name }); len(p) == 1 {
						want = p
					}
				}
			case typeOn:
				byType = true
			case len(named) > 0:
				want = named
			case len(typed) > 0:
				byType = true
			default:
				want = aliased
			}
			body, match := s.Lookup([]byte(name), []byte(namespace))
			switch {
			case byType:
				if match != Found || !bytes.Contains(body.JSON, []byte(`"primaryReason":`)) {
					t.Fatalf("%q in %q: %v, want the primary of the type", name, namespace, match)
				}
			case len(want) == 0 && match == Unknown:
			case len(want) == 1 && match == Found && want[0].backend.Type == name && on(typed[0]):
				plainNamesake(t, body, want[0], typed)
			case len(want) == 1 && match == Found && bytes.Equal(body.JSON, want[0].single.JSON):
			case len(want) > 1 && match == Ambiguous:
				if got := s.Candidates([]byte(name), []byte(namespace), 1000); len(got) != len(want) {
					t.Fatalf("%q in %q: candidates %v, want %d", name, namespace, got, len(want))
				}
			default:
				t.Fatalf("%q in %q: %v, want one of %d", name, namespace, match, len(want))
			}
		}
	}
}

// plainTyped compares the answer to a lookup by type with the sorted list of that type.
func plainTyped(t *testing.T, s *Snapshot, kind, namespace string, all []*rendered) {
	t.Helper()
	found := s.types.find([]byte(namespace), []byte(kind))
	if found == nil {
		t.Fatalf("there is no answer for the type %s in %q", kind, namespace)
	}
	got := servicetest.Decode[struct {
		toolsetJSON
		typedTail
	}](t, (*found).body.JSON)
	var others []string
	for _, r := range all[1:] {
		if r.backend.Enabled == all[0].backend.Enabled {
			others = append(others, r.backend.Key.Namespace+"/"+r.name)
		}
	}
	omitted := max(0, len(others)-maxAlternatives)
	if (service.Key{Namespace: got.Namespace, Name: got.Name}) != all[0].key() || got.PrimaryReason == "" || got.Omitted != omitted || !slices.Equal(got.Alternatives, others[:len(others)-omitted]) {
		t.Fatalf("the type %s in %q: %+v, want %v before %v", kind, namespace, got, all[0].key(), others)
	}
}

// plainNamesake compares the answer for r, which is called like its type, with the sorted
// list of the type: it must name the others.
func plainNamesake(t *testing.T, body *Body, r *rendered, all []*rendered) {
	t.Helper()
	got := servicetest.Decode[struct {
		toolsetJSON
		typedTail
	}](t, body.JSON)
	var others []string
	for _, o := range all {
		if o.backend.Enabled && o.key() != r.key() {
			others = append(others, o.key().String())
		}
	}
	omitted := max(0, len(others)-maxAlternatives)
	if (service.Key{Namespace: got.Namespace, Name: got.Name}) != r.key() || got.Omitted != omitted || !slices.Equal(got.Alternatives, others[:len(others)-omitted]) {
		t.Fatalf("%s: %+v, want alternatives %v", r.key(), got, others)
	}
	if named := strings.Contains(got.PrimaryReason, "the primary of the type is "+all[0].key().String()); named != (all[0].key() != r.key()) {
		t.Fatalf("%s, with the primary %s: the reason is %q", r.key(), all[0].key(), got.PrimaryReason)
	}
}
