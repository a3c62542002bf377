package explain_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/explain"
	"kubernaut.io/dynamic-toolset/service/overrides"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

var update = flag.Bool("update", false, "write the texts anew; read them before you commit them")

const inForce = `toolsets:
- {name: switched, namespace: logging, disable: true}
- {name: staging-api, type: prometheus}
- {name: prometheus-operated, disable: true}
- {name: billing-metrics, namespace: shop, add: true, type: custom, url: "http://billing.shop.svc.cluster.local:8080"}
`

// A world is a catalogue that recognises Services by the built-in rules.
type world struct {
	services  map[service.Key]*corev1.Service
	catalogue *catalogue.Catalogue
}

// none is a Prober that checks nothing.
type none struct{}

func (none) Set(service.Key, service.Probe) {}
func (none) Remove(service.Key)             {}

func newWorld(t testing.TB, doc string) *world {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "cluster.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{services: map[service.Key]*corev1.Service{}}
	for _, part := range strings.Split(string(b), "\n---\n")[1:] {
		svc := &corev1.Service{}
		if err := yaml.UnmarshalStrict([]byte(part), svc); err != nil {
			t.Fatal(err)
		}
		w.services[service.Key{Namespace: svc.Namespace, Name: svc.Name}] = svc
	}
	w.catalogue = catalogue.New(func(svc *corev1.Service) *service.Backend {
		return detect.Default().Identify(svc, detect.Options{}).Backend
	}, none{})
	w.override(t, doc)
	w.read()
	return w
}

func (w *world) override(t testing.TB, doc string) {
	t.Helper()
	o, wrong := overrides.Parse([]byte(doc))
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	w.catalogue.SetOverrides(o)
}

func (w *world) read() {
	var all []*corev1.Service
	for _, svc := range w.services {
		all = append(all, svc)
	}
	w.catalogue.Replace(all)
	w.catalogue.Build()
}

func (w *world) explain(key service.Key) *explain.Document {
	x := detect.Default().Explain(w.services[key], detect.Options{})
	name := key.Name
	if x.Result.Backend != nil {
		name = x.Result.Backend.Name
	}
	f := w.catalogue.Facts(key, name)
	return explain.Explain(key, &x, &f)
}

// These texts were read, and found good for somebody who has never seen the code.
func TestTexts(t *testing.T) {
	w := newWorld(t, inForce)
	w.catalogue.SetHealth(service.Key{Namespace: "monitoring", Name: "kps-kube-prometheus-stack-prometheus"},
		service.Health{Healthy: true, Reason: "answered 200", CheckedAt: time.Date(2026, 11, 29, 15, 0, 0, 0, time.UTC)})
	w.catalogue.Build()
	for key := range w.services {
		d := w.explain(key)
		file := filepath.Join("testdata", key.Namespace+"-"+key.Name+".txt")
		if *update {
			if err := os.WriteFile(file, d.Text(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Text(); !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", key, got, want)
		}
	}
}

// What an explanation promises happens: each change, made in a real catalogue, has the effect
// that its sentence says.
func TestChangesDoWhatTheyPromise(t *testing.T) {
	kinds := map[string]int{}
	for key := range newWorld(t, inForce).services {
		for i, c := range newWorld(t, inForce).explain(key).Change {
			w := newWorld(t, inForce)
			before := w.explain(key)
			if strings.HasPrefix(c.How, "remove disable: true from toolsets[0]") {
				w.override(t, strings.Replace(inForce, "disable: true", "disable: false", 1))
				w.catalogue.Build()
			} else if c.Override != "" {
				doc := inForce + "- " + c.Override + "\n"
				w.override(t, doc)
				w.catalogue.Build()
			} else {
				svc := w.services[key].DeepCopy()
				svc.Annotations = annotated(svc.Annotations, c.Annotations)
				w.services[key] = svc
				w.read()
			}
			kinds[checkPromise(t, w, key, before, c)]++
			if strings.Contains(c.How, "\n") || c.Effect == "" {
				t.Errorf("%s, change %d: %+v", key, i, c)
			}
		}
	}
	t.Log(kinds)
	for _, kind := range []string{"list", "add", "off", "disable", "primary", "split", "remove"} {
		if kinds[kind] == 0 {
			t.Errorf("no change for: %s", kind)
		}
	}
}

func annotated(old map[string]string, change map[string]*string) map[string]string {
	now := map[string]string{}
	for k, v := range old {
		now[k] = v
	}
	for k, v := range change {
		if delete(now, k); v != nil {
			now[k] = *v
		}
	}
	return now
}

// checkPromise compares what is after a change with its sentence, and returns the kind of
// promise.
func checkPromise(t *testing.T, w *world, key service.Key, before *explain.Document, c explain.Change) string {
	t.Helper()
	after := w.explain(key)
	has := func(text string) bool { return strings.Contains(c.Effect, text) }
	promised := func(is bool) {
		t.Helper()
		if !is {
			t.Errorf("%s: %s: promised is %q, but: %s", key, c.How, c.Effect, after.Text())
		}
	}
	switch {
	case has("is added, of the type"):
		f := w.catalogue.Facts(key, key.Name)
		promised(slices.ContainsFunc(f.Added, func(k service.Key) bool { return k == key }) || strings.Contains(c.Caution, "true address"))
		return "add"
	case c.Effect == "Agents are told of it.":
		promised(*after.Enabled)
		return "remove"
	case has("agents are not told of it"):
		promised(after.Listed && !*after.Enabled)
		return "disable"
	case has("is the primary of the type"):
		promised(after.Primary.Is)
		return "primary"
	case has("becomes its alias"):
		promised(after.AliasOf == nil && after.Toolset == key.String() && slices.Contains(after.Aliases, before.AliasOf.Toolset))
		return "split"
	case has("is an alias no longer"), has("It is not listed"):
		promised(!after.Listed)
		return "off"
	case has("It is listed"):
		promised(after.Listed && has("as the toolset "+after.Toolset+", of the type "+after.Type+", at "+after.Endpoint))
		return "list"
	}
	t.Errorf("%s: %s: no test knows the promise %q", key, c.How, c.Effect)
	return ""
}

// A name in an explanation never reaches a terminal as a control sequence.
func TestTextIsPrintable(t *testing.T) {
	w := newWorld(t, inForce)
	key := service.Key{Namespace: "shop", Name: "billing"}
	w.services[key].Annotations = map[string]string{
		"kubernaut.io/\x1b[31mx": "\x1b]0;title\x07\u202e" + strings.Repeat("long", 1000), detect.AnnotationType: "\x00\xff", "example.com/secret": "hidden",
	}
	d := w.explain(key)
	text := string(d.Text())
	if strings.ContainsAny(text, "\x1b\x07\x00\u202e\r\t") || strings.Contains(text, "hidden") || len(text) > 10_000 {
		t.Errorf("%q", text)
	}
	b, err := d.JSON()
	if err != nil || !json.Valid(b) || bytes.Contains(b, []byte("hidden")) {
		t.Errorf("%v %s", err, b)
	}
}

func TestMissing(t *testing.T) {
	others := []service.Key{{Namespace: "b", Name: "prometheus"}, {Namespace: "a", Name: "prometheus-server"}, {Namespace: "a", Name: "promtheus"}, {Namespace: "a", Name: "loki"}}
	for _, c := range []struct {
		key    service.Key
		others []service.Key
		want   string
	}{
		{service.Key{Namespace: "a", Name: "prometheus"}, others, `there is no Service "prometheus" in the namespace "a"; did you mean b/prometheus or a/promtheus or a/prometheus-server?`},
		{service.Key{Namespace: "b", Name: "x"}, others, `there is no Service "x" in the namespace "b"`},
		{service.Key{Namespace: "c", Name: "x"}, nil, `there is no Service "x", and none at all in the namespace "c"`},
		{service.Key{Namespace: "c", Name: strings.Repeat("\x00", 100)}, nil, `there is no Service "` + strings.Repeat(`\x00`, 64) + `"..., and none at all in the namespace "c"`},
	} {
		if got := explain.NewMissing(c.key, c.others).Error(); got != c.want {
			t.Errorf("got %s\nwant %s", got, c.want)
		}
	}
}

// What a back end answers may change what is listed.
func TestExplainsAnswers(t *testing.T) {
	w := newWorld(t, inForce)
	rules := detect.Default()
	candidate, wrong := service.Key{Namespace: "logging", Name: "tsdb"}, service.Key{Namespace: "shop", Name: "metrics"}
	at := time.Date(2026, 11, 29, 15, 0, 0, 0, time.UTC)

	x := rules.Explain(w.services[candidate], detect.Options{})
	f := catalogue.Facts{Candidate: true, Question: service.Question{URLs: []string{"http://tsdb.logging.svc.cluster.local:9090"}, Hints: []string{"prometheus"}}}
	d := explain.Explain(candidate, &x, &f)
	if d.Listed || !strings.Contains(d.Outcome, "will be asked who it is") || len(d.Asked) != 1 || d.Identity.Verdict != service.Unverified {
		t.Errorf("%s", d.Text())
	}
	f.Identity = service.Identity{Verdict: service.Unverified, Evidence: []string{"nothing listens there"}, At: at}
	if d = explain.Explain(candidate, &x, &f); d.Listed || !strings.Contains(d.Outcome, "nothing has answered yet") || d.Asked[0].Answer != "nothing listens there" {
		t.Errorf("%s", d.Text())
	}
	f.Identity = service.Identity{Verdict: service.Unverified, Access: service.Access{Scheme: "http"}, At: at, Evidence: []string{"its answers prove nothing", "GET /api/health answered 404",
		"GET /api/services is answered as by Jaeger, but nothing says which product it is"}}
	if d = explain.Explain(candidate, &x, &f); !strings.Contains(d.Outcome, "did not prove") || len(d.Asked) != 3 || d.Asked[0].Answer != "its answers prove nothing" ||
		d.Asked[1] != (explain.Asked{Request: "GET /api/health", Answer: "answered 404"}) ||
		d.Asked[2] != (explain.Asked{Request: "GET /api/services", Answer: "answered as by Jaeger, but nothing says which product it is"}) {
		t.Errorf("%s", d.Text())
	}
	f.Identity = service.Identity{Verdict: service.Verified, Type: "prometheus", Product: "Prometheus", Version: "3.5.0", Evidence: []string{"GET /api/v1/status/buildinfo answered as Prometheus 3.5.0"}, At: at}
	f.Backend = &service.Backend{Key: candidate, Name: "tsdb", Type: "prometheus", Enabled: true, Endpoint: f.Question.URLs[0]}
	f.Place = &snapshot.Place{Toolset: candidate, Primary: candidate, WhyPrimary: "the only one of this type"}
	if d = explain.Explain(candidate, &x, &f); !d.Listed || !strings.Contains(d.Outcome, "has said what it is") ||
		d.Asked[0] != (explain.Asked{Request: "GET /api/v1/status/buildinfo", Answer: "answered as Prometheus 3.5.0"}) || !strings.Contains(string(d.Text()), "verified Prometheus 3.5.0") {
		t.Errorf("%s", d.Text())
	}

	w.catalogue = catalogue.New(func(svc *corev1.Service) *service.Backend { return rules.Identify(svc, detect.Options{}).Backend }, none{})
	w.catalogue.Ask(catalogue.Asking{Identifier: silent{}, Question: rules.Question, Correct: rules.Correct})
	w.read()
	w.catalogue.SetIdentity(wrong, service.Identity{Verdict: service.Refuted, Evidence: []string{"it answers, but not as Prometheus or any other known product"}, At: at})
	w.catalogue.Build()
	d = w.explain(wrong)
	last := d.Change[len(d.Change)-1]
	if !d.Listed || *d.Enabled || !strings.Contains(d.Outcome, "answered as something else") || !strings.Contains(last.Override, "disable: false") {
		t.Fatalf("%s", d.Text())
	}
	w.override(t, "toolsets:\n- "+last.Override+"\n")
	w.catalogue.Build()
	if d = w.explain(wrong); !*d.Enabled {
		t.Errorf("%s", d.Text())
	}

	// A kind that can't prove what it is is asked nowhere.
	f = catalogue.Facts{Backend: f.Backend, Place: f.Place, Identity: service.Identity{Verdict: service.Unverified, Evidence: []string{"not asked: no rule says how custom proves what it is"}}}
	if d = explain.Explain(candidate, &x, &f); len(d.Asked) != 1 || d.Asked[0].Request != "who it is" || !strings.Contains(string(d.Text()), "not asked: no rule says how") {
		t.Errorf("%s", d.Text())
	}
}

// silent is an Identifier that asks nobody.
type silent struct{}

func (silent) Set(service.Key, service.Question) {}
func (silent) Remove(service.Key)                {}
func (silent) Recovered(service.Key)             {}
