package detect

import (
	"reflect"
	"strings"
	"testing"
)

const ownKind = `
kinds:
  - type: openobserve
    description: OpenObserve holds logs and traces; search them at /api/ORG/_search.
    names: [openobserve]
    except: [ingester]
    ports: [{number: 5080, identifies: true}]
    health: {path: /healthz}
`

func mustLoad(t testing.TB, file string) *Rules {
	t.Helper()
	r, err := Load([]byte(file), "own.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOwnKinds(t *testing.T) {
	openobserve := `{metadata: {name: openobserve-querier}, spec: {selector: {app: openobserve}, ports: [{port: 80, targetPort: 5080}]}}`
	ingester := `{metadata: {name: openobserve-ingester}, spec: {selector: {app: openobserve, component: ingester}, ports: [{port: 5080}]}}`
	grafana := `{metadata: {name: grafana}, spec: {selector: {app: grafana}, ports: [{port: 3000}]}}`
	pushgateway := `{metadata: {name: pushgateway}, spec: {selector: {app: pushgateway}, ports: [{port: 9091}]}}`
	for _, c := range []struct{ what, file, manifest, want string }{
		{"an own kind", ownKind, openobserve, "openobserve"},
		{"its exception", ownKind, ingester, ""},
		{"the built-in ones are still there", ownKind, grafana, "grafana"},
		{"unknown to the built-in ones", "kinds: []", openobserve, ""},
		{"disabled", "kinds: [{type: grafana, disabled: true}]", grafana, ""},
		{"replaced", "kinds: [{type: grafana, description: D., names: [grafana], ports: [{number: 3001}]}]", grafana, ""},
		{"a port that identifies it by its name", "kinds: [{type: mine, description: D., names: [mine], ports: [{number: 5080, identifiedBy: [ui]}]}]",
			`{metadata: {name: x}, spec: {selector: {app: shop}, ports: [{name: ui, port: 5080}]}}`, "mine"},
		{"which it doesn't have", "kinds: [{type: mine, description: D., names: [mine], ports: [{number: 5080, identifiedBy: [ui]}]}]",
			`{metadata: {name: x}, spec: {selector: {app: shop}, ports: [{name: web, port: 5080}]}}`, ""},
		{"a port that it never has", "kinds: [{type: mine, description: D., names: [mine], exceptPorts: [7], ports: [{number: 5080}]}]",
			`{metadata: {name: mine}, spec: {selector: {app: mine}, ports: [{name: a, port: 5080}, {name: b, port: 7}]}}`, ""},
		{"a general role that is a kind of its own",
			"kinds: [{type: pushgateway, description: D., names: [pushgateway], ports: [{number: 9091}]}]", pushgateway, "pushgateway"},
		{"a name of a disabled kind, reused",
			"kinds: [{type: grafana, disabled: true}, {type: mine, description: D., names: [grafana], ports: [{number: 3000}]}]", grafana, "mine"},
	} {
		got := ""
		if b := mustLoad(t, c.file).Identify(parse(t, c.manifest), Options{}).Backend; b != nil {
			got = b.Type
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
	}
}

// Rules don't change when others are loaded later.
func TestLoadLeavesOtherRulesAlone(t *testing.T) {
	manifest := `{metadata: {name: grafana}, spec: {selector: {app: grafana}, ports: [{port: 3000}]}}`
	want := Default().Identify(parse(t, manifest), Options{}).Backend
	before := mustLoad(t, "kinds: []")
	mustLoad(t, "kinds: [{type: alertmanager, disabled: true}, {type: prometheus, disabled: true}]")
	for _, r := range []*Rules{before, Default()} {
		if got := r.Identify(parse(t, manifest), Options{}).Backend; !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// All mistakes are reported at once, each with file, line, rule and what to change.
func TestLoadErrors(t *testing.T) {
	_, err := Load([]byte(`kinds:
  - type: Bad_Type
    description: D.
    names: [x]
    ports: [{number: 1}]
  - type: a
    colour: red
    names: [UPPER, a, a, grafana]
    selectorKeys: ["no good"]
    ports: [{number: 70000}, {named: [x]}, {number: "80", scheme: ftp}, 9090]
    commonPorts: maybe
    apiPath: x
    health: {probe: icmp, acceptStatus: [999]}
  - type: a
    disabled: true
  - type: grafana
    disabled: true
    names: [g]
  - type: custom
  - description: ""
    description: again
  - &anchor {type: nosuch, disabled: true}
  - *anchor
other: 1
`), "own.yaml")
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		`own.yaml:2: kinds[0].type: "Bad_Type" must be lower case letters, digits and '-', at most 63 characters`,
		`own.yaml:7: kinds[1].colour: is unknown; the fields are type, disabled, description, names, weakNames, selectorKeys, appProtocols, labels, tlsKeys, images, imagesRun, except, exceptPorts, allow, ports, portNames, commonPorts, scheme, apiPath, health`,
		`own.yaml:6: kinds[1] (a): has no description; add one sentence that tells an agent what it can ask this back end`,
		`own.yaml:8: kinds[1] (a).names[0]: "UPPER" must be lower case letters, digits and '-'`,
		`own.yaml:8: kinds[1] (a).names[2]: "a" is in the list twice; keep one`,
		`own.yaml:9: kinds[1] (a).selectorKeys[0]: "no good" must be the key of a Kubernetes label, such as prometheus or elasticsearch.k8s.elastic.co/cluster-name`,
		`own.yaml:10: kinds[1] (a).ports[0].number: must be a whole number from 1 to 65535, not "70000"`,
		`own.yaml:10: kinds[1] (a).ports[1]: has no number; add the port's, such as {number: 9090}`,
		`own.yaml:10: kinds[1] (a).ports[2].number: must be a whole number from 1 to 65535, not "80"`,
		`own.yaml:10: kinds[1] (a).ports[2].scheme: "ftp" must be http, https, grpc or tcp`,
		`own.yaml:10: kinds[1] (a).ports[3]: must be a mapping with fields of number, named, scheme, apiPath, identifies, identifiedBy, not "9090"`,
		`own.yaml:11: kinds[1] (a).commonPorts: must be true or false, not "maybe"`,
		`own.yaml:12: kinds[1] (a).apiPath: must start with /, such as /health`,
		`own.yaml:13: kinds[1] (a).health.probe: "icmp" must be http or tcp`,
		`own.yaml:13: kinds[1] (a).health.acceptStatus[0]: must be a whole number from 100 to 599, not "999"`,
		`own.yaml:14: kinds[2]: the type a is defined in line 6 already; keep one`,
		`own.yaml:16: kinds[3] (grafana): is disabled, so it must have no fields but type and disabled; remove the others, or remove disabled`,
		`own.yaml:19: kinds[4].type: "custom" is for Services that only annotations declare; choose another`,
		`own.yaml:21: kinds[5].description: is given twice (first in line 20); keep one`,
		`own.yaml:20: kinds[5]: has no type; add one, such as "type: prometheus"`,
		`own.yaml:22: kinds[6] (nosuch): there is no built-in kind of this type to disable; there are alertmanager,`,
		`own.yaml:23: kinds[7]: must be a mapping with fields of type, disabled, description, names, weakNames, selectorKeys, appProtocols, labels, tlsKeys, images, imagesRun, except, exceptPorts, allow, ports, portNames, commonPorts, scheme, apiPath, health, identity, not an alias (*anchor); write the value out, aliases are not accepted`,
		`own.yaml:24: other: is unknown; the fields are kinds`,
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("missing: %s", w)
		}
	}
	if t.Failed() {
		t.Logf("got:\n%v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	full := "description: D., ports: [{number: 1}]"
	for file, want := range map[string]string{
		"":                          "own.yaml: is empty",
		"# nothing":                 "own.yaml: is empty",
		"a: [":                      "own.yaml: is not YAML: line 1:",
		"[]":                        "own.yaml:1: must be a mapping",
		"{}":                        "own.yaml:1: has no kinds",
		"kinds: {}":                 "own.yaml:1: kinds: must be a list",
		"kinds:":                    "own.yaml:1: kinds: must be a list, such as [a, b] or lines that begin with -, not nothing",
		"kinds: []\n---\nkinds: []": "own.yaml:2: holds more than one YAML document",
		"kinds: [{type: x, names: [loki], " + full + "}]":                                        `kinds[0] (x).names: "loki" already means the kind loki; use another, or disable that kind`,
		`kinds: [{type: x, names: ["a-*"], ` + full + "}]":                                       `kinds[0] (x).names[0]: "a-*" must neither begin nor end with '*'`,
		`kinds: [{type: x, names: ["a-b*-c"], ` + full + "}]":                                    `kinds[0] (x).names[0]: "a-b*-c" must be lower case letters, digits and '-', or '*' for any one word`,
		"kinds: [{type: x, names: [loki7], " + full + "}]":                                       `"loki7" already means the kind loki`,
		"kinds: [{type: x, names: [a-b-c-d-e-f-g], " + full + "}]":                               "must be one to 6 words",
		"kinds: [{type: x, names: ['-'], " + full + "}]":                                         "must be one to 6 words",
		"kinds: [{type: x, names: [a], selectorKeys: [prometheus], " + full + "}]":               `"prometheus" already means the kind prometheus`,
		"kinds: [{type: x, names: [x], tlsKeys: ['a b'], " + full + "}]":                         "kinds[0] (x).tlsKeys[0]: \"a b\" must be the key of a Kubernetes label",
		"kinds: [{type: x, names: [x], exceptPorts: [0], " + full + "}]":                         "kinds[0] (x).exceptPorts[0]: must be a whole number from 1 to 65535",
		"kinds: [{type: x, names: [x], ports: [{number: 1, identifiedBy: [A]}]}]":                "kinds[0] (x).ports[0].identifiedBy[0]: \"A\" must be the name of a Service's port",
		"kinds: [{type: x, names: [x], description: \"a\\nb\"}]":                                 "must be one line, without control characters",
		"kinds: [{type: x, names: [x], description: " + strings.Repeat("a", 301) + "}]":          "has 301 bytes; at most 300 are accepted",
		strings.Repeat(" ", maxFileBytes+1):                                                      "own.yaml: has 262145 bytes; at most 262144 are accepted",
		"kinds: [{type: x, names: [x], health: {path: /, front: {words: [a-b]}}, " + full + "}]": `kinds[0] (x).health.front.words[0]: "a-b" must be one word`,
		"kinds: [{type: x, names: [x], health: {path: /, front: {path: /}}, " + full + "}]":      "must have both words, such as [gateway], and the path",
		"kinds: [{type: x, names: [x], health: {}, " + full + "}]":                               "has no path; add what to GET",
		"kinds: [" + strings.Repeat("{},", 201) + "]":                                            "own.yaml:1: kinds: has 201 entries; at most 200 are accepted",
		"kinds: [" + strings.Repeat("{},", 200) + "]":                                            "own.yaml: more errors follow; put these right first",
	} {
		_, err := Load([]byte(file), "own.yaml")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %q", file, err, want)
		}
	}
	many := "kinds:\n"
	for i := range 190 {
		many += "  - {type: x" + strings.Repeat("x", i%60) + string(rune('a'+i/60)) + ", names: [y" + strings.Repeat("y", i) + "], " + full + "}\n"
	}
	if _, err := Load([]byte(many), "own.yaml"); err == nil || !strings.Contains(err.Error(), "makes 213 kinds with the built-in ones") {
		t.Errorf("too many kinds: got %v", err)
	}
}

// So are those in what a kind is asked.
func TestLoadErrorsOfAsks(t *testing.T) {
	_, err := Load([]byte(`kinds:
  - type: a
    description: D.
    names: [a]
    ports: [{number: 5080}]
    identity:
      proofs:
        - - {json: {x: "["}, product: "<b>"}
          - get: no-slash
            status: [99]
            version: ""
            versionIn: "no group"
            versionHeader: "two\nlines"
            headers: {x: y}
`), "own.yaml")
	if err == nil {
		t.Fatal("no error")
	}
	for _, w := range []string{
		`own.yaml:7: kinds[0] (a).identity: has no product; add its name, such as "product: Prometheus"`,
		`own.yaml:8: kinds[0] (a).identity.proofs[0][0]: has no get; add the path to GET`,
		`own.yaml:8: kinds[0] (a).identity.proofs[0][0].json.x: must be a pattern`,
		`own.yaml:8: kinds[0] (a).identity.proofs[0][0].product: must be a name of at most 40 letters`,
		`own.yaml:9: kinds[0] (a).identity.proofs[0][1].get: must start with /`,
		`own.yaml:10: kinds[0] (a).identity.proofs[0][1].status[0]: must be a whole number from 100 to 599, not "99"`,
		`own.yaml:12: kinds[0] (a).identity.proofs[0][1].versionIn: must be a regular expression with one group`,
		`own.yaml:13: kinds[0] (a).identity.proofs[0][1].versionHeader: must be one line, without control characters`,
		`own.yaml:14: kinds[0] (a).identity.proofs[0][1].headers: is unknown; did you mean header?`,
	} {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("missing: %s", w)
		}
	}
	if t.Failed() {
		t.Logf("got:\n%v", err)
	}
}

// Kinds of one's own may be declared by a protocol or by labels, too.
func TestDeclaredKinds(t *testing.T) {
	rules, err := Load([]byte(`kinds:
- type: agents
  description: "Agents."
  appProtocols: [example.com/a2a]
  labels: {example.com/agent: "yes"}
  health: {probe: tcp}
`), "own.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for manifest, want := range map[string]string{
		`{metadata: {name: x, namespace: ns}, spec: {ports: [{port: 9090}, {port: 81, appProtocol: Example.com/A2A}]}}`:                                             "http://x.ns.svc.cluster.local:81",
		`{metadata: {name: x, namespace: ns, labels: {example.com/agent: "yes"}}, spec: {ports: [{port: 9090, name: metrics}, {port: 82, name: http}]}}`:            "http://x.ns.svc.cluster.local:82",
		`{metadata: {name: x, namespace: ns, labels: {example.com/agent: "no"}}, spec: {ports: [{port: 83}]}}`:                                                      "",
		`{metadata: {name: x, namespace: ns, labels: {example.com/agent: "yes"}}, spec: {ports: [{port: 84, protocol: UDP}]}}`:                                      "",
		`{metadata: {name: x, namespace: ns, labels: {example.com/agent: "yes"}}, spec: {clusterIP: None, selector: {a: b}, ports: [{port: 80, targetPort: web}]}}`: "http://x.ns.svc.cluster.local:80",
	} {
		got := ""
		if b := rules.Identify(parse(t, manifest), Options{}).Backend; b != nil {
			got = b.Endpoint
		}
		if got != want {
			t.Errorf("%s: %q, want %q", manifest, got, want)
		}
	}
	for bad, want := range map[string]string{
		"appProtocols: [a b]": "must be the appProtocol of a Service's port",
		"labels: {a b: c}":    "must be the key of a Kubernetes label",
		"labels: {a: 'b c'}":  "must be the value of a Kubernetes label",
		"labels: {a: true}":   "must be a text",
	} {
		_, err := Load([]byte("kinds: [{type: x, description: d, "+bad+"}]"), "own.yaml")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
