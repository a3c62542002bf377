package service

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func testService(namespace, name, kind string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"kind": kind}}}
}

func testIdentify(svc *corev1.Service) *Backend {
	kind := svc.Labels["kind"]
	if kind == "" {
		return nil
	}
	name := svc.Name
	if n := svc.Annotations["name"]; n != "" {
		name = n
	}
	var pods *Pods
	if len(svc.Spec.Selector) > 0 {
		port := svc.Spec.Ports[0]
		pods = &Pods{Selector: svc.Spec.Selector, Port: port.TargetPort.IntVal, PortName: port.TargetPort.StrVal, ServicePort: port.Port, Headless: svc.Spec.ClusterIP == "None"}
	}
	return &Backend{
		Key: Key{svc.Namespace, svc.Name}, Name: name, Type: kind, Enabled: svc.Annotations["off"] == "",
		Pods: pods, Declared: len(svc.Annotations) > 0 && svc.Annotations["mere"] == "", Created: svc.CreationTimestamp.Time,
		Standing: Standing{Role: RoleServer, Headless: svc.Spec.ClusterIP == "None"},
		Primary:  svc.Annotations["primary"] != "",
		Endpoint: "http://" + svc.Name + "." + svc.Namespace + ".svc:80", Description: "a <" + kind + "> & more", Labels: svc.Labels,
		Probe: Probe{Kind: ProbeHTTP, URL: "http://" + svc.Name + svc.Annotations["path"]},
	}
}

// a list answer as a client sees it
type listed struct {
	Toolsets []struct {
		Name, Namespace, Type string
		Enabled, Healthy      bool
		HealthReason          string
	}
	Total int
}

func decode[T any](t *testing.T, b []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("not JSON: %v: %s", err, b)
	}
	return v
}

func gunzip(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("gzip: %v", err)
	}
	return plain
}

// Whatever is asked for, the answer is what a filter over the members says, and
// the compressed answer is the same document.
func TestFilteredAnswers(t *testing.T) {
	c := NewCatalogue(testIdentify, nil)
	random := rand.New(rand.NewPCG(1, 2))
	kinds, namespaces := []string{"prometheus", "grafana", "loki"}, []string{"a", "b", "c", "d"}
	var all []*corev1.Service
	for i := range 60 {
		s := testService(namespaces[random.IntN(4)], fmt.Sprintf("s%02d", i), kinds[random.IntN(3)])
		if i%5 == 0 {
			s.Annotations = map[string]string{"off": "1"}
		}
		if i == 7 {
			s.Labels["long"] = strings.Repeat("x", 200_000) // more than a stored block holds
		}
		all = append(all, s)
	}
	c.Replace(all)
	for i, s := range all {
		if i%3 == 0 {
			c.SetHealth(Key{s.Namespace, s.Name}, Health{Healthy: true, Reason: "fine", CheckedAt: time.Now()})
		}
	}
	c.Build()
	snap := c.Snapshot()
	whole := decode[listed](t, snap.Toolsets().JSON())
	if whole.Total != 60 || len(whole.Toolsets) != 60 {
		t.Fatalf("total %d, %d toolsets", whole.Total, len(whole.Toolsets))
	}
	if !slices.IsSortedFunc(whole.Toolsets, func(a, b struct {
		Name, Namespace, Type string
		Enabled, Healthy      bool
		HealthReason          string
	}) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	}) {
		t.Error("not in the order of namespace and name")
	}
	tags := map[string]Filter{}
	for _, kind := range append(kinds, "", "nothing") {
		for _, ns := range append(namespaces, "", "nowhere") {
			for _, enabled := range []Tri{Any, Yes, No} {
				for _, healthy := range []Tri{Any, Yes, No} {
					f := Filter{Enabled: enabled, Healthy: healthy, Type: []byte(kind), Namespace: []byte(ns)}
					want := 0
					for _, m := range whole.Toolsets {
						if (kind == "" || m.Type == kind) && (ns == "" || m.Namespace == ns) && enabled.admits(m.Enabled) && healthy.admits(m.Healthy) {
							want++
						}
					}
					plain := snap.Toolsets().AppendJSON(nil, &f)
					got := decode[listed](t, plain)
					if got.Total != want || len(got.Toolsets) != want {
						t.Errorf("%+v: total %d, %d toolsets, want %d", f, got.Total, len(got.Toolsets), want)
					}
					for _, col := range []*Collection{snap.Toolsets(), snap.Services()} {
						if !bytes.Equal(gunzip(t, col.AppendGzip(nil, &f)), col.AppendJSON(nil, &f)) {
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
	var whole2, packed bytes.Buffer
	for _, to := range []*bytes.Buffer{&whole2, &packed} {
		var stream Stream
		stream.Reset(snap.Toolsets().Answer, to == &packed)
		stream.WriteTo(to) //nolint:errcheck // a bytes.Buffer takes everything
	}
	if !bytes.Equal(gunzip(t, packed.Bytes()), whole2.Bytes()) {
		t.Error("the whole list compressed differs")
	}
}

func TestLookup(t *testing.T) {
	c := NewCatalogue(testIdentify, nil)
	c.Replace([]*corev1.Service{
		testService("a", "main", "prometheus"), testService("b", "main", "prometheus"), testService("b", "other", "grafana"),
		testService("c", "grafana", "loki"), testService("c", "x", "prometheus"), testService("c", "y", "prometheus"),
	})
	c.Build()
	for _, q := range []struct {
		name, namespace string
		want            Match
		endpoint        string
	}{
		{"main", "", Ambiguous, ""}, {"main", "a", Found, "http://main.a.svc:80"}, {"main", "c", Unknown, ""},
		{"grafana", "", Found, "http://grafana.c.svc:80"}, // a name comes before a type
		{"grafana", "b", Found, "http://other.b.svc:80"},  // by type, no grafana by name in b
		{"prometheus", "", Found, "http://main.a.svc:80"}, {"prometheus", "a", Found, "http://main.a.svc:80"}, {"prometheus", "c", Found, "http://x.c.svc:80"},
		{"", "", Unknown, ""}, {"nothing", "a", Unknown, ""},
	} {
		body, m := c.Snapshot().Lookup([]byte(q.name), []byte(q.namespace))
		if m != q.want {
			t.Errorf("%q in %q: %v, want %v", q.name, q.namespace, m, q.want)
		}
		if body != nil && !strings.Contains(string(body.JSON), `"serviceEndpoint":"`+q.endpoint+`"`) {
			t.Errorf("%q in %q: %s", q.name, q.namespace, body.JSON)
		}
	}
	if keys := c.Snapshot().Candidates([]byte("main"), nil, 9); fmt.Sprint(keys) != "[a/main b/main]" {
		t.Errorf("candidates %v", keys)
	}
}

// A lookup by type finds what is marked as the primary, or else what is first in the
// order; of several of a name that is their type, the one that alone is marked.
func TestLookupFindsThePrimary(t *testing.T) {
	marked := func(namespace, name, kind string) *corev1.Service {
		svc := testService(namespace, name, kind)
		svc.Annotations = map[string]string{"primary": "true"}
		return svc
	}
	plain := testService
	for what, q := range map[string]struct {
		services        []*corev1.Service
		name, namespace string
		found           string // empty: ambiguous
	}{
		"one of a type":                {[]*corev1.Service{plain("a", "x", "loki"), marked("b", "y", "loki"), plain("c", "z", "loki")}, "loki", "", "y.b"},
		"two of a type":                {[]*corev1.Service{marked("a", "x", "loki"), marked("b", "y", "loki"), plain("c", "z", "loki")}, "loki", "", "x.a"},
		"of another type":              {[]*corev1.Service{marked("a", "x", "tempo"), plain("b", "y", "loki"), plain("c", "z", "loki")}, "loki", "", "y.b"},
		"in another namespace":         {[]*corev1.Service{marked("a", "x", "loki"), plain("b", "y", "loki"), plain("b", "z", "loki")}, "loki", "b", "y.b"},
		"names are ambiguous":          {[]*corev1.Service{plain("a", "loki", "loki"), plain("b", "loki", "loki")}, "loki", "", ""},
		"also if two are marked":       {[]*corev1.Service{marked("a", "loki", "loki"), marked("b", "loki", "loki")}, "loki", "", ""},
		"in the namespace":             {[]*corev1.Service{marked("a", "x", "loki"), plain("b", "y", "loki"), marked("b", "z", "loki")}, "loki", "b", "z.b"},
		"the only one is found anyway": {[]*corev1.Service{marked("a", "x", "loki"), plain("b", "y", "loki")}, "loki", "b", "y.b"},
		"a name that is the type":      {[]*corev1.Service{plain("a", "loki", "loki"), marked("b", "loki", "loki")}, "loki", "", "loki.b"},
		"a name that is no type":       {[]*corev1.Service{plain("a", "main", "loki"), marked("b", "main", "loki")}, "main", "", ""},
		"a name comes first":           {[]*corev1.Service{plain("a", "loki", "tempo"), marked("b", "x", "loki"), plain("b", "y", "loki")}, "loki", "", "loki.a"},
	} {
		c := NewCatalogue(testIdentify, nil)
		c.Replace(q.services)
		c.Build()
		body, match := c.Snapshot().Lookup([]byte(q.name), []byte(q.namespace))
		switch {
		case q.found == "" && match != Ambiguous:
			t.Errorf("%s: %v", what, match)
		case q.found != "" && (match != Found || !strings.Contains(string(body.JSON), "http://"+q.found+".svc")):
			t.Errorf("%s: %v", what, match)
		}
	}
}

func TestNamesAreUniqueAndStable(t *testing.T) {
	named := func(ns, svc, name string) *corev1.Service {
		s := testService(ns, svc, "loki")
		s.Annotations = map[string]string{"name": name}
		return s
	}
	c := NewCatalogue(testIdentify, nil)
	c.Replace([]*corev1.Service{
		named("a", "b1", "metrics"), named("a", "b2", "metrics"), named("a", "metrics", "metrics"),
		named("a", "metrics-b1", "metrics-b1"), named("b", "b1", "metrics"),
	})
	names := func() string {
		c.Build()
		var of []string
		for _, p := range c.Snapshot().services.list.chunks[0].parts {
			of = append(of, p.of.name)
		}
		return strings.Join(of, " ")
	}
	if got, want := names(), "metrics-b1-2 metrics-b2 metrics metrics-b1 metrics"; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	c.Delete("a", "metrics")
	if got, want := names(), "metrics metrics-b2 metrics-b1 metrics"; got != want {
		t.Errorf("with one gone: got %v, want %v", got, want)
	}
	c.Upsert(testService("a", "metrics", "loki"))
	if got, want := names(), "metrics-b1-2 metrics-b2 metrics metrics-b1 metrics"; got != want {
		t.Errorf("with one back: got %v, want %v", got, want)
	}
}

// A burst becomes few snapshots, the first of them soon.
func TestBurstIsCoalesced(t *testing.T) {
	c := NewCatalogue(testIdentify, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	defer running.Wait()
	defer cancel()
	c.Replace(nil)
	for c.Snapshot() == nil {
		time.Sleep(time.Millisecond)
	}
	var snapshots int
	seen := make(chan int)
	stop := make(chan struct{})
	go func() {
		for last := c.Snapshot(); ; {
			select {
			case <-last.Superseded():
				snapshots++
				last = c.Snapshot()
			case <-stop:
				seen <- snapshots
				return
			}
		}
	}()
	for i := range 2000 {
		c.Upsert(testService("ns", fmt.Sprintf("s%04d", i), "prometheus"))
	}
	for end := time.Now().Add(time.Minute); c.Snapshot().Toolsets().Len() != 2000; {
		if time.Now().After(end) {
			t.Fatalf("only %d toolsets are visible", c.Snapshot().Toolsets().Len())
		}
		time.Sleep(time.Millisecond)
	}
	close(stop)
	if n := <-seen; n > 400 || n < 1 {
		t.Errorf("2,000 events became %d snapshots", n)
	}
}

// What did not change is not rendered again.
func TestRenderingIsIncremental(t *testing.T) {
	c := NewCatalogue(testIdentify, nil)
	var all []*corev1.Service
	for i := range 100 {
		all = append(all, testService("ns", fmt.Sprintf("s%03d", i), "prometheus"))
	}
	c.Replace(all)
	c.Build()
	var before []*rendered
	for _, r := range c.Snapshot().all {
		before = append(before, r)
	}
	c.Replace(all)
	changed := testService("ns", "s050", "grafana")
	c.Upsert(changed)
	c.Build()
	renewed := 0
	for i, r := range c.Snapshot().all {
		if r != before[i] {
			renewed++
		}
	}
	if renewed != 1 {
		t.Errorf("%d of 100 toolsets were rendered again", renewed)
	}
	changes, _, ok := c.Snapshot().ChangesSince(0)
	if !ok || len(changes) != 1 || changes[0].Kind != "updated" {
		t.Errorf("changes: %v %v", changes, ok)
	}
}

func TestHealthIsKeptAndReset(t *testing.T) {
	c := NewCatalogue(testIdentify, nil)
	s := testService("ns", "p", "prometheus")
	c.Replace([]*corev1.Service{s})
	c.Build()
	one := func() map[string]any {
		b, _ := c.Snapshot().Lookup([]byte("p"), nil)
		return decode[map[string]any](t, b.JSON)
	}
	if v := one(); v["healthy"] != false || v["healthReason"] != "not checked yet" || v["lastHealthCheck"] != nil {
		t.Errorf("before the first check: %v", v)
	}
	c.SetHealth(Key{"ns", "p"}, Health{Healthy: true, Reason: "fine", CheckedAt: time.Now(),
		History: []HealthCheck{{Time: time.Now().In(time.FixedZone("elsewhere", 3600)), Healthy: true, Reason: "fine", Attempts: 1}}})
	c.Build()
	if v := one(); v["healthy"] != true || len(v["healthHistory"].([]any)) != 1 {
		t.Errorf("after a check: %v", v)
	} else if at := v["healthHistory"].([]any)[0].(map[string]any)["time"].(string); !strings.HasSuffix(at, "Z") {
		t.Errorf("the time of a check is not UTC: %s", at)
	}
	relabelled := s.DeepCopy()
	relabelled.Labels["more"] = "1"
	c.Upsert(relabelled)
	c.Build()
	if v := one(); v["healthy"] != true {
		t.Errorf("a new label lost the health: %v", v)
	}
	moved := relabelled.DeepCopy()
	moved.Annotations = map[string]string{"path": "/elsewhere"}
	c.Upsert(moved)
	c.Build()
	if v := one(); v["healthy"] != false {
		t.Errorf("another probe kept the old health: %v", v)
	}
	c.SetHealth(Key{"ns", "gone"}, Health{Healthy: true}) // must not panic
}

func TestDocument(t *testing.T) {
	c := NewCatalogue(testIdentify, nil)
	off := testService("a", "off", "loki")
	off.Annotations = map[string]string{"off": "1"}
	c.Replace([]*corev1.Service{testService("a", "p", "prometheus"), off})
	c.Build()
	first := c.Snapshot().Document().JSON()
	want := `{"tools":[
{"name":"p","type":"prometheus","endpoint":"http://p.a.svc:80","description":"a <prometheus> & more","namespace":"a","config":{"url":"http://p.a.svc:80"}}
]}
`
	if string(first) != want {
		t.Errorf("got %s", first)
	}
	if found, err := Validate(first); err != nil || found != nil {
		t.Errorf("the generated document is not valid: %v %v", found, err)
	}
	c.SetHealth(Key{"a", "p"}, Health{Healthy: true, CheckedAt: time.Now()})
	c.Build()
	if !bytes.Equal(first, c.Snapshot().Document().JSON()) {
		t.Error("a health check changed the document: every agent would reload")
	}
}

// A written ConfigMap has another version, which the lists show at once and under another tag.
// That makes no snapshot, and nobody is told of one.
func TestConfigMapVersionIsNoNewSnapshot(t *testing.T) {
	c := NewCatalogue(testIdentify, nil)
	c.SetConfigMapVersion("1")
	c.Replace(clusterOf(300))
	c.Build()
	<-c.wake // what was to be built, has been
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	before := c.Snapshot()
	c.SetConfigMapVersion("2")
	after := c.Snapshot()
	for what, lists := range map[string][2]*Collection{"toolsets": {before.Toolsets(), after.Toolsets()}, "services": {before.Services(), after.Services()}} {
		was, is := string(lists[0].JSON()), string(lists[1].JSON())
		if want := strings.Replace(was, `"configMapVersion":"1"}`, `"configMapVersion":"2"}`, 1); was == want || is != want {
			t.Errorf("the %s end with %s", what, is[len(is)-50:])
		}
		if string(lists[0].ETag()) == string(lists[1].ETag()) {
			t.Errorf("the %s have the same tag", what)
		}
	}
	time.Sleep(4 * maxDelay) // the time to build one
	select {
	case <-before.Superseded():
		t.Error("who waits for a newer snapshot was told of one")
	default:
	}
	if !after.BuiltAt.Equal(before.BuiltAt) || after.Document() != before.Document() || after.Sequence() != before.Sequence() {
		t.Error("another snapshot was built")
	}
	cancel()
	running.Wait()
	c.Upsert(testService("ns", "new", "grafana"))
	c.Build()
	<-before.Superseded()
	if list := c.Snapshot().Toolsets().JSON(); !strings.Contains(string(list), `"configMapVersion":"2"`) {
		t.Error("the next snapshot has lost the version")
	}
}
