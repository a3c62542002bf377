package snapshot

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/aliases"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
)

// After any changes in any order and portions, the snapshot is byte for byte what a plain
// implementation makes of the final state, and what another builder makes of that state at
// once, compressed bytes and entity tags included. A watcher that follows the changes gets
// the same list.
func FuzzSnapshots(f *testing.F) {
	f.Add([]byte{}, uint64(0))
	for seed := range uint64(16) {
		r := rand.New(rand.NewPCG(seed, 1))
		ops := make([]byte, 1+seed*10/uint64(servicetest.Shorter))
		for i := range ops {
			ops[i] = byte(r.Uint32())
		}
		f.Add(ops, seed)
	}
	f.Fuzz(func(t *testing.T, ops []byte, seed uint64) {
		// Each operation compares everything, and the fuzzer takes a slow input for one
		// that hangs.
		followRandomLife(t, ops[:min(len(ops), 100)], seed)
	})
}

func followRandomLife(t *testing.T, ops []byte, seed uint64) {
	t.Helper()
	life := servicetest.Life{Rand: rand.New(rand.NewPCG(seed, 2))}
	s := newState(life.Services()...)
	var w servicetest.Watcher
	for _, op := range ops {
		switch op % 16 {
		case 0, 1:
			s.Replace(life.Services())
		case 2, 3, 4, 5:
			s.Upsert(life.Service())
		case 6, 7, 8:
			svc := life.Service()
			s.Delete(svc.Namespace, svc.Name)
		case 9, 10, 11:
			svc := life.Service()
			s.SetHealth(service.Key{Namespace: svc.Namespace, Name: svc.Name}, life.Health())
		case 12:
			s.version = strconv.Itoa(life.IntN(10))
		case 13:
			s.administer(life)
		default:
			s.Build()
			servicetest.Follow(t, &w, s.Snapshot, s.Snapshot.Toolsets().JSON())
		}
	}
	s.Build()
	servicetest.Follow(t, &w, s.Snapshot, s.Snapshot.Toolsets().JSON())
	compareWithPlain(t, s)
	compareWithAnew(t, s)
}

// administer changes the state as overrides may.
func (s *state) administer(life servicetest.Life) {
	for k, now := range s.known {
		switch {
		case now.Added:
			s.remove(k)
		case life.IntN(10) == 0:
			s.set(life.Changed(now.Backend), false)
		}
	}
	for range life.IntN(3) {
		s.set(life.Added(), true)
	}
}

// compareWithPlain compares the snapshot with documents made by the simplest code.
func compareWithPlain(t *testing.T, s *state) {
	t.Helper()
	names := plainNames(s.known)
	members := map[service.Key]*member{}
	for k, now := range s.known {
		members[k] = &member{key: k, name: names[k], State: now}
	}
	plainAliases(members)
	counts := map[string]int{}
	var toolsets, services, tools []*part
	best := map[string]*rendered{}
	for _, m := range members {
		made := render(m)
		counts[made.backend.Type]++
		if made.service != nil {
			services = append(services, made.service)
		}
		if made.toolset == nil {
			continue
		}
		toolsets = append(toolsets, made.toolset)
		if first := best[made.backend.Type]; first == nil || made.compare(first) < 0 {
			best[made.backend.Type] = made
		}
	}
	for _, p := range toolsets {
		if e := p.of.entry(best[p.kind] == p.of, nil); e != nil {
			tools = append(tools, e)
		}
	}
	end := func(n int) string {
		return fmt.Sprintf(`],"total":%d,"lastDiscovery":"%s","configMapVersion":"%s"}`, n, FormatTime(s.discovery), s.version)
	}
	docEnd := "]}\n"
	if len(tools) > 0 {
		docEnd = "\n]}\n"
	}
	for _, list := range []struct {
		what      string
		got       *Answer
		head, end string
		parts     []*part
	}{
		{"toolsets", s.Snapshot.toolsets.Answer, `{"toolsets":[`, end(len(toolsets)), toolsets},
		{"services", s.Snapshot.services.Answer, `{"services":[`, end(len(services)), services},
		{"document", s.document, `{"tools":[`, docEnd, tools},
	} {
		slices.SortFunc(list.parts, func(a, b *part) int {
			return strings.Compare(a.key.Namespace+"\x00"+a.key.Name, b.key.Namespace+"\x00"+b.key.Name)
		})
		want := list.head
		for i, p := range list.parts {
			want += string(p.json[index01(i == 0):])
		}
		want += list.end
		if got := string(list.got.JSON()); got != want {
			t.Fatalf("%s: got\n%s\nwant\n%s", list.what, got, want)
		}
		if got := servicetest.Gunzip(t, read(t, list.got, true)); string(got) != want {
			t.Fatalf("%s, compressed, are something else", list.what)
		}
		if got := read(t, list.got, false); string(got) != want {
			t.Fatalf("%s, streamed, are something else", list.what)
		}
	}
	for kind, n := range s.CountByType() {
		if counts[kind] != n {
			t.Fatalf("%d of type %s, want %d", n, kind, counts[kind])
		}
	}
	comparePlainLookups(t, s.Snapshot, toolsets)
}

// plainAliases sets the aliases of members.
func plainAliases(members map[service.Key]*member) {
	groups := map[groupKey]group{}
	for _, m := range members {
		if e := aliases.New(m.Backend); e != nil {
			k := groupKey{e.Key.Namespace, e.Type}
			if groups[k] == nil {
				groups[k] = group{}
			}
			groups[k][e] = m
		}
	}
	for _, g := range groups {
		for _, toolset := range aliases.Find(slices.Collect(maps.Keys(g))) {
			first := g[toolset[0]]
			for _, e := range toolset[1:] {
				g[e].of = first
				first.aliases = append(first.aliases, g[e])
			}
		}
	}
}

// plainNames names all members of each namespace at once.
func plainNames(known map[service.Key]State) map[service.Key]string {
	keys := slices.SortedFunc(maps.Keys(known), service.Key.Compare)
	names, taken := map[service.Key]string{}, map[service.Key]bool{}
	give := func(k service.Key, name string) {
		if at := (service.Key{Namespace: k.Namespace, Name: name}); names[k] == "" && !taken[at] {
			names[k], taken[at] = name, true
		}
	}
	for _, k := range keys {
		if known[k].Added {
			give(k, known[k].Backend.Name)
		}
	}
	for _, k := range keys {
		if known[k].Backend.Name == k.Name {
			give(k, k.Name)
		}
	}
	for _, k := range keys {
		wanted := known[k].Backend.Name
		give(k, wanted)
		give(k, wanted+"-"+k.Name)
		for n := 2; names[k] == ""; n++ {
			give(k, wanted+"-"+k.Name+"-"+strconv.Itoa(n))
		}
	}
	return names
}

// compareWithAnew compares the snapshot with the first one of a new builder that is given
// the whole state at once.
func compareWithAnew(t *testing.T, s *state) {
	t.Helper()
	var updates []Update
	for k, now := range s.known {
		updates = append(updates, Update{k, now})
	}
	is, anew := s.Snapshot, NewBuilder().Next(nil, updates, s.discovery, s.version)
	for what, answers := range map[string][2]*Answer{
		"toolsets": {is.toolsets.Answer, anew.toolsets.Answer}, "services": {is.services.Answer, anew.services.Answer}, "document": {is.document, anew.document},
	} {
		a, b := answers[0], answers[1]
		if !bytes.Equal(a.etag, b.etag) || !bytes.Equal(read(t, a, true), read(t, b, true)) || !bytes.Equal(a.JSON(), b.JSON()) {
			t.Fatalf("the %s depend on the way to them", what)
		}
	}
	if !slices.EqualFunc(entriesOf(is.names), entriesOf(anew.names), sameNamed) || !slices.EqualFunc(entriesOf(is.types), entriesOf(anew.types), sameTyped) {
		t.Fatal("the index depends on the way to it")
	}
}

func entriesOf[V any](t *table[V]) (all []tableEntry[V]) {
	for _, g := range t.groups {
		if g != nil {
			for _, s := range g.shards {
				all = append(all, s...)
			}
		}
	}
	return all
}

func sameNamed(a, b tableEntry[named]) bool {
	v, w := &a.value, &b.value
	return a.key == b.key && v.all.n == w.all.n && v.enabled.n == w.enabled.n && v.primaries.n == w.primaries.n && v.aliases.n == w.aliases.n
}

func sameTyped(a, b tableEntry[*typed]) bool {
	v, w := a.value.namesake, b.value.namesake
	return a.key == b.key && bytes.Equal(a.value.body.JSON, b.value.body.JSON) && (v == nil) == (w == nil) && (v == nil || bytes.Equal(v.body.JSON, w.body.JSON))
}

func read(t *testing.T, a *Answer, gzip bool) []byte {
	t.Helper()
	var s Stream
	want := s.Reset(a, gzip)
	var whole, piecewise bytes.Buffer
	s.WriteTo(&whole) //nolint:errcheck // a bytes.Buffer takes everything
	s.Reset(a, gzip)
	for p := make([]byte, 1000); ; {
		n, err := s.Read(p)
		piecewise.Write(p[:n])
		if err != nil {
			break
		}
	}
	if whole.Len() != want || !bytes.Equal(whole.Bytes(), piecewise.Bytes()) {
		t.Fatalf("%d bytes written, %d read, and %d announced", whole.Len(), piecewise.Len(), want)
	}
	return whole.Bytes()
}

func TestSnapshotsOfRandomLives(t *testing.T) {
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 3))
		ops := make([]byte, 300/servicetest.Shorter)
		for i := range ops {
			ops[i] = byte(random.Uint32())
		}
		followRandomLife(t, ops, seed)
	}
}
