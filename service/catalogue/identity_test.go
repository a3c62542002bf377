package catalogue

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/overrides"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// An asked remembers what it was told to ask.
type asked struct {
	questions map[service.Key]service.Question
	recovered []service.Key
	probes    map[service.Key]service.Probe
}

func (a *asked) Set(k service.Key, q service.Question) { a.questions[k] = q }
func (a *asked) Remove(k service.Key)                  { delete(a.questions, k) }
func (a *asked) Recovered(k service.Key)               { a.recovered = append(a.recovered, k) }

// A checked is the Prober beside it.
type checked struct{ *asked }

func (c checked) Set(k service.Key, p service.Probe) { c.probes[k] = p }
func (c checked) Remove(k service.Key)               { delete(c.probes, k) }

const identityRules = `kinds:
- type: prometheus
  description: Metrics.
  names: [prometheus]
  ports: [{number: 9090}]
  health: {path: /-/healthy}
  identity: {product: Prometheus, proofs: [[{get: /info}]]}
- type: victoriametrics
  description: Other metrics.
  names: [victoriametrics]
  ports: [{number: 8428}]
  health: {path: /health}
  identity: {product: VictoriaMetrics, proofs: [[{get: /vm}]]}
- type: mimir
  description: Metrics of many.
  names: [mimir]
  ports: [{number: 9009}]
  apiPath: /prometheus
  health: {path: /ready}
  identity: {product: Grafana Mimir, proofs: [[{get: /ready}]]}
- type: silent
  description: It can't say what it is.
  names: [silent]
  ports: [{number: 7777}]
`

func newAsking(t *testing.T) (*Catalogue, *asked) {
	rules, err := detect.Load([]byte(identityRules), "rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	a := &asked{questions: map[service.Key]service.Question{}, probes: map[service.Key]service.Probe{}}
	identify := func(svc *corev1.Service) *service.Backend {
		if r := rules.Identify(svc, detect.Options{}); r.Backend != nil {
			return r.Backend
		} else {
			return r.Candidate
		}
	}
	c := New(identify, checked{a})
	c.Ask(Asking{Identifier: a, Question: rules.Question, Correct: rules.Correct})
	c.Replace(nil)
	return c, a
}

func svc(name string, port int32, selects string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": selects}, Ports: []corev1.ServicePort{{Name: "http", Port: port}}},
	}
}

type shownToolset struct {
	Type, ServiceEndpoint string
	Enabled               bool
	Config                map[string]string
	Identity              *struct {
		Verdict, Product, Version string
		Evidence                  []string
	}
	Access *struct{ Scheme, Path, Auth, TLS string }
}

// shown returns the toolset of a name; nil if there is none.
func shown(t *testing.T, c *Catalogue, name string) *shownToolset {
	t.Helper()
	c.Build()
	body, _ := c.Snapshot().Lookup([]byte(name), []byte("ns"))
	if body == nil {
		return nil
	}
	var s shownToolset
	if err := json.Unmarshal(body.JSON, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

func key(name string) service.Key { return service.Key{Namespace: "ns", Name: name} }

func verified(typ, url, path string) service.Identity {
	return service.Identity{Verdict: service.Verified, Type: typ, Product: strings.ToUpper(typ), Version: "1", URL: url, At: time.Now(),
		Access: service.Access{Scheme: url[:strings.Index(url, ":")], Path: path, Auth: service.AuthNone}}
}

const at = "://p.ns.svc.cluster.local:9090"

func TestWhatIsVerifiedIsShown(t *testing.T) {
	c, a := newAsking(t)
	c.Upsert(svc("p", 9090, "prometheus"))
	if got := shown(t, c, "p"); got.Identity == nil || got.Identity.Verdict != "unverified" || got.Access != nil || !got.Enabled {
		t.Errorf("before it has answered: %+v", got)
	}
	if q := a.questions[key("p")]; q.Type != "prometheus" || !slices.Equal(q.URLs, []string{"http" + at}) {
		t.Errorf("asks %+v", q)
	}
	c.SetIdentity(key("p"), verified("prometheus", "https"+at, "/prom"))
	got := shown(t, c, "p")
	if got.ServiceEndpoint != "https"+at || got.Config["url"] != "https"+at+"/prom" || got.Access.Path != "/prom" || got.Identity.Version != "1" {
		t.Errorf("verified: %+v %+v", got, got.Access)
	}
	if got := a.probes[key("p")].URL; got != "https"+at+"/prom/-/healthy" {
		t.Errorf("health is checked at %s", got)
	}
	if got := a.questions[key("p")].URLs[0]; got != "http"+at {
		t.Errorf("what it answered has changed the question: %s", got)
	}
	// It stays so when other things change, and not when the endpoint does.
	labelled := svc("p", 9090, "prometheus")
	labelled.Labels = map[string]string{"team": "a"}
	c.Upsert(labelled)
	if got := shown(t, c, "p"); got.Identity.Verdict != "verified" {
		t.Errorf("another label: %+v", got.Identity)
	}
	moved := svc("p", 9090, "prometheus")
	moved.Annotations = map[string]string{"kubernaut.io/toolset-endpoint": "http://elsewhere:9090"}
	c.Upsert(moved)
	if got := shown(t, c, "p"); got.Identity.Verdict != "unverified" || got.ServiceEndpoint != "http://elsewhere:9090" {
		t.Errorf("another endpoint: %+v", got)
	}
	c.Delete("ns", "p")
	if len(a.questions) != 0 {
		t.Errorf("it is still asked: %v", a.questions)
	}
}

// That a back end can't be asked for another reason than the last time is shown with the
// next part of the list, and makes no snapshot of its own: where names are not resolved in
// time, that is so for all back ends again and again. What it answers is shown at once.
func TestOtherEvidenceMakesNoSnapshot(t *testing.T) {
	c, _ := newAsking(t)
	c.Upsert(svc("p", 9090, "prometheus"))
	c.Build()
	woken := func() bool {
		select {
		case <-c.wake:
			return true
		default:
			return false
		}
	}
	woken()
	evidence := func() []string {
		body, _ := c.Snapshot().Lookup([]byte("p"), []byte("ns"))
		var s shownToolset
		if err := json.Unmarshal(body.JSON, &s); err != nil {
			t.Fatal(err)
		}
		return s.Identity.Evidence
	}
	// Nor does the first: what has not been asked yet is unverified as well.
	for i, why := range []string{"no name server answered", "the name does not resolve", "no name server answered"} {
		c.SetIdentity(key("p"), service.Identity{Verdict: service.Unverified, Evidence: []string{why}, At: time.Unix(int64(i+1), 0)})
		if woken() || len(c.dirty) > 0 {
			t.Errorf("%s: the answer %d makes a snapshot", why, i+1)
		}
		if c.sweep(); !slices.Equal(evidence(), []string{why}) {
			t.Errorf("shows %q, not %q", evidence(), why)
		}
	}
	if c.SetIdentity(key("p"), verified("prometheus", "http"+at, "")); !woken() || len(c.dirty) != 1 {
		t.Error("what is verified makes no snapshot")
	}
}

// What is not asked says so, since it would otherwise look like what has not answered yet.
func TestWhatIsNotAskedSaysSo(t *testing.T) {
	c, a := newAsking(t)
	c.Upsert(svc("s", 7777, "silent"))
	c.Build()
	f := c.Facts(key("s"), "")
	if id := f.Identity; len(a.questions) != 0 || id.Verdict != service.Unverified || len(id.Evidence) != 1 || !strings.Contains(id.Evidence[0], "not asked: no rule says how silent") {
		t.Errorf("%+v, asked: %v", id, a.questions)
	}
	c.Upsert(svc("s", 9090, "prometheus"))
	if f := c.Facts(key("s"), ""); len(a.questions) != 1 || len(f.Identity.Evidence) != 0 {
		t.Errorf("as a Prometheus: %+v, asked: %v", f.Identity, a.questions)
	}
}

func TestWhatIsRefutedIsDisabled(t *testing.T) {
	c, _ := newAsking(t)
	c.Upsert(svc("p", 9090, "prometheus"))
	c.SetIdentity(key("p"), service.Identity{Verdict: service.Refuted, Evidence: []string{"a web server"}})
	if got := shown(t, c, "p"); got.Enabled || got.Type != "prometheus" || got.Identity.Evidence[0] != "a web server" {
		t.Errorf("%+v", got)
	}
	if docs := string(c.Documents(snapshot.DocumentOptions{})[0].Bytes()); strings.Contains(docs, "p.ns.svc") {
		t.Errorf("it is in the documents:\n%s", docs)
	}
	o, wrong := overrides.Parse([]byte("toolsets: [{name: p, disable: false}]"))
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	c.SetOverrides(o)
	if got := shown(t, c, "p"); !got.Enabled {
		t.Error("an administrator has the last word")
	}
	c.SetOverrides(nil)
	c.SetIdentity(key("p"), verified("prometheus", "http"+at, ""))
	if got := shown(t, c, "p"); !got.Enabled {
		t.Error("it is what it should be, and not enabled")
	}
}

func TestAnotherKindAnswers(t *testing.T) {
	c, a := newAsking(t)
	c.Upsert(svc("p", 9090, "prometheus"))
	c.SetIdentity(key("p"), verified("victoriametrics", "http"+at, ""))
	if got := shown(t, c, "p"); got.Type != "victoriametrics" || !got.Enabled || a.probes[key("p")].URL != "http"+at+"/health" {
		t.Errorf("%+v, checked at %s", got, a.probes[key("p")].URL)
	}
	c.SetIdentity(key("p"), verified("mimir", "http"+at, "/m"))
	if got := shown(t, c, "p"); got.Type != "mimir" || got.Config["url"] != "http"+at+"/m/prometheus" || a.probes[key("p")].URL != "http"+at+"/m/ready" {
		t.Errorf("%+v, checked at %s", got, a.probes[key("p")].URL)
	}
	declared := svc("p", 9090, "prometheus")
	declared.Annotations = map[string]string{"kubernaut.io/toolset-type": "prometheus"}
	c.Upsert(declared)
	c.SetIdentity(key("p"), verified("victoriametrics", "http"+at, ""))
	if got := shown(t, c, "p"); got.Type != "prometheus" || got.Identity.Product != "VICTORIAMETRICS" {
		t.Errorf("its owner has declared the type: %+v", got)
	}
}

func TestCandidates(t *testing.T) {
	c, a := newAsking(t)
	candidate := svc("metrics-api", 9090, "shop")
	const url = "http://metrics-api.ns.svc.cluster.local:9090"
	c.Upsert(candidate)
	if q := a.questions[key("metrics-api")]; q.Type != "" || !slices.Equal(q.URLs, []string{url}) || !slices.Contains(q.Hints, "prometheus") {
		t.Fatalf("asks %+v", q)
	}
	if got := shown(t, c, "metrics-api"); got != nil {
		t.Fatalf("listed before it has answered: %+v", got)
	}
	c.SetIdentity(key("metrics-api"), service.Identity{Verdict: service.Unverified})
	if got := shown(t, c, "metrics-api"); got != nil {
		t.Fatalf("listed although it proved nothing: %+v", got)
	}
	c.SetIdentity(key("metrics-api"), verified("prometheus", url, "/prom"))
	for _, again := range []string{"", "relisted", "changed"} {
		switch again {
		case "relisted":
			c.Replace([]*corev1.Service{candidate})
		case "changed":
			other := candidate.DeepCopy()
			other.Labels = map[string]string{"a": "b"}
			c.Upsert(other)
		}
		if got := shown(t, c, "metrics-api"); got == nil || got.Type != "prometheus" || got.Config["url"] != url+"/prom" || got.Identity.Verdict != "verified" {
			t.Fatalf("%s: %+v", again, got)
		}
		if q := a.questions[key("metrics-api")]; q.Type != "" {
			t.Fatalf("%s: asks %+v", again, q)
		}
	}
	c.SetIdentity(key("metrics-api"), service.Identity{Verdict: service.Unverified})
	if got := shown(t, c, "metrics-api"); got != nil || len(a.probes) > 0 {
		t.Errorf("still listed: %+v %v", got, a.probes)
	}
	c.Upsert(svc("metrics-api", 9090, "prometheus"))
	if q := a.questions[key("metrics-api")]; q.Type != "prometheus" || shown(t, c, "metrics-api") == nil {
		t.Errorf("recognised now, but asks %+v", q)
	}
	c.Upsert(candidate)
	if q := a.questions[key("metrics-api")]; q.Type != "" || shown(t, c, "metrics-api") != nil {
		t.Errorf("a candidate again, but asks %+v", q)
	}
	c.Delete("ns", "metrics-api")
	if len(a.questions) != 0 {
		t.Errorf("it is still asked: %v", a.questions)
	}
}

func TestRecoveryIsTold(t *testing.T) {
	c, a := newAsking(t)
	c.Upsert(svc("p", 9090, "prometheus"))
	for i, healthy := range []bool{true, true, false, true, true} {
		c.SetHealth(key("p"), service.Health{Healthy: healthy, CheckedAt: time.Unix(int64(i+1), 0)})
	}
	if !slices.Equal(a.recovered, []service.Key{key("p")}) {
		t.Errorf("told of %v", a.recovered)
	}
}

func TestNobodyIsAskedWithoutAsking(t *testing.T) {
	rules := detect.Default()
	c := New(func(s *corev1.Service) *service.Backend { return rules.Identify(s, detect.Options{}).Backend }, nil)
	c.Replace([]*corev1.Service{svc("p", 9090, "prometheus")})
	if got := shown(t, c, "p"); got.Identity != nil || got.Access != nil {
		t.Errorf("%+v", got)
	}
}

// Whatever happens in whatever order: who is asked is what is listed or a candidate, and a
// catalogue that saw only the end shows the same.
func TestIdentitiesAfterAnyHistory(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewSource(seed))
	forms := []func(name string) *corev1.Service{
		func(n string) *corev1.Service { return svc(n, 9090, "prometheus") },
		func(n string) *corev1.Service { return svc(n, 9090, "shop") },
		func(n string) *corev1.Service { return svc(n, 8428, "victoriametrics") },
		func(n string) *corev1.Service { return svc(n, 80, "shop") },
		func(n string) *corev1.Service { return svc(n, 7777, "silent") },
	}
	for range 200 {
		c, a := newAsking(t)
		last := map[string]*corev1.Service{}
		identities := map[service.Key]service.Identity{}
		for range 30 {
			name := fmt.Sprint("s", random.Intn(3))
			switch random.Intn(6) {
			case 0, 1, 2:
				last[name] = forms[random.Intn(len(forms))](name)
				before := a.questions[key(name)]
				c.Upsert(last[name])
				if !a.questions[key(name)].Equal(before) {
					delete(identities, key(name))
				}
			case 3:
				delete(last, name)
				delete(identities, key(name))
				c.Delete("ns", name)
			case 4:
				c.Replace(slices.Collect(maps.Values(last)))
			default:
				if q, ok := a.questions[key(name)]; ok {
					id := []service.Identity{{Verdict: service.Unverified}, {Verdict: service.Refuted}, verified("prometheus", q.URLs[0], ""), verified("victoriametrics", q.URLs[0], "/x")}[random.Intn(4)]
					identities[key(name)] = id
					c.SetIdentity(key(name), id)
				}
			}
		}
		fresh, b := newAsking(t)
		fresh.Replace(slices.Collect(maps.Values(last)))
		for k, id := range identities {
			fresh.SetIdentity(k, id)
		}
		for name := range last {
			got, _ := json.Marshal(shown(t, c, name))
			want, _ := json.Marshal(shown(t, fresh, name))
			if string(got) != string(want) {
				t.Fatalf("%s:\n%s, want\n%s", name, got, want)
			}
		}
		if !maps.EqualFunc(a.questions, b.questions, service.Question.Equal) {
			t.Fatalf("asks %v, want %v", a.questions, b.questions)
		}
		if !maps.EqualFunc(a.probes, b.probes, service.Probe.Equal) {
			t.Fatalf("checks %v, want %v", a.probes, b.probes)
		}
	}
}
