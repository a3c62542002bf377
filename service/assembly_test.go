package service

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Whatever happens, in whatever order and in whatever portions: the snapshot is
// what a plain reading of the state at its end gives, byte for byte, and what
// another catalogue makes of that state at once, compressed bytes and entity
// tags included. A watcher who follows the changes comes to the same list.
func FuzzSnapshots(f *testing.F) {
	f.Add([]byte{}, uint64(0))
	for seed := range uint64(16) {
		r := rand.New(rand.NewPCG(seed, 1))
		ops := make([]byte, 1+seed*10/shorter)
		for i := range ops {
			ops[i] = byte(r.Uint32())
		}
		f.Add(ops, seed)
	}
	f.Fuzz(func(t *testing.T, ops []byte, seed uint64) {
		// Each operation compares everything, and an input that takes long counts as hung.
		followRandomLife(t, ops[:min(len(ops), 100)], seed)
	})
}

func followRandomLife(t *testing.T, ops []byte, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 2))
	c := NewCatalogue(testIdentify, nil)
	var w watcher
	// Few names, so that they are met again, and that names collide.
	some := func() *corev1.Service {
		svc := testService(fmt.Sprintf("ns%d", random.IntN(3)), fmt.Sprintf("s%d", random.IntN(150)), []string{"loki", "tempo", "s1", "s2", ""}[random.IntN(5)])
		svc.Annotations = map[string]string{"path": strconv.Itoa(random.IntN(2)), "mere": "1"}
		someSelector(random, svc)
		if random.IntN(4) == 0 {
			svc.Annotations["name"] = []string{"s1", "s2", "s1-s2", "other"}[random.IntN(4)]
			delete(svc.Annotations, "mere")
		}
		for _, mark := range []string{"primary", "off"} {
			if random.IntN(6) == 0 {
				svc.Annotations[mark] = "1"
			}
		}
		return svc
	}
	many := func() (all []*corev1.Service) {
		for range random.IntN(300) {
			all = append(all, some())
		}
		return all
	}
	c.Replace(many())
	for _, op := range ops {
		switch op % 16 {
		case 0:
			c.Replace(many())
		case 1:
			r := c.Begin("ns1")
			for _, svc := range many() {
				if svc.Namespace == "ns1" {
					r.Add([]*corev1.Service{svc})
				}
			}
			r.Commit()
		case 2, 3, 4, 5:
			c.Upsert(some())
		case 6, 7, 8:
			svc := some()
			c.Delete(svc.Namespace, svc.Name)
		case 9, 10, 11:
			svc := some()
			healthy := random.IntN(2) == 0
			c.SetHealth(Key{svc.Namespace, svc.Name}, Health{Healthy: healthy, Reason: fmt.Sprint(random.Uint32()), CheckedAt: time.Unix(random.Int64N(1e9), 0)})
		case 12:
			c.SetConfigMapVersion(strconv.Itoa(random.IntN(10)))
		case 13:
			c.mu.Lock()
			c.administer(random)
			c.mu.Unlock()
		case 14:
			c.sweep()
		default:
			c.Build()
			w.follow(t, c.Snapshot())
		}
	}
	c.Build()
	w.follow(t, c.Snapshot())
	compareWithPlain(t, c)
	compareWithAnew(t, c)
}

// administer does to the records what SetOverrides does, without the format of
// overrides.
func (c *Catalogue) administer(random *rand.Rand) {
	for k, r := range c.records {
		switch {
		case r.added:
			c.remove(k)
		case random.IntN(10) == 0:
			changed := *r.found
			changed.Name = []string{"s1", "s3", changed.Name}[random.IntN(3)]
			changed.Enabled = random.IntN(2) == 0
			changed.Type = []string{"changed", "loki", "s1"}[random.IntN(3)]
			changed.Pinned = random.IntN(2) == 0
			changed.Primary = changed.Pinned || changed.Primary
			changed.Primary = random.IntN(2) == 0
			changed.Pinned = changed.Primary && random.IntN(2) == 0
			c.show(k, r.found, &changed)
		}
	}
	for range random.IntN(3) {
		name := fmt.Sprintf("s%d", random.IntN(5))
		b := &Backend{Key: Key{fmt.Sprintf("ns%d", random.IntN(4)), name}, Name: name, Type: "added", Enabled: true, UserEndpoint: true, Endpoint: "http://elsewhere"}
		b.Key = addedKey(b)
		c.show(b.Key, nil, b)
	}
}

// A watcher applies changes to the list that it has.
type watcher struct {
	toolsets map[Key]string
	sequence uint64
}

func (w *watcher) follow(t *testing.T, s *Snapshot) {
	t.Helper()
	changes, _, ok := s.ChangesSince(w.sequence)
	now := map[Key]string{}
	for _, r := range s.all {
		now[r.toolset.key] = visible(t, r.toolset.json[1:])
	}
	if w.toolsets != nil && ok {
		for _, change := range changes {
			v := decode[struct{ Toolset toolsetJSON }](t, change.Data)
			key := Key{v.Toolset.Namespace, v.Toolset.Name}
			switch _, known := w.toolsets[key]; {
			case known != (change.Kind != "added"):
				t.Fatalf("%s was %s, known before: %v", key, change.Kind, known)
			case change.Kind == "removed":
				delete(w.toolsets, key)
			default:
				w.toolsets[key] = visible(t, marshal(v.Toolset))
			}
		}
		if !maps.Equal(w.toolsets, now) {
			t.Fatalf("following the changes leads to %v, and the list is %v", w.toolsets, now)
		}
	}
	w.toolsets, w.sequence = now, s.Sequence()
}

// visible is what a watcher is told changes of.
func visible(t *testing.T, json []byte) string {
	t.Helper()
	v := decode[toolsetJSON](t, json)
	v.HealthReason, v.LastHealthCheck, v.HealthHistory = "", nil, nil
	return string(marshal(v))
}

// compareWithPlain compares the snapshot with documents made by the simplest
// code there is.
func compareWithPlain(t *testing.T, c *Catalogue) {
	t.Helper()
	s := c.Snapshot()
	names := plainNames(c.records)
	members := map[Key]*member{}
	for k, r := range c.records {
		members[k] = &member{key: k, name: names[k], state: r.state}
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
		return fmt.Sprintf(`],"total":%d,"lastDiscovery":"%s","configMapVersion":"%s"}`, n, FormatTime(c.discovery), c.version)
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
		{"toolsets", s.toolsets.Answer, `{"toolsets":[`, end(len(toolsets)), toolsets},
		{"services", s.services.Answer, `{"services":[`, end(len(services)), services},
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
		if got := gunzip(t, read(t, list.got, true)); string(got) != want {
			t.Fatalf("%s, compressed, are something else", list.what)
		}
		if got := read(t, list.got, false); string(got) != want {
			t.Fatalf("%s, streamed, are something else", list.what)
		}
	}
	for kind, n := range s.counts {
		if counts[kind] != n {
			t.Fatalf("%d of type %s, want %d", n, kind, counts[kind])
		}
	}
	comparePlainLookups(t, s, toolsets)
}

// plainNames names everything of each namespace at once.
func plainNames(records map[Key]*record) map[Key]string {
	keys := slices.SortedFunc(maps.Keys(records), compareKeys)
	names, taken := map[Key]string{}, map[Key]bool{}
	give := func(k Key, name string) {
		if at := (Key{k.Namespace, name}); names[k] == "" && !taken[at] {
			names[k], taken[at] = name, true
		}
	}
	for _, k := range keys {
		if records[k].added {
			give(k, records[k].backend.Name)
		}
	}
	for _, k := range keys {
		if records[k].backend.Name == k.Name {
			give(k, k.Name)
		}
	}
	for _, k := range keys {
		wanted := records[k].backend.Name
		give(k, wanted)
		give(k, wanted+"-"+k.Name)
		for n := 2; names[k] == ""; n++ {
			give(k, wanted+"-"+k.Name+"-"+strconv.Itoa(n))
		}
	}
	return names
}

// compareWithAnew compares the snapshot with the first one of an assembly that is
// told the state at once.
func compareWithAnew(t *testing.T, c *Catalogue) {
	t.Helper()
	var updates []update
	for _, k := range slices.SortedFunc(maps.Keys(c.records), compareKeys) {
		updates = append(updates, update{k, c.records[k].state})
	}
	is, anew := c.Snapshot(), &Snapshot{ConfigMapVersion: c.version}
	newAssembly().next(anew, nil, updates, c.discovery)
	for what, answers := range map[string][2]*Answer{
		"toolsets": {is.toolsets.Answer, anew.toolsets.Answer}, "services": {is.services.Answer, anew.services.Answer}, "document": {is.document, anew.document},
	} {
		a, b := answers[0], answers[1]
		if !bytes.Equal(a.etag, b.etag) || !bytes.Equal(read(t, a, true), read(t, b, true)) || !bytes.Equal(a.JSON(), b.JSON()) {
			t.Fatalf("the %s depend on the way to them", what)
		}
	}
	for i := range is.names.shards {
		if !slices.EqualFunc(is.names.shards[i], anew.names.shards[i], sameNamed) || !slices.EqualFunc(is.types.shards[i], anew.types.shards[i], sameTyped) {
			t.Fatal("the index depends on the way to it")
		}
	}
}

func sameNamed(a, b tableEntry[named]) bool {
	v, w := &a.value, &b.value
	return a.key == b.key && v.all.n == w.all.n && v.on.n == w.on.n && v.primaries.n == w.primaries.n && v.aliases.n == w.aliases.n
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
		ops := make([]byte, 300/shorter)
		for i := range ops {
			ops[i] = byte(random.Uint32())
		}
		followRandomLife(t, ops, seed)
	}
}

func FuzzCRC(f *testing.F) {
	f.Add([]byte("begin"), []byte("end"))
	f.Add([]byte{}, []byte{0})
	f.Add(bytes.Repeat([]byte{255}, 70_000), []byte{})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		joined := slices.Concat(a, b)
		if got := crcOf(a).then(crcOf(b)); got.sum != crc32.ChecksumIEEE(joined) || got != crcOf(joined) {
			t.Errorf("%x, want %x", got, crcOf(joined))
		}
	})
}
