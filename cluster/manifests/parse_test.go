package manifests

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

func TestParseManifests(t *testing.T) {
	const svc = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n"
	for name, c := range map[string]struct {
		in   string
		want string // "name" or "place: part of the problem", joined by "; "
		err  string
	}{
		"nothing":             {in: ""},
		"comments":            {in: "# nothing\n---\n---\n# here\n"},
		"one":                 {in: svc, want: "default/a"},
		"windows":             {in: "\xef\xbb\xbf" + strings.ReplaceAll(svc, "\n", "\r\n"), want: "default/a"},
		"several":             {in: svc + "---\nkind: Deployment\napiVersion: apps/v1\n--- # comment\n" + strings.Replace(svc, "name: a", "name: b, namespace: m", 1), want: "default/a; m/b"},
		"json":                {in: `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":1}]}}`, want: "default/a"},
		"several json":        {in: strings.Repeat(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":1}]}}`+"\n", 2), want: "default/a; default/a"},
		"flow style":          {in: `{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1}]}}`, want: "default/a"},
		"list":                {in: "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1}]}}\n- {apiVersion: v1, kind: Pod}\n- {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Service, metadata: {name: b}, spec: {ports: [{port: 1}]}}]}\n", want: "default/a; default/b"},
		"service list":        {in: "apiVersion: v1\nkind: ServiceList\nitems:\n- {metadata: {name: a}, spec: {ports: [{port: 1}]}}\n", want: "default/a"},
		"another's Service":   {in: strings.Replace(svc, "v1", "serving.knative.dev/v1", 1)},
		"unknown field":       {in: svc + "unknown: 1\n", want: "default/a"},
		"values.yaml":         {in: "replicas: 3\n", want: "document 1: not a Kubernetes object"},
		"scalar":              {in: svc + "---\njust text\n", want: "default/a; document 2: not a Kubernetes object"},
		"no apiVersion":       {in: strings.Replace(svc, "apiVersion: v1\n", "", 1), want: "document 1: no apiVersion"},
		"empty apiVersion":    {in: strings.Replace(svc, "v1", "\"\"", 1), want: "document 1: no apiVersion"},
		"null apiVersion":     {in: strings.Replace(svc, "v1", "null", 1), want: "document 1: no apiVersion"},
		"apiVersion a number": {in: strings.Replace(svc, "v1", "1", 1), want: "document 1: both strings"},
		"apiVersion of none":  {in: strings.Replace(svc, "v1", "v2", 1), want: "document 1: write apiVersion: v1"},
		"apiVersion core/v1":  {in: strings.Replace(svc, "v1", "core/v1", 1), want: "document 1: write apiVersion: v1"},
		"apiVersion apps/v1":  {in: svc + "---\n" + strings.Replace(svc, "v1", "apps/v1", 1), want: "default/a; document 2: write apiVersion: v1"},
		"no kind":             {in: strings.Replace(svc, "kind: Service\n", "", 1), want: "document 1: no kind"},
		"kind a list":         {in: strings.Replace(svc, "Service", "[Service]", 1), want: "document 1: both strings"},
		"kind in lower case":  {in: strings.Replace(svc, "Service", "service", 1), want: "document 1: write kind: Service"},
		"kind in plural":      {in: strings.Replace(svc, "Service", "Services", 1), want: "document 1: write kind: Service"},
		"List, no apiVersion": {in: "kind: List\nitems: []\n", want: "document 1: no apiVersion"},
		"Pod, no apiVersion":  {in: "kind: Pod\n", want: "document 1: kubectl api-resources"},
		"item, no apiVersion": {in: "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod}\n- {kind: Service, metadata: {name: a}}\n", want: "document 1, item 2: no apiVersion"},
		"item of nothing":     {in: "apiVersion: v1\nkind: List\nitems:\n- 1\n", want: "document 1, item 1: both strings"},
		"json, no apiVersion": {in: `{"kind":"Service","metadata":{"name":"a"}}`, want: "document 1: no apiVersion"},
		"ServiceListNoItems":  {in: "apiVersion: v1\nkind: ServiceList\n"},
		"other kinds":         {in: "apiVersion: v1\nkind: Pod\n---\napiVersion: example.com/v1\nkind: List\n---\napiVersion: apps/v1\nkind: DeploymentList\n"},
		"label not a string":  {in: strings.Replace(svc, "name: a", "name: a, labels: {x: true}", 1), want: "default/a: cannot unmarshal bool"},
		"port not a number":   {in: strings.Replace(svc, "80", "http", 1), want: "default/a: cannot unmarshal string"},
		"port with fraction":  {in: strings.Replace(svc, "80", "80.5", 1), want: "default/a: cannot unmarshal number"},
		"name not a string":   {in: strings.Replace(svc, "name: a", "name: 1", 1), want: "document 1: cannot unmarshal number"},
		"items not a list":    {in: "apiVersion: v1\nkind: List\nitems: {}\n", want: "document 1: not an array"},
		"too deep":            {in: deepList(6), want: "document 1: nests more than"},
		"unclosed":            {in: svc + "---\nkind: [\n", err: "document 2"},
		"tab":                 {in: "kind:\tService\n\tx: y", err: "document 1"},
		"cut json":            {in: `{"apiVersion":"v1","kind":"Serv`, err: "document 1"},
		"binary":              {in: "\x00\x01\x02", err: "document 1"},
		"not UTF-8":           {in: "kind: \xff\xfe", err: "document 1"},
		"no newline at 4096":  {in: svc + "---\n" + "{" + strings.Repeat(" ", 4094) + "]", err: "document 2"},
		"directive":           {in: "%YAML 1.1\n---\n" + svc, err: "document 1"},
		"end marker":          {in: svc + "...\n" + strings.Replace(svc, "name: a", "name: b", 1), want: "default/a; default/b"},
		"on the marker line":  {in: "--- {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1}]}}\n---\n", want: "default/a"},
		"dashes in a value":   {in: "kind: ConfigMap\napiVersion: v1\ndata:\n  x: |\n    ---\n    kind: Service\n---\n" + svc + "# ---x\n", want: "default/a"},
		"helm template":       {in: "{{- if .Values.x }}\n" + svc + "{{- end }}\n", err: "document 1"},
		"a duplicate key":     {in: svc + "kind: Pod\n"}, // the last one counts, as with kubectl
		"excessive aliasing":  {in: billionLaughs(), err: "aliasing"},
		"terminal escape":     {in: "apiVersion: v1\nkind: Service\nmetadata: {name: \"\\e[31m\"}\n", want: "default/ [31m: Invalid value"},
		"generateName":        {in: strings.Replace(svc, "name", "generateName", 1), want: "document 1: generateName is not enough"},
		"status and metadata": {in: strings.Replace(svc, "name: a", "name: a, resourceVersion: \"1\", managedFields: [{manager: m}]", 1) + "status: {loadBalancer: {}}\n", want: "default/a"},
	} {
		t.Run(name, func(t *testing.T) {
			start := testenv.Start()
			found, err := parseManifests([]byte(c.in), 10_000, never)
			start.Within(t, time.Second, "it is read")
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q; found %v", err, c.err, found)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range found {
				if f.problem == "" {
					got = append(got, keyOf(f.service).String())
				} else {
					got = append(got, f.where+": "+f.problem)
				}
			}
			want := strings.Split(c.want, "; ")
			if c.want == "" {
				want = nil
			}
			if len(got) != len(want) {
				t.Fatalf("got %q, want %q", got, want)
			}
			for i := range want {
				place, part, _ := strings.Cut(want[i], ": ")
				if !strings.HasPrefix(got[i], place) || !strings.Contains(got[i], part) {
					t.Errorf("got %q, want %q", got[i], want[i])
				}
			}
		})
	}
}

func never() bool { return false }

func deepList(n int) string {
	s := `{apiVersion: v1, kind: Pod}`
	for range n {
		s = "{apiVersion: v1, kind: List, items: [" + s + "]}"
	}
	return s
}

func billionLaughs() string {
	s := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 12; i++ {
		s += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	return s
}

// FuzzManifests looks for files whose reading panics, or from which a Service is returned
// that an API server would not accept.
func FuzzManifests(f *testing.F) {
	for _, s := range []string{
		"", "---", "{", yamlService("a"), yamlService("a") + "---\n" + yamlService("b"), deepList(6), billionLaughs(),
		`{"apiVersion":"v1","kind":"ServiceList","items":[{"metadata":{"name":"a"}},null,1]}`,
		"apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: {x: [1]}}\nspec: {type: ExternalName, externalName: x.y}\n",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {metadata: {labels: {a: b}}, spec: {containers: [{image: i, ports: [{name: p, containerPort: 1}]}]}}}\n",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: d, labels: {a: b}, ownerReferences: [{kind: Job}]}\nspec: {containers: [{image: i}, null]}\n",
		"apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: d}\nspec: {image: [], thanos: 1, containers: {}, podMetadata: {labels: {a: 1}}}\n",
		"apiVersion: kafka.strimzi.io/v1\nkind: Kafka\nmetadata: {name: d}\nspec: {kafka: {listeners: [1, {name: 1}, {name: a, port: 99999999999}]}}\n",
		"apiVersion: operator.victoriametrics.com/v1beta1\nkind: VMCluster\nmetadata: {name: d, namespace: \"a\\nb\"}\nspec: {vmselect: [], vmstorage: {image: 1}}\n",
		"a: &a [*a]", "<<: {a: b}", "kind: !!binary aGk=", "? [a]\n: b", "%YAML 1.1\n--- >\n x\n", "\xff\xfea\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		found, _ := parseManifests(data, 10_000, never)
		for _, d := range found {
			if d.workloads != nil {
				for _, w := range d.workloads {
					if len(w.Labels) == 0 || len(w.Containers) == 0 || len(w.Containers) > 100 || strings.ContainsAny(w.String(), "\n\r\x1b\x00") {
						t.Errorf("kept: %+v", w)
					}
				}
				continue
			}
			if len(d.problem) > cluster.MaxText+10 || len(d.where) > cluster.MaxText+10 || !utf8.ValidString(d.problem) || strings.ContainsAny(d.problem+d.where, "\n\r\x1b\x00") {
				t.Errorf("a problem that is unfit for a log: %q %q", d.where, d.problem)
			}
			if (d.service == nil) == (d.problem == "") {
				t.Fatalf("neither or both: %+v", d)
			}
			if d.service != nil && (refusal(d.service) != "" || keyOf(d.service) != d.key || d.key.Namespace == "") {
				t.Errorf("let through: %+v: %s", d.service, refusal(d.service))
			}
		}
	})
}

// refusals are Services that differ from a valid one in one place.
var refusals = map[string]string{
	"fine":                    "",
	"name with a digit":       "metadata: {name: 1a}",
	"name upper case":         "metadata: {name: A}",
	"name too long":           "metadata: {name: " + strings.Repeat("a", 64) + "}",
	"name with a dot":         "metadata: {name: a.b}",
	"label key":               "metadata: {name: a, labels: {\"a b\": c}}",
	"label value":             "metadata: {name: a, labels: {a: \"c d\"}}",
	"label value too long":    "metadata: {name: a, labels: {a: " + strings.Repeat("x", 64) + "}}",
	"annotation key":          "metadata: {name: a, annotations: {\"a b\": c}}",
	"annotation fine":         "metadata: {name: a, annotations: {kubernaut.io/toolset: \"c d\"}}",
	"annotations too large":   "metadata: {name: a, annotations: {a: " + strings.Repeat("x", 256<<10) + "}}",
	"no ports":                "spec: {}",
	"headless without ports":  "spec: {clusterIP: None}",
	"headless node port":      "spec: {clusterIP: None, type: NodePort, ports: [{port: 1}]}",
	"headless load balancer":  "spec: {clusterIP: None, type: LoadBalancer, ports: [{port: 1}]}",
	"cluster IP no address":   "spec: {clusterIP: x, ports: [{port: 1}]}",
	"cluster IP":              "spec: {clusterIP: 10.96.77.77, ports: [{port: 1}]}",
	"port 0":                  "spec: {ports: [{port: 0}]}",
	"port -1":                 "spec: {ports: [{port: -1}]}",
	"port 65535":              "spec: {ports: [{port: 65535}]}",
	"port 65536":              "spec: {ports: [{port: 65536}]}",
	"port too large for int":  "spec: {ports: [{port: 99999999999}]}",
	"two ports without names": "spec: {ports: [{port: 1}, {port: 2}]}",
	"two ports":               "spec: {ports: [{port: 1, name: a}, {port: 2, name: b}]}",
	"one name twice":          "spec: {ports: [{port: 1, name: a}, {port: 2, name: a}]}",
	"one port twice":          "spec: {ports: [{port: 1, name: a}, {port: 1, name: b}]}",
	"one port two protocols":  "spec: {ports: [{port: 1, name: a}, {port: 1, name: b, protocol: UDP}]}",
	"port name":               "spec: {ports: [{port: 1, name: a_b}]}",
	"protocol":                "spec: {ports: [{port: 1, protocol: HTTP}]}",
	"protocol lower case":     "spec: {ports: [{port: 1, protocol: tcp}]}",
	"protocol SCTP":           "spec: {ports: [{port: 1, protocol: SCTP}]}",
	"target port name":        "spec: {ports: [{port: 1, targetPort: web}]}",
	"target port bad name":    "spec: {ports: [{port: 1, targetPort: a--b}]}",
	"target port long name":   "spec: {ports: [{port: 1, targetPort: abcdefghijklmnop}]}",
	"target port 0":           "spec: {ports: [{port: 1, targetPort: 0}]}",
	"target port 70000":       "spec: {ports: [{port: 1, targetPort: 70000}]}",
	"target port as string":   "spec: {ports: [{port: 1, targetPort: \"80\"}]}",
	"app protocol":            "spec: {ports: [{port: 1, appProtocol: kubernetes.io/h2c}]}",
	"app protocol bad":        "spec: {ports: [{port: 1, appProtocol: \"a b\"}]}",
	"node port of ClusterIP":  "spec: {ports: [{port: 1, nodePort: 30000}]}",
	"node port":               "spec: {type: NodePort, ports: [{port: 1, nodePort: 31999}]}",
	"node port out of range":  "spec: {type: NodePort, ports: [{port: 1, nodePort: 70000}]}",
	"one node port twice":     "spec: {type: NodePort, ports: [{port: 1, name: a, nodePort: 31998}, {port: 2, name: b, nodePort: 31998}]}",
	"type":                    "spec: {type: Wrong, ports: [{port: 1}]}",
	"load balancer":           "spec: {type: LoadBalancer, ports: [{port: 1}]}",
	"external name":           "spec: {type: ExternalName, externalName: a.example.com}",
	"external name with dot":  "spec: {type: ExternalName, externalName: a.example.com.}",
	"external name missing":   "spec: {type: ExternalName}",
	"external name bad":       "spec: {type: ExternalName, externalName: a_b}",
	"external name is an IP":  "spec: {type: ExternalName, externalName: 10.0.0.1}",
	"external name and IP":    "spec: {type: ExternalName, externalName: a.b, clusterIP: 10.96.77.78}",
	"selector":                "spec: {selector: {a: \"b c\"}, ports: [{port: 1}]}",
	"selector fine":           "spec: {selector: {a: b}, ports: [{port: 1}]}",
}

// The package accepts and refuses the same Services as a real API server.
func TestRefusalIsTheAPIServers(t *testing.T) {
	a := newAPI(t)
	for name, change := range refusals {
		parts := map[string]string{"metadata": "metadata: {name: a}", "spec": "spec: {ports: [{port: 80}]}"}
		if key, _, ok := strings.Cut(change, ":"); ok {
			parts[key] = change
		}
		doc := fmt.Sprintf("apiVersion: v1\nkind: Service\n%s\n%s\n", parts["metadata"], parts["spec"])
		found, err := parseManifests([]byte(doc), 10_000, never)
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", name, err, found)
		}
		raw, err := yaml.ToJSON([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		var stored corev1.Service
		err = a.CoreV1().RESTClient().Post().Namespace(a.NS).Resource("services").
			SetHeader("Content-Type", "application/json").Body(raw).Do(t.Context()).Into(&stored)
		if (err == nil) != (found[0].problem == "") {
			t.Errorf("%s: the API server says %v; we say %q", name, err, found[0].problem)
			continue
		}
		if err == nil {
			a.Delete(stored.Name)
		}
		if err == nil && len(stored.Spec.Ports) > 0 {
			ours, theirs := found[0].service.Spec.Ports[0], stored.Spec.Ports[0]
			if ours.Protocol != theirs.Protocol || ours.TargetPort != theirs.TargetPort || found[0].service.Spec.Type != stored.Spec.Type {
				t.Errorf("%s: other defaults: %+v, %+v", name, ours, theirs)
			}
		}
	}
}
