package transport_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	k8syaml "sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// whichServices reads Services from testdata/which.
func whichServices(t *testing.T, files ...string) (all []*corev1.Service) {
	t.Helper()
	for _, file := range files {
		data, err := os.ReadFile("testdata/which/" + file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		for doc := range bytes.SplitSeq(data, []byte("\n---\n")) {
			svc := new(corev1.Service)
			if err := k8syaml.UnmarshalStrict(doc, svc); err != nil {
				t.Fatal(err)
			}
			all = append(all, svc)
		}
	}
	return all
}

// A whichToolset is a toolset as clients see it.
type whichToolset struct {
	Name, Namespace, Type, ServiceEndpoint string
	Enabled                                bool
	Aliases                                []string
	PrimaryReason                          string
	Alternatives                           []string
	AlternativesOmitted                    int
}

func (w *whichToolset) String() string { return w.Namespace + "/" + w.Name }

func getToolset(t *testing.T, f *fixture, path string) *whichToolset {
	t.Helper()
	r := f.do("GET", "/api/v1/toolsets/"+path, "")
	if r.StatusCode != 200 {
		t.Fatalf("%s: %s", path, r)
	}
	v := new(whichToolset)
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatal(err)
	}
	return v
}

// startWith runs a server whose catalogue has these Services, recognised by the rules.
func startWith(t *testing.T, services []*corev1.Service) *fixture {
	t.Helper()
	rules := detect.Default()
	var c *catalogue.Catalogue
	f := start(t, func(o *options) {
		c = catalogue.New(func(s *corev1.Service) *service.Backend { return rules.Identify(s, detect.Options{}).Backend }, nil)
		c.Replace(services)
		c.Build()
		o.Catalogue = c
	})
	f.catalogue = c
	return f
}

// Which of several toolsets is used in well-known installations, through the API: by
// type, by name, by alias, in the lists and in both documents.
func TestWhichOfSeveral(t *testing.T) {
	for _, c := range []struct {
		what    string
		files   []string
		byType  map[string]string // type, perhaps with ?namespace= -> namespace/name of the primary
		others  map[string]string // type -> its alternatives
		aliases map[string]string // namespace/name of an alias -> of the toolset
		reason  map[string]string // type -> a part of the reason
	}{
		{
			what:  "kube-prometheus-stack",
			files: []string{"kube-prometheus-stack"},
			byType: map[string]string{
				"prometheus": "monitoring/kps-kube-prometheus-stack-prometheus", "alertmanager": "monitoring/kps-kube-prometheus-stack-alertmanager",
				"grafana": "monitoring/kps-grafana",
			},
			others: map[string]string{"prometheus": "", "alertmanager": "", "grafana": ""},
			aliases: map[string]string{
				"monitoring/prometheus-operated":   "monitoring/kps-kube-prometheus-stack-prometheus",
				"monitoring/alertmanager-operated": "monitoring/kps-kube-prometheus-stack-alertmanager",
			},
			reason: map[string]string{"prometheus": "the only one"},
		},
		{
			what:  "Kubecost beside it, which is older and before it by the alphabet",
			files: []string{"kubecost", "kube-prometheus-stack"},
			byType: map[string]string{
				"prometheus": "monitoring/kps-kube-prometheus-stack-prometheus", "grafana": "monitoring/kps-grafana",
				"prometheus?namespace=kubecost": "kubecost/kubecost-prometheus-server",
			},
			others:  map[string]string{"prometheus": "kubecost/kubecost-prometheus-server", "grafana": "kubecost/kubecost-grafana"},
			aliases: map[string]string{"monitoring/prometheus-operated": "monitoring/kps-kube-prometheus-stack-prometheus"},
			reason:  map[string]string{"prometheus": "kubecost"},
		},
		{
			what:    "Loki, simple scalable",
			files:   []string{"loki"},
			byType:  map[string]string{"loki": "logging/loki-gateway"},
			aliases: map[string]string{"logging/loki-read-headless": "logging/loki-read"},
			reason:  map[string]string{"loki": "the entry point"},
		},
		{
			what:   "an ECK cluster",
			files:  []string{"eck"},
			byType: map[string]string{"elasticsearch": "elastic/quickstart-es-http"},
			aliases: map[string]string{
				"elastic/quickstart-es-internal-http": "elastic/quickstart-es-http",
				"elastic/quickstart-es-masters":       "elastic/quickstart-es-http",
				"elastic/quickstart-es-data":          "elastic/quickstart-es-http",
			},
		},
		{
			what:   "two Prometheis of one operator",
			files:  []string{"two-prometheis"},
			byType: map[string]string{"prometheus": "observability/prometheus-nodes"}, // the older
			others: map[string]string{"prometheus": "observability/prometheus-apps observability/prometheus-operated"},
			reason: map[string]string{"prometheus": "older than"},
		},
		{
			what:    "lensapp/lens#2529",
			files:   []string{"report-kps-list"},
			byType:  map[string]string{"prometheus": "default/prometheus-kube-prometheus-prometheus", "grafana": "default/prometheus-grafana"},
			aliases: map[string]string{"default/prometheus-operated": "default/prometheus-kube-prometheus-prometheus"},
		},
		{
			what:    "prometheus-community/helm-charts#1511",
			files:   []string{"report-per-replica"},
			byType:  map[string]string{"alertmanager": "monitoring/kps-alertmanager"},
			others:  map[string]string{"alertmanager": ""},
			aliases: map[string]string{"monitoring/kps-alertmanager-0": "monitoring/kps-alertmanager"},
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			f := startWith(t, whichServices(t, c.files...))
			primaries := map[string]string{}
			for kind, want := range c.byType {
				got := getToolset(t, f, kind)
				if got.String() != want || got.PrimaryReason == "" || got.Alternatives == nil {
					t.Errorf("%s: got %+v, want %s", kind, got, want)
				}
				if kind, _, inOne := strings.Cut(kind, "?"); !inOne {
					primaries[kind] = got.ServiceEndpoint
				}
				if others, ok := c.others[kind]; ok && strings.Join(got.Alternatives, " ") != others {
					t.Errorf("%s: alternatives %v, want %s", kind, got.Alternatives, others)
				}
				if !strings.Contains(got.PrimaryReason, c.reason[kind]) {
					t.Errorf("%s: %q, want %q in it", kind, got.PrimaryReason, c.reason[kind])
				}
				namespace, name, _ := strings.Cut(want, "/")
				byName := getToolset(t, f, name+"?namespace="+namespace)
				if byName.String() != want || byName.PrimaryReason != "" || !slices.Equal(byName.Aliases, got.Aliases) {
					t.Errorf("%s by its name: %+v", want, byName)
				}
			}
			listed := listedToolsets(t, f)
			for alias, of := range c.aliases {
				namespace, name, _ := strings.Cut(alias, "/")
				for _, path := range []string{name, name + "?namespace=" + namespace} {
					if got := getToolset(t, f, path); got.String() != of || !slices.Contains(got.Aliases, alias) {
						t.Errorf("%s: got %+v, want %s", path, got, of)
					}
				}
				if slices.ContainsFunc(listed, func(w whichToolset) bool { return w.String() == alias }) {
					t.Errorf("%s is listed as a toolset", alias)
				}
			}
			checkServicesList(t, f, listed)
			checkWhichDocuments(t, f, primaries)
		})
	}
}

func listedToolsets(t *testing.T, f *fixture) []whichToolset {
	t.Helper()
	var list struct{ Toolsets []whichToolset }
	if err := json.Unmarshal(f.do("GET", "/api/v1/toolsets", "").body, &list); err != nil {
		t.Fatal(err)
	}
	return list.Toolsets
}

// checkServicesList checks that every Service belongs to a toolset, or is an alias that
// names one.
func checkServicesList(t *testing.T, f *fixture, toolsets []whichToolset) {
	t.Helper()
	var list struct {
		Services []struct{ Name, Namespace, AliasOf string }
	}
	if err := json.Unmarshal(f.do("GET", "/api/v1/services", "").body, &list); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, w := range toolsets {
		n += 1 + len(w.Aliases)
	}
	if n != len(list.Services) {
		t.Errorf("%d Services, and %d with the toolsets and their aliases", len(list.Services), n)
	}
	for _, s := range list.Services {
		key := s.Namespace + "/" + s.Name
		i := slices.IndexFunc(toolsets, func(w whichToolset) bool { return w.String() == key || slices.Contains(w.Aliases, key) })
		if i < 0 || (s.AliasOf == "") != (toolsets[i].String() == key) || s.AliasOf != "" && s.AliasOf != toolsets[i].String() {
			t.Errorf("the Service %+v is not where it belongs", s)
		}
	}
}

// checkWhichDocuments checks that both documents prefer the same toolsets as lookups.
func checkWhichDocuments(t *testing.T, f *fixture, primaries map[string]string) {
	t.Helper()
	var doc struct{ Tools []kubernaut.Tool }
	if err := json.Unmarshal(f.do("GET", "/api/v1/toolset", "").body, &doc); err != nil {
		t.Fatal(err)
	}
	first := map[string]string{}
	for _, tool := range doc.Tools {
		if first[tool.Type] == "" {
			first[tool.Type] = tool.Endpoint
		}
	}
	var holmes struct {
		Toolsets map[string]struct{ Config map[string]any }
	}
	if err := yaml.Unmarshal(f.catalogue.Snapshot().Documents(snapshot.DocumentOptions{})[1].Bytes(), &holmes); err != nil {
		t.Fatal(err)
	}
	for kind, endpoint := range primaries {
		if first[kind] != endpoint {
			t.Errorf("toolset.json has %s first of %s, and a lookup finds %s", first[kind], kind, endpoint)
		}
		builtin := map[string][2]string{
			"prometheus": {"prometheus/metrics", "prometheus_url"}, "grafana": {"grafana/dashboards", "api_url"},
			"loki": {"grafana/loki", "api_url"}, "elasticsearch": {"elasticsearch/data", "api_url"},
		}[kind]
		if builtin[0] == "" {
			continue
		}
		config := holmes.Toolsets[builtin[0]].Config
		if got := config[builtin[1]]; got != endpoint {
			t.Errorf("HolmesGPT gets %v of %s, and a lookup finds %s", got, kind, endpoint)
		}
	}
}

// When the Service of a toolset is deleted its alias takes over, and watchers are told;
// the same in reverse when it comes back.
func TestAnAliasTakesOver(t *testing.T) {
	all := whichServices(t, "kube-prometheus-stack")
	f := startWith(t, all)
	const main, alias = "kps-kube-prometheus-stack-prometheus", "prometheus-operated"
	before := f.catalogue.Snapshot().Sequence()
	changes := func() string {
		s := f.catalogue.Snapshot()
		list, _, ok := s.ChangesSince(before)
		if !ok {
			t.Fatal("changes are lost")
		}
		before = s.Sequence()
		var told []string
		for _, c := range list {
			var v struct{ Toolset whichToolset }
			if err := json.Unmarshal(c.Data, &v); err != nil {
				t.Fatal(err)
			}
			told = append(told, c.Kind+" "+v.Toolset.Name+strings.Join(v.Toolset.Aliases, ","))
		}
		return strings.Join(told, "; ")
	}
	f.catalogue.Delete("monitoring", main)
	f.catalogue.Build()
	if got, want := changes(), "removed "+main+"monitoring/"+alias+"; added "+alias; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, path := range []string{"prometheus", alias} {
		if got := getToolset(t, f, path); got.Name != alias || len(got.Aliases) > 0 {
			t.Errorf("%s: %+v", path, got)
		}
	}
	wantProblem(t, f.do("GET", "/api/v1/toolsets/"+main, ""), 404, "not-found")
	f.catalogue.Upsert(all[0])
	f.catalogue.Build()
	if got, want := changes(), "added "+main+"monitoring/"+alias+"; removed "+alias; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := getToolset(t, f, alias); got.Name != main {
		t.Errorf("%+v", got)
	}
}

// A name of several toolsets, or of aliases in several namespaces, is ambiguous; a type
// never is.
func TestNamesStayAmbiguous(t *testing.T) {
	var all []*corev1.Service
	for _, namespace := range []string{"monitoring", "team-a"} {
		for _, s := range whichServices(t, "kube-prometheus-stack") {
			s.Namespace = namespace
			all = append(all, s)
		}
	}
	f := startWith(t, all)
	for _, name := range []string{"kps-grafana", "prometheus-operated"} {
		p := wantProblem(t, f.do("GET", "/api/v1/toolsets/"+name, ""), 409, "conflict")
		if !strings.Contains(p.Detail, "monitoring/kps-") || !strings.Contains(p.Detail, "team-a/kps-") {
			t.Errorf("%s: %s", name, p.Detail)
		}
		if got := getToolset(t, f, name+"?namespace=team-a"); got.Namespace != "team-a" {
			t.Errorf("%s in team-a: %+v", name, got)
		}
	}
	if got := getToolset(t, f, "prometheus"); got.Namespace != "monitoring" || !strings.Contains(got.PrimaryReason, "team") {
		t.Errorf("by type: %+v", got)
	}
	if got := getToolset(t, f, "prometheus?namespace=team-a"); got.Namespace != "team-a" || len(got.Alternatives) > 0 {
		t.Errorf("by type in team-a: %+v", got)
	}
}
