package snapshot_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8syaml "sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
	"kubernaut.io/dynamic-toolset/service/overrides"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

var update = flag.Bool("update", false, "write the golden files anew")

// exampleServices reads the Services of the example cluster.
func exampleServices(t *testing.T) []*corev1.Service {
	t.Helper()
	files, err := filepath.Glob("../../examples/cluster/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("found no examples: %v", err)
	}
	var all []*corev1.Service
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for doc := range bytes.SplitSeq(data, []byte("\n---\n")) {
			if svc := new(corev1.Service); bytes.Contains(doc, []byte("kind: Service")) {
				if err := k8syaml.UnmarshalStrict(doc, svc); err != nil {
					t.Fatal(err)
				}
				all = append(all, svc)
			}
		}
	}
	return all
}

// svc returns a Service that is recognised as a back end of this kind.
func svc(namespace, name, app string, port int32, annotations map[string]string) *corev1.Service {
	s := &corev1.Service{}
	s.Namespace, s.Name, s.Annotations = namespace, name, annotations
	s.Spec.Selector = map[string]string{"app": app}
	s.Spec.Ports = []corev1.ServicePort{{Port: port}}
	return s
}

// alone gives a Service pods of its own.
func alone(s *corev1.Service) *corev1.Service {
	s.Spec.Selector["instance"] = s.Name
	return s
}

func newCatalogue(services ...*corev1.Service) *catalogue.Catalogue {
	rules := detect.Default()
	c := catalogue.New(func(s *corev1.Service) *service.Backend { return rules.Identify(s, detect.Options{}).Backend }, nil)
	c.Replace(services)
	c.Build()
	return c
}

// documents returns both documents, after it has checked that they are valid.
func documents(t *testing.T, c *catalogue.Catalogue) (forKubernaut, forHolmes *service.Document) {
	t.Helper()
	docs := c.Snapshot().Documents(snapshot.DocumentOptions{})
	if len(docs) != 2 || docs[0].Key != kubernaut.Key || docs[1].Key != holmesgpt.Key {
		t.Fatalf("got %d documents: %+v", len(docs), docs)
	}
	for i := range docs {
		checkDocument(t, docs[i].Key, docs[i].Bytes())
		if n := len(docs[i].Bytes()); n != docs[i].Size() {
			t.Errorf("%s has %d bytes, Size says %d", docs[i].Key, n, docs[i].Size())
		}
	}
	return &docs[0], &docs[1]
}

func checkDocument(t *testing.T, key string, doc []byte) {
	t.Helper()
	if key == holmesgpt.Key {
		if err := holmesgpt.Check(doc); err != nil {
			t.Fatalf("HolmesGPT would refuse it: %v\n%s", err, doc)
		}
		return
	}
	if wrong, err := kubernaut.Validate(doc); err != nil || len(wrong) > 0 {
		t.Fatalf("%v %v\n%s", wrong, err, doc)
	}
}

// toolsetKeys returns the keys configured for HolmesGPT, with the address if there is one.
func toolsetKeys(t *testing.T, d *service.Document) map[string]string {
	t.Helper()
	var doc struct {
		Toolsets map[string]struct{ Config map[string]any }
	}
	if err := yaml.Unmarshal(d.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for key, ts := range doc.Toolsets {
		url := ""
		for _, field := range []string{"url", "prometheus_url", "api_url"} {
			if s, ok := ts.Config[field].(string); ok {
				url = s
			}
		}
		out[key] = url
	}
	delete(out, "dynamic-toolset")
	return out
}

// The documents for the example cluster, as files to read.
func TestExampleDocuments(t *testing.T) {
	c := newCatalogue(exampleServices(t)...)
	for _, d := range c.Snapshot().Documents(snapshot.DocumentOptions{}) {
		checkDocument(t, d.Key, d.Bytes())
		golden := filepath.Join("testdata", "example."+d.Key)
		if *update {
			if err := os.WriteFile(golden, d.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(d.Bytes(), want) {
			t.Errorf("%s is not as in %s; if it is right, write it anew with -update. Got:\n%s", d.Key, golden, d.Bytes())
		}
	}
	// The API serves the same document as is in the ConfigMap.
	forKubernaut, _ := documents(t, c)
	if got := c.Snapshot().Document(); !bytes.Equal(got.JSON(), forKubernaut.Bytes()) {
		t.Errorf("the API's document is another one:\n%s", got.JSON())
	}
}

// Pieces form documents that are complete in themselves, so that a large one can be split.
func TestDocumentsInPieces(t *testing.T) {
	forKubernaut, forHolmes := documents(t, newCatalogue(exampleServices(t)...))
	for _, d := range []*service.Document{forKubernaut, forHolmes} {
		for n := range d.Entries {
			for _, part := range [][][]byte{d.Entries[:n+1], d.Entries[n:], d.Entries[n : n+1]} {
				piece := *d
				piece.Entries = part
				checkDocument(t, d.Key, piece.Bytes())
			}
		}
		if len(d.Entries) < 10 {
			t.Errorf("%s has %d entries", d.Key, len(d.Entries))
		}
	}
}

func TestDocumentsOfNothing(t *testing.T) {
	c := newCatalogue()
	forKubernaut, forHolmes := documents(t, c)
	if got, want := string(forKubernaut.Bytes()), string(c.Snapshot().Document().JSON()); got != want {
		t.Errorf("got %q, the API has %q", got, want)
	}
	if keys := toolsetKeys(t, forHolmes); len(keys) > 0 {
		t.Errorf("there are %v", keys)
	}
}

// The documents don't change with a single bad check, or for a back end that comes and
// goes. A back end that stays away loses its place to one that is there.
func TestHealthAndTheChoice(t *testing.T) {
	c := newCatalogue(svc("a", "loki", "loki", 3100, nil), svc("b", "loki", "loki", 3100, nil))
	const first, second = "http://loki.a.svc.cluster.local:3100", "http://loki.b.svc.cluster.local:3100"
	at := time.Now()
	check := func(namespace string, history ...bool) {
		h := service.Health{Healthy: history[0], CheckedAt: at}
		for _, ok := range history {
			h.History = append(h.History, service.HealthCheck{Time: at, Healthy: ok})
		}
		at = at.Add(time.Second)
		c.SetHealth(service.Key{Namespace: namespace, Name: "loki"}, h)
		c.Build()
	}
	chosen := func(what, want string) {
		t.Helper()
		_, forHolmes := documents(t, c)
		if got := toolsetKeys(t, forHolmes)["grafana/loki"]; got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	chosen("nothing is known", first)
	check("b", true)
	chosen("the second is healthy, the first not checked yet", first)
	check("a", false, true, false)
	chosen("the first comes and goes", first)
	check("a", false, false, false)
	chosen("the first stays away", second)
	check("b", false, false, false)
	chosen("both stay away", first)
	check("a", true, false, false)
	chosen("the first is back", first)
}

// Lookups by type and both documents prefer the same back end, for every reason that there
// is. The documents change only when the primary does: not when its health comes and goes,
// nor with the health of others.
func TestOnePrimaryEverywhere(t *testing.T) {
	at := func(s *corev1.Service, year int) *corev1.Service {
		s.CreationTimestamp = metav1.NewTime(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC))
		return alone(s)
	}
	young := at(svc("a", "logs-a", "loki", 3100, nil), 2026)
	old := at(svc("b", "logs-b", "loki", 3100, nil), 2024)
	mid := at(svc("c", "logs-c", "loki", 3100, nil), 2025)
	c := newCatalogue(young, old, mid)
	check := func(s *corev1.Service, history ...bool) {
		h := service.Health{Healthy: history[0], CheckedAt: time.Now()}
		for _, ok := range history {
			h.History = append(h.History, service.HealthCheck{Healthy: ok})
		}
		c.SetHealth(service.Key{Namespace: s.Namespace, Name: s.Name}, h)
	}
	var before string
	step := func(what, primary, reason, alternatives string, same bool) {
		t.Helper()
		c.Build()
		body, _ := c.Snapshot().Lookup([]byte("loki"), nil)
		var got struct {
			Name, ServiceEndpoint, PrimaryReason string
			Alternatives                         []string
		}
		if err := json.Unmarshal(body.JSON, &got); err != nil {
			t.Fatal(err)
		}
		if got.Name != primary || !strings.Contains(got.PrimaryReason, reason) || strings.Join(got.Alternatives, " ") != alternatives {
			t.Errorf("%s: %+v", what, got)
		}
		forKubernaut, forHolmes := documents(t, c)
		var doc struct{ Tools []kubernaut.Tool }
		if err := json.Unmarshal(forKubernaut.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		if doc.Tools[0].Name != primary || toolsetKeys(t, forHolmes)["grafana/loki"] != got.ServiceEndpoint {
			t.Errorf("%s: toolset.json has %s first, HolmesGPT gets %s, and a lookup finds %s", what, doc.Tools[0].Name, toolsetKeys(t, forHolmes)["grafana/loki"], got.ServiceEndpoint)
		}
		if served := c.Snapshot().Document().JSON(); !bytes.Equal(served, forKubernaut.Bytes()) {
			t.Errorf("%s: the API's document is another one: %s", what, served)
		}
		now := string(forKubernaut.Bytes()) + string(forHolmes.Bytes())
		if same != (now == before) {
			t.Errorf("%s: the documents are the same: %v", what, !same)
		}
		before = now
	}
	step("nothing is known", "logs-b", "older than", "c/logs-c a/logs-a", false)
	check(old, false, true, false, false, false)
	step("it comes and goes", "logs-b", "older than", "c/logs-c a/logs-a", true)
	check(mid, false, false, false, false, false)
	step("another is down", "logs-b", "older than", "a/logs-a c/logs-c", true)
	check(mid, true, false, false, false, false)
	check(old, false, false, false, false, false)
	step("it is down", "logs-c", "b/logs-b has failed all of its last health checks", "a/logs-a b/logs-b", false)
	check(old, true, false, false, false, false)
	step("it is back", "logs-b", "older than", "c/logs-c a/logs-a", false)
	marked := young.DeepCopy()
	marked.Annotations = map[string]string{"kubernaut.io/toolset-primary": "true"}
	c.Upsert(marked)
	check(marked, false, false, false, false, false)
	step("annotated, and down", "logs-a", "an annotation", "b/logs-b c/logs-c", false)
	o, wrong := overrides.Parse([]byte("toolsets: [{name: logs-c, primary: true}]"))
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	c.SetOverrides(o)
	step("an administrator's", "logs-c", "overrides", "a/logs-a b/logs-b", false)
	c.Delete("c", "logs-c")
	c.Delete("a", "logs-a")
	step("alone", "logs-b", "the only one", "", false)
}

// A toolset that an override disables is in no document, though it is listed. One that is
// added is in both. The primary of an override comes before that of an annotation.
func TestOverriddenDocuments(t *testing.T) {
	c := newCatalogue(
		svc("a", "loki", "loki", 3100, nil),
		svc("b", "loki", "loki", 3100, map[string]string{"kubernaut.io/toolset-primary": "true"}),
		svc("c", "loki", "loki", 3100, nil),
	)
	_, forHolmes := documents(t, c)
	if got := toolsetKeys(t, forHolmes)["grafana/loki"]; got != "http://loki.b.svc.cluster.local:3100" {
		t.Errorf("the annotated one is not chosen, but %s", got)
	}
	o, wrong := overrides.Parse([]byte(`
toolsets:
- {name: loki, namespace: a, disable: true}
- {name: loki, namespace: c, primary: true}
- {name: traces, namespace: cloud, add: true, type: tempo, url: "https://tempo.example.com"}
`))
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	c.SetOverrides(o)
	c.Build()
	forKubernaut, forHolmes := documents(t, c)
	got := toolsetKeys(t, forHolmes)
	want := map[string]string{
		"grafana/loki": "http://loki.c.svc.cluster.local:3100", "discovered/grafana-loki": "",
		"grafana/tempo": "https://tempo.example.com", "discovered/grafana-tempo": "",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("HolmesGPT has %v, want %v", got, want)
	}
	var doc struct{ Tools []kubernaut.Tool }
	if err := json.Unmarshal(forKubernaut.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	var tools []string
	for _, tool := range doc.Tools {
		tools = append(tools, tool.Namespace+"/"+tool.Name)
	}
	if s := strings.Join(tools, " "); s != "c/loki b/loki cloud/traces" {
		t.Errorf("Kubernaut has %s", s)
	}
	if body, match := c.Snapshot().Lookup([]byte("loki"), []byte("a")); match != snapshot.Found || !bytes.Contains(body.JSON, []byte(`"enabled":false`)) {
		t.Errorf("the one that is switched off: %v", match)
	}
	if body, match := c.Snapshot().Lookup([]byte("loki"), nil); match != snapshot.Found || !bytes.Contains(body.JSON, []byte(`"namespace":"c"`)) {
		t.Errorf("a lookup by the type does not find the administrator's choice: %v", match)
	}
	c.SetOverrides(nil)
	c.Build()
	_, again := documents(t, c)
	if got := toolsetKeys(t, again)["grafana/loki"]; got != "http://loki.b.svc.cluster.local:3100" {
		t.Errorf("without overrides: %s", got)
	}
}

// A change of one toolset renders one entry. The others are not only equal, but the same
// slices.
func TestOneChangeRendersOneEntry(t *testing.T) {
	var all []*corev1.Service
	for i := range 50 {
		all = append(all, alone(svc("shop", fmt.Sprintf("jaeger-%02d", i), "jaeger", 16686, nil)))
	}
	c := newCatalogue(all...)
	_, before := documents(t, c)
	c.Upsert(alone(svc("shop", "jaeger-25", "jaeger", 16686, map[string]string{"kubernaut.io/toolset-description": "Changed."})))
	c.SetHealth(service.Key{Namespace: "shop", Name: "jaeger-30"}, service.Health{Healthy: true, CheckedAt: time.Now()})
	c.Build()
	_, after := documents(t, c)
	if len(before.Entries) != 50 || len(after.Entries) != 50 {
		t.Fatalf("%d and %d entries", len(before.Entries), len(after.Entries))
	}
	for i := range after.Entries {
		if i == 0 { // it has a comment about all
			continue
		}
		if same := &after.Entries[i][0] == &before.Entries[i][0]; same != (i != 25) {
			t.Errorf("entry %d: rendered anew: %v", i, !same)
		}
	}
}

func BenchmarkDocuments(b *testing.B) {
	var all []*corev1.Service
	for i := range 10_000 {
		all = append(all, alone(svc("shop", fmt.Sprintf("jaeger-%05d", i), "jaeger", 16686, nil)))
	}
	c := newCatalogue(all...)
	c.Snapshot().Documents(snapshot.DocumentOptions{})
	for i := 0; b.Loop(); i++ {
		c.Upsert(alone(svc("shop", "jaeger-00025", "jaeger", 16686, map[string]string{"kubernaut.io/toolset-description": fmt.Sprint(i)})))
		c.Build()
		c.Snapshot().Documents(snapshot.DocumentOptions{})
	}
}
