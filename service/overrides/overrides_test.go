package overrides

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/endpoint"
)

func mustOverrides(t *testing.T, doc string) *Set {
	t.Helper()
	o, wrong := Parse([]byte(doc))
	if len(wrong) > 0 {
		t.Fatalf("%s\n%v", doc, wrong)
	}
	return o
}

// discovered returns a back end as from package detect.
func discovered() *service.Backend {
	return &service.Backend{
		Key: service.Key{Namespace: "monitoring", Name: "prom-svc"}, Name: "prom", Type: "prometheus", Enabled: true, Endpoint: "http://prom-svc.monitoring:9090",
		Description: "D.", Probe: service.Probe{Kind: service.ProbeHTTP, URL: "http://prom-svc.monitoring:9090/-/healthy", AcceptStatus: []int{401}},
		Evidence: append(make([]string, 0, 8), "port 9090"), Labels: map[string]string{"a": "b"},
	}
}

func describe(b *service.Backend) string {
	s := fmt.Sprintf("%s %s%s %q %s%s", b.Type, b.Endpoint, b.APIPath, b.Description, b.Probe.URL, b.Probe.Address)
	for _, f := range []struct {
		on   bool
		name string
	}{{!b.Enabled, "disabled"}, {b.Primary, "primary"}, {b.Pinned, "pinned"}} {
		if f.on {
			s += " " + f.name
		}
	}
	return s
}

func TestOverridesApply(t *testing.T) {
	const url, health = "http://prom-svc.monitoring:9090", "http://prom-svc.monitoring:9090/-/healthy"
	const in = "namespace: monitoring, "
	for _, c := range []struct{ what, entry, want, evidence string }{
		{"off, by the Service's name", `{name: prom-svc, disable: true}`, `prometheus ` + url + ` "D." ` + health + ` disabled`, "disable"},
		{"off, by the toolset's name", `{name: prom, namespace: monitoring, disable: true}`, `prometheus ` + url + ` "D." ` + health + ` disabled`, "disable"},
		{"another namespace", `{name: prom, namespace: other, disable: true}`, "", ""},
		{"another name", `{name: prometheus, disable: true}`, "", ""},
		{"on, as it is", `{name: prom, disable: false}`, `prometheus ` + url + ` "D." ` + health, "disable"},
		{"chosen", `{name: prom, primary: true}`, `prometheus ` + url + ` "D." ` + health + ` primary pinned`, "primary"},
		{"text and type", `{name: prom, type: mimir, description: "It holds {{ x }} 'all'."}`, `mimir ` + url + ` "It holds {{ x }} 'all'." ` + health, "description, type"},
		{"API path", `{name: prom, path: /prometheus/}`, `prometheus ` + url + `/prometheus "D." ` + health, "path"},
		{"endpoint, with the check below it", `{name: prom, ` + in + `url: "HTTPS://Proxy:443/prom/"}`, `prometheus https://proxy:443/prom "D." https://proxy:443/prom/-/healthy`, "url"},
		{"endpoint that is no HTTP", `{name: prom, ` + in + `url: "tcp://k:9092"}`, `prometheus tcp://k:9092 "D." k:9092`, "url"},
		{"IPv6", `{name: prom, ` + in + `url: "grpc://[::1]:9092"}`, `prometheus grpc://[::1]:9092 "D." [::1]:9092`, "url"},
		{"health path", `{name: prom, ` + in + `health: /ready}`, `prometheus ` + url + ` "D." ` + url + `/ready`, "health"},
		{"health URL", `{name: prom, ` + in + `health: "http://h:1/x"}`, `prometheus ` + url + ` "D." http://h:1/x`, "health"},
		{"endpoint and health path", `{name: prom, ` + in + `url: "tcp://k:9092", health: /x}`, `prometheus tcp://k:9092 "D." http://k:9092/x`, "url, health"},
	} {
		o := mustOverrides(t, "toolsets: ["+c.entry+"]")
		b, before := discovered(), discovered()
		got := o.Apply(b)
		if !reflect.DeepEqual(b, before) {
			t.Fatalf("%s: the back end itself was changed", c.what)
		}
		if c.want == "" {
			if got != b || len(o.Unmatched([]*service.Backend{b})) != 1 {
				t.Errorf("%s: changed to %s; unmatched: %v", c.what, describe(got), o.Unmatched([]*service.Backend{b}))
			}
			continue
		}
		if s := describe(got); s != c.want || !slices.Equal(got.Evidence, []string{"port 9090", "overrides.yaml: " + c.evidence}) {
			t.Errorf("%s:\ngot  %s %q\nwant %s", c.what, s, got.Evidence, c.want)
		}
		if u := o.Unmatched([]*service.Backend{b}); len(u) > 0 {
			t.Errorf("%s: unmatched %v", c.what, u)
		}
	}
}

// Applying two sets of overrides to one back end gives independent results.
func TestOverridesShareNothing(t *testing.T) {
	b := discovered()
	first := mustOverrides(t, "toolsets: [{name: prom, disable: true}]").Apply(b)
	mustOverrides(t, "toolsets: [{name: prom, primary: true}]").Apply(b)
	if want := []string{"port 9090", "overrides.yaml: disable"}; !slices.Equal(first.Evidence, want) {
		t.Errorf("got %q", first.Evidence)
	}
}

// If the API is below the root, the health check stays where the product has it.
func TestOverridesOfAnAPIPath(t *testing.T) {
	b := discovered()
	b.APIPath, b.Probe.URL = "/prometheus", b.Endpoint+"/ready"
	got := mustOverrides(t, `toolsets: [{name: prom, namespace: monitoring, url: "http://m:1/prom"}]`).Apply(b)
	if s := describe(got); s != `prometheus http://m:1/prom "D." http://m:1/ready` || got.APIPath != "/prom" {
		t.Errorf("got %s", s)
	}
	got = mustOverrides(t, `toolsets: [{name: prom, namespace: monitoring, path: ""}]`).Apply(b)
	if got.APIPath != "" {
		t.Errorf("the path is %q", got.APIPath)
	}
	b.Probe.URL = "http://elsewhere:13133/" // on a port of its own
	got = mustOverrides(t, `toolsets: [{name: prom, namespace: monitoring, url: "http://m:1"}]`).Apply(b)
	if got.Probe.Kind != service.ProbeTCP || got.Probe.Address != "m:1" {
		t.Errorf("got %+v", got.Probe)
	}
}

// A path that only the workload says is that of the old address.
func TestOverridesOfAWorkloadsPath(t *testing.T) {
	b := discovered()
	b.APIPath, b.Prefix, b.Probe.URL = "/prom/api", "/prom", b.Endpoint+"/prom/-/healthy"
	for entry, want := range map[string]string{
		`url: "http://m:1"`:     `prometheus http://m:1/api "D." http://m:1/-/healthy`,
		`url: "http://m:1/new"`: `prometheus http://m:1/new "D." http://m:1/-/healthy`,
		`path: /new`:            `prometheus ` + b.Endpoint + `/new "D." ` + b.Endpoint + `/prom/-/healthy`,
	} {
		got := mustOverrides(t, `toolsets: [{name: prom, namespace: monitoring, `+entry+`}]`).Apply(b)
		if s := describe(got); s != want || got.Prefix != "" {
			t.Errorf("%s: %s, prefix %q; want %s", entry, s, got.Prefix, want)
		}
	}
}

// Later entries win, whether they name the Service or the toolset.
func TestOverridesInOrder(t *testing.T) {
	const bySvc, byName = `{name: prom-svc, description: A, type: a}`, `{name: prom, description: B}`
	for doc, want := range map[string]string{
		"[" + bySvc + "," + byName + "]": "a B", "[" + byName + "," + bySvc + "]": "a A",
		"[{name: prom, namespace: monitoring, description: A}," + byName + "]": "prometheus B",
		"[" + byName + ",{name: prom, namespace: monitoring, description: A}]": "prometheus A",
	} {
		got := mustOverrides(t, "toolsets: "+doc).Apply(discovered())
		if s := got.Type + " " + got.Description; s != want {
			t.Errorf("%s: got %s, want %s", doc, s, want)
		}
	}
}

func TestOverridesAdd(t *testing.T) {
	o := mustOverrides(t, `
toolsets:
- name: metrics
  namespace: cloud
  add: true
  type: prometheus
  url: https://metrics.example.com/
  path: /api/prom
  health: /-/ready
  description: Metrics of the cloud.
  primary: true
- {name: events, namespace: cloud, add: true, type: kafka, url: "tcp://kafka.example.com:9092"}
- {name: gone, disable: true}
`)
	added := o.Added()
	var got []string
	for _, b := range added {
		got = append(got, b.Key.String()+" "+b.Name+" "+describe(b)+" "+b.Evidence[0])
	}
	want := []string{
		`cloud/metrics metrics prometheus https://metrics.example.com/api/prom "Metrics of the cloud." https://metrics.example.com/-/ready primary pinned overrides.yaml: added`,
		`cloud/events events kafka tcp://kafka.example.com:9092 "A back end of type kafka that an administrator added." kafka.example.com:9092 overrides.yaml: added`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if u := o.Unmatched(nil); !slices.Equal(u, []string{"toolsets[2] (gone)"}) {
		t.Errorf("unmatched: %q", u)
	}
	if (*Set)(nil).Added() != nil || (*Set)(nil).Unmatched(nil) != nil {
		t.Error("none at all add something")
	}
	if b := discovered(); (*Set)(nil).Apply(b) != b {
		t.Error("none at all change something")
	}
	for _, doc := range []string{"", "# nothing\n", "toolsets: []"} {
		if o := mustOverrides(t, doc); len(o.Added()) > 0 {
			t.Errorf("%q adds something", doc)
		}
	}
}

// All mistakes are found at once, each with its place and what to write; then no override
// takes effect.
func TestOverridesMistakes(t *testing.T) {
	o, got := Parse([]byte(`
toolsets:
- name: fine
  disable: true
- nmae: prom
  diable: yes
- name: Upper_Case
  namespace: a.b
  disable: "true"
- name: a
  url: ftp://x
- {name: b, namespace: n, url: "http://u:p@h", path: x, health: "h:1", type: "a b"}
- name: c
- {name: c, namespace: c}
- {name: d, add: true, disable: true}
- {name: e, namespace: n, add: true, type: t, url: "tcp://h"}
- {name: f, namespace: n, add: true, type: t, url: "http://h"}
- {name: f, namespace: n, add: true, type: t, url: "http://h"}
- {name: g, disable: true}
- {name: g, primary: true}
- {name: h, description: "a\nb"}
- {name: i, description: ""}
- {name: 5, type: [x]}
- just text
- &x {name: j, disable: true}
- *x
- {name: k, description: 1, description: 2}
- {name: l, path: }
Toolsets: []
`))
	if o != nil {
		t.Error("overrides with mistakes were taken over")
	}
	want := []string{
		`toolsets[1].nmae: is unknown; did you mean name? (line 5)`,
		`toolsets[1].diable: is unknown; did you mean disable? (line 6)`,
		`toolsets[1].name: is missing; write the name of the toolset or of its Service (line 5)`,
		`toolsets[2].name: must be lower case letters, digits, '-' and '.', beginning and ending with a letter or digit, at most 253 characters (line 7)`,
		`toolsets[2].namespace: must be the name of a namespace: lower case letters, digits and '-', at most 63 characters (line 8)`,
		`toolsets[2].disable: must be true or false, not "true" (line 9)`,
		`toolsets[3].url: must be an absolute http or https URL, such as http://grafana.monitoring.svc.cluster.local:3000 (line 11)`,
		`toolsets[3].namespace: is missing, without which all of this name, in any namespace, would get one address; to add a toolset, write add: true (line 10)`,
		`toolsets[4].type: must be lower case letters, digits and '-', at most 63 characters, such as "prometheus" (line 12)`,
		`toolsets[4].url: must not carry a user name or password; give agents credentials by their environment (line 12)`,
		`toolsets[4].path: must start with /, such as /health (line 12)`,
		`toolsets[4].health: must be an absolute http or https URL, such as http://grafana.monitoring.svc.cluster.local:3000; or write a path that starts with /, such as /health (line 12)`,
		`toolsets[5]: changes nothing; add "disable: true", or what is to be changed: type, url, path, health, description, primary, connection (line 13)`,
		`toolsets[6]: changes nothing; add "disable: true", or what is to be changed: type, url, path, health, description, primary, connection (line 14)`,
		`toolsets[7].namespace: is missing, which an added toolset must have (line 15)`,
		`toolsets[7].type: is missing, which an added toolset must have (line 15)`,
		`toolsets[7].url: is missing, which an added toolset must have (line 15)`,
		`toolsets[7].disable: makes no sense with add; remove the entry instead (line 15)`,
		`toolsets[8].url: must have the form tcp://host:port (line 16)`,
		`toolsets[10].name: is added by toolsets[9] as well; names are unique in a namespace (line 18)`,
		`toolsets[12].name: is changed by toolsets[11] as well; put both into one entry (line 20)`,
		`toolsets[13].description: must be one line, without control characters (line 21)`,
		`toolsets[14].description: must not be empty; leave the field out instead (line 22)`,
		`toolsets[15].name: must be a text, not "5"; put it in quotes if it is meant as one (line 23)`,
		`toolsets[15].type: must be a text, not a list (line 23)`,
		`toolsets[16]: must be a mapping with fields of name, namespace, add, disable, type, url, path, health, description, primary, connection, not "just text" (line 24)`,
		`toolsets[18]: must be a mapping with fields of name, namespace, add, disable, type, url, path, health, description, primary, connection, not an alias (*x); write the value out, aliases are not accepted (line 26)`,
		`toolsets[19].description: is given twice (first in line 27); keep one (line 27)`,
		`toolsets[19].description: must be a text, not "1"; put it in quotes if it is meant as one (line 27)`,
		`toolsets[20].path: must be a text, not nothing; put it in quotes if it is meant as one (line 28)`,
		`Toolsets: is unknown; did you mean toolsets? (line 29)`,
	}
	var lines []string
	for _, i := range got {
		lines = append(lines, i.Field+": "+i.Message)
	}
	for _, w := range want {
		if !slices.Contains(lines, w) {
			t.Errorf("missing: %s", w)
		}
	}
	if len(lines) != len(want) || t.Failed() {
		t.Errorf("got %d, want %d:\n%s", len(lines), len(want), strings.Join(lines, "\n"))
	}
}

func TestOverridesRefuses(t *testing.T) {
	for doc, want := range map[string]string{
		"a: [":                       "is not YAML: line 1",
		"[]":                         "must be a mapping with fields of toolsets",
		"{}":                         `write "toolsets: []" for no overrides`,
		"toolsets:":                  "must be a list",
		"toolsets: {}":               "must be a list",
		"toolsets: []\n---\n{}":      "holds more than one YAML document",
		"toolsets: []\n# \xff":       "is not UTF-8",
		"toolsets: &a [*a]":          "aliases are not accepted",
		"a: &a [x]\ntoolsets: *a":    "aliases are not accepted",
		strings.Repeat(" ", 300<<10): "at most 262144 are accepted",
		"toolsets: [" + strings.Repeat("{},", maxOverrides+1) + "]":                         "has 1001 entries; at most 1000 are accepted",
		"toolsets: [{name: a, description: " + strings.Repeat("a", maxDescription+1) + "}]": "has 501 bytes; at most 500 are accepted",
	} {
		o, wrong := Parse([]byte(doc))
		if o != nil || len(wrong) == 0 || !strings.Contains(fmt.Sprint(wrong), want) {
			t.Errorf("%.60q: got %v, want %q", doc, wrong, want)
		}
	}
	if _, wrong := Parse([]byte("toolsets: [" + strings.Repeat("{},", maxOverrides) + "]")); len(wrong) != service.MaxInvalid {
		t.Errorf("%d mistakes are told", len(wrong))
	}
}

// For any document there are mistakes, or overrides whose back ends are as safe as those of
// annotations.
func FuzzParseOverrides(f *testing.F) {
	f.Add(`toolsets: [{name: prom, namespace: monitoring, url: "http://h/x", path: /p, health: /h, type: t, description: d, primary: true, disable: false}]`)
	f.Add(`toolsets: [{name: prom-svc, namespace: monitoring, url: "tcp://h:1", health: "https://h/"}]`)
	f.Add("toolsets:\n- {name: a.b, namespace: n, add: true, type: t, url: 'grpcs://[::1]:1'}\n- {name: prom, disable: true}")
	f.Add("toolsets: &a [*a]")
	f.Add(whole)
	f.Add("toolsets: [{name: prom, namespace: monitoring, connection: {headers: {A: {env: B}, a: c}, tlsVerify: false, bearerTokenEnv: glsa_x}}]")
	f.Add("<<: {toolsets: []}")
	f.Add("toolsets: !!set {a}")
	f.Fuzz(func(t *testing.T, doc string) {
		o, wrong := Parse([]byte(doc))
		if (o == nil) != (len(wrong) > 0) {
			t.Fatalf("overrides %v, mistakes %v", o, wrong)
		}
		for _, i := range wrong {
			if i.Message == "" || len(i.Message) > 1000 {
				t.Errorf("a mistake %q: %q", i.Field, i.Message)
			}
		}
		if o == nil {
			return
		}
		for _, b := range append(o.Added(), o.Apply(discovered())) {
			u, err := url.Parse(b.Endpoint + b.APIPath)
			if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || strings.ContainsAny(b.Endpoint+b.APIPath+b.Probe.URL, "'\"`$ {}\\;&|<>()") ||
				strings.HasSuffix(b.Endpoint+b.APIPath, "/") {
				t.Errorf("endpoint %q, path %q, probe %q: %v", b.Endpoint, b.APIPath, b.Probe.URL, err)
			}
			if !endpoint.IsLabel(b.Key.Namespace) || !endpoint.IsSubdomain(b.Key.Name) || !endpoint.IsSubdomain(b.Name) || !endpoint.IsLabel(b.Type) || b.Description == "" ||
				!endpoint.IsLine(b.Description) || (b.Probe.URL == "") == (b.Probe.Address == "") {
				t.Errorf("%+v", b)
			}
		}
	})
}

// An explanation has the entries that Apply applies, also of what is not listed.
func TestExplain(t *testing.T) {
	o, wrong := Parse([]byte(`toolsets:
- {name: a, disable: true}
- {name: b, namespace: n, type: loki, url: "http://b.example:3100", path: "", health: /up, description: Logs., primary: false}
- {name: c, namespace: n, add: true, type: loki, url: "http://a.n.svc.cluster.local:3100"}
- {name: d, namespace: n, add: true, type: loki, url: "http://a.n/loki"}
- {name: e, namespace: n, add: true, type: loki, url: "http://a.north:3100"}
`))
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	for key, want := range map[service.Key]string{
		{Namespace: "n", Name: "a"}: `[{toolsets[0] [disable: true]}]`,
		{Namespace: "n", Name: "b"}: `[{toolsets[1] [primary: false description: Logs. type: loki url: http://b.example:3100 path: "" health: /up]}]`,
		{Namespace: "m", Name: "b"}: `[]`,
	} {
		if got := fmt.Sprint(o.Explain(&service.Backend{Key: key, Name: key.Name})); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
	if got := fmt.Sprint(o.LeadingTo(service.Key{Namespace: "n", Name: "a"})); got != "[n/c n/d]" {
		t.Errorf("to n/a lead %s", got)
	}
	var none *Set
	if none.Explain(&service.Backend{}) != nil || none.LeadingTo(service.Key{}) != nil {
		t.Error("no overrides explain something")
	}
}
