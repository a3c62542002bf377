package snapshot_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/output/grafana"
	"kubernaut.io/dynamic-toolset/service/output/kagent"
	"kubernaut.io/dynamic-toolset/service/output/kubernautvalues"
	"kubernaut.io/dynamic-toolset/service/output/mcpjson"
	"kubernaut.io/dynamic-toolset/service/overrides"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// others are the documents of this file.
var others = []string{grafana.Format, kubernautvalues.Format, mcpjson.Format, kagent.Format}

// mcpServer returns a Service that declares an MCP server.
func mcpServer(namespace, name string, annotations map[string]string) *corev1.Service {
	protocol := "mcp"
	s := svc(namespace, name, name, 8080, annotations)
	s.Spec.Ports[0].AppProtocol = &protocol
	return s
}

// connected are overrides with all that people may say about a connection.
const connected = `toolsets:
- name: kps-kube-prometheus-stack-prometheus
  namespace: monitoring
  connection: {tlsVerify: false, headers: {X-Team: shop}}
- name: tempo
  namespace: tracing
  connection: {tenant: "team-a|team-b", caFile: /etc/ssl/ca.pem, usernameEnv: TEMPO_USER, passwordEnv: TEMPO_PASS}
- name: grafana-tools
  namespace: ai
  connection: {headers: {X-Grafana-Org: "1"}, bearerTokenEnv: GRAFANA_TOOLS_TOKEN}
- name: mimir-far
  namespace: far
  add: true
  type: mimir
  url: https://mimir.example.com
  path: /prometheus
  connection: {headers: {Authorization: {env: MIMIR_AUTH}}}
`

// exampleWithTools is the example cluster with two MCP servers, and connections.
func exampleWithTools(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	o, wrong := overrides.Parse([]byte(connected))
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	c := newCatalogue(append(exampleServices(t), mcpServer("ai", "grafana-tools", nil),
		mcpServer("ai", "old-tools", map[string]string{"kgateway.dev/mcp-path": "/sse", "kubernaut.io/toolset-description": `Says "hello" to {{ env.X }} and $HOME.`}))...)
	c.SetOverrides(o)
	c.Build()
	return c.Snapshot()
}

// The documents for the example cluster, as files to read. Each is as its reader demands,
// as a whole and in pieces.
func TestOtherDocuments(t *testing.T) {
	docs := exampleWithTools(t).Documents(snapshot.DocumentOptions{Outputs: others, OwnURL: "http://dynamic-toolset.kubernaut-system.svc.cluster.local:8080"})
	if len(docs) != len(others) {
		t.Fatalf("%d documents", len(docs))
	}
	for i, d := range docs {
		if d.Key != snapshot.Key(others[i]) {
			t.Errorf("%s is %s", d.Key, others[i])
		}
		golden := filepath.Join("testdata", "outputs."+d.Key)
		if *update {
			if err := os.WriteFile(golden, d.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(d.Bytes(), want) || d.Size() != len(want) {
			t.Errorf("%s is not as in %s; if it is right, write it anew with -update. Got:\n%s", d.Key, golden, d.Bytes())
		}
		accepts(t, d.Key, d.Bytes())
		for n := range d.Entries {
			for _, part := range [][][]byte{d.Entries[:n+1], d.Entries[n:], d.Entries[n : n+1]} {
				piece := d
				piece.Entries = part
				accepts(t, d.Key, piece.Bytes())
			}
		}
	}
}

// Without toolsets, the documents are valid and say nothing.
func TestOtherDocumentsOfNothing(t *testing.T) {
	for _, d := range newCatalogue().Snapshot().Documents(snapshot.DocumentOptions{Outputs: others}) {
		if n := accepts(t, d.Key, d.Bytes()); n != 0 || len(d.Entries) > 0 {
			t.Errorf("%s has %d entries:\n%s", d.Key, n, d.Bytes())
		}
	}
}

// Only what is wanted is there, in a fixed order.
func TestOutputs(t *testing.T) {
	s := exampleWithTools(t)
	keys := func(formats ...string) (all []string) {
		for _, d := range s.Documents(snapshot.DocumentOptions{Outputs: formats}) {
			all = append(all, d.Key)
		}
		return all
	}
	if got := keys(); !slices.Equal(got, []string{"toolset.json", "holmesgpt-toolsets.yaml"}) {
		t.Errorf("by default %q", got)
	}
	if got := keys("mcp", "holmesgpt"); !slices.Equal(got, []string{"holmesgpt-toolsets.yaml", "mcp.json"}) {
		t.Errorf("got %q", got)
	}
	if got := keys(snapshot.Formats()...); len(got) != 6 || slices.Contains(got, "") {
		t.Errorf("all are %q", got)
	}
}

// Credentials with the usual names are given to the primary of a type alone, and to the
// others only if somebody has named them.
func TestUsualCredentialsAreForThePrimary(t *testing.T) {
	c := newCatalogue(alone(svc("a", "loki", "loki", 3100, nil)), alone(svc("b", "loki", "loki", 3100, nil)))
	for _, namespace := range []string{"a", "b"} {
		c.SetIdentity(service.Key{Namespace: namespace, Name: "loki"}, service.Identity{Verdict: service.Verified, Type: "loki", Access: service.Access{Scheme: "http", Auth: service.AuthBasic}})
	}
	c.Build()
	doc := string(c.Snapshot().Documents(snapshot.DocumentOptions{Outputs: []string{grafana.Format}})[0].Bytes())
	if n := strings.Count(doc, "$LOKI_PASSWORD"); n != 1 || strings.Index(doc, "$LOKI_PASSWORD") > strings.Index(doc, "b/loki") {
		t.Errorf("%d with credentials:\n%s", n, doc)
	}
	// When the other becomes the primary, it gets them.
	c.Delete("a", "loki")
	c.Build()
	if doc := string(c.Snapshot().Documents(snapshot.DocumentOptions{Outputs: []string{grafana.Format}})[0].Bytes()); !strings.Contains(doc, "$LOKI_PASSWORD") {
		t.Errorf("none has credentials:\n%s", doc)
	}
}

// Annotations can't add anything to a document but their own text.
func TestHostileAnnotationsInOtherDocuments(t *testing.T) {
	for i, text := range []string{
		"x\"\n    injected: true", "$HOME ${PATH} $__file{/etc/passwd} $__env{X}", "{{ .Values.x }} ${env:X}", "\u2028\u202e\x00\x7f\u0085\ufeff", `\" , "evil": {"url": "http://evil"}`, "---\nkind: Secret", "😀\xff\xfe",
	} {
		annotations := map[string]string{}
		for _, key := range []string{"toolset-description", "toolset-name", "toolset-endpoint", "toolset-tenant", "toolset-external-url"} {
			annotations["kubernaut.io/"+key] = text
		}
		annotations["kgateway.dev/mcp-path"], annotations["kagent.dev/mcp-service-path"] = text, text
		c := newCatalogue(mcpServer("ai", "tools", annotations), svc("m", "prometheus", "prometheus", 9090, annotations), svc("m", "loki", "loki", 3100, annotations), svc("m", "alertmanager", "alertmanager", 9093, annotations))
		want := map[string]int{grafana.Key: 3, kubernautvalues.Key: 2, mcpjson.Key: 1, kagent.Key: 1}
		for _, d := range c.Snapshot().Documents(snapshot.DocumentOptions{Outputs: others}) {
			if n := accepts(t, d.Key, d.Bytes()); n != want[d.Key] {
				t.Errorf("%d: %s has %d entries, want %d:\n%s", i, d.Key, n, want[d.Key], d.Bytes())
			}
			if bytes.Contains(d.Bytes(), []byte("evil\":")) || bytes.Contains(d.Bytes(), []byte("injected: true\n")) {
				t.Errorf("%d: %s:\n%s", i, d.Key, d.Bytes())
			}
		}
	}
}

// accepts checks a document as its reader would, and returns its number of entries.
func accepts(t *testing.T, key string, doc []byte) int {
	t.Helper()
	check := map[string]func([]byte) (int, error){grafana.Key: grafanaAccepts, kubernautvalues.Key: kubernautAccepts, mcpjson.Key: mcpAccepts, kagent.Key: kagentAccepts}[key]
	n, err := check(doc)
	if err != nil {
		t.Fatalf("%s: %v\n%s", key, err, doc)
	}
	return n
}

func strict(doc []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(doc))
	d.KnownFields(true)
	return d.Decode(into)
}

// grafanaAccepts: the fields are those of grafana/grafana, pkg/services/provisioning/
// datasources/types.go (configsV1). Names and uids are unique in an organisation.
func grafanaAccepts(doc []byte) (int, error) {
	var file struct {
		APIVersion  int `yaml:"apiVersion"`
		Prune       bool
		Datasources []struct {
			Name, Type, Access, URL, UID string
			BasicAuth                    bool              `yaml:"basicAuth"`
			BasicAuthUser                string            `yaml:"basicAuthUser"`
			JSONData                     map[string]any    `yaml:"jsonData"`
			SecureJSONData               map[string]string `yaml:"secureJsonData"`
		}
	}
	if err := strict(doc, &file); err != nil {
		return 0, err
	}
	if file.APIVersion != 1 || !file.Prune {
		return 0, fmt.Errorf("version %d", file.APIVersion)
	}
	seen := map[string]bool{}
	for _, d := range file.Datasources {
		switch {
		case seen[d.Name] || seen[d.UID]:
			return 0, fmt.Errorf("%s %s is there twice", d.Name, d.UID)
		case !regexp.MustCompile(`^[a-zA-Z0-9_-]{1,40}$`).MatchString(d.UID):
			return 0, fmt.Errorf("uid %q", d.UID)
		case d.Access != "proxy" || d.URL == "" || d.BasicAuth != (d.SecureJSONData["basicAuthPassword"] != ""):
			return 0, fmt.Errorf("%+v", d)
		case !slices.Contains([]string{"prometheus", "loki", "tempo", "jaeger", "zipkin", "grafana-pyroscope-datasource", "elasticsearch", "alertmanager"}, d.Type):
			return 0, fmt.Errorf("type %q", d.Type)
		}
		seen[d.Name], seen[d.UID] = true, true
		// Grafana replaces variables in these, and in them alone there are some.
		for _, s := range []string{d.Name, d.URL, d.UID} {
			if strings.Contains(strings.ReplaceAll(s, "$$", ""), "$") {
				return 0, fmt.Errorf("a variable in %q", s)
			}
		}
		for i := 1; ; i++ {
			name, value := d.JSONData[fmt.Sprint("httpHeaderName", i)], d.SecureJSONData[fmt.Sprint("httpHeaderValue", i)]
			if name == nil && value == "" {
				break
			}
			if name == nil || value == "" {
				return 0, fmt.Errorf("header %v has the value %q", name, value)
			}
		}
	}
	return len(file.Datasources), nil
}

// kubernautAccepts: "monitoring" in charts/kubernaut/values.schema.json, which allows no
// other properties.
func kubernautAccepts(doc []byte) (n int, err error) {
	type target struct {
		Enabled   bool
		URL       string
		TLSCAFile string `yaml:"tlsCaFile"`
	}
	var values struct {
		Monitoring struct {
			Prometheus   *target
			AlertManager *target `yaml:"alertManager"`
		}
	}
	if err := strict(doc, &values); err != nil {
		return 0, err
	}
	for _, t := range []*target{values.Monitoring.Prometheus, values.Monitoring.AlertManager} {
		if t == nil {
			continue
		}
		if n++; !t.Enabled || !strings.HasPrefix(t.URL, "http") {
			return 0, fmt.Errorf("%+v", t)
		}
	}
	return n, nil
}

// mcpAccepts: the servers over HTTP of Claude Code (documentation, "MCP", .mcp.json) and of
// other clients that read mcpServers. Names become part of names of tools.
func mcpAccepts(doc []byte) (int, error) {
	var file struct {
		MCPServers map[string]struct {
			Type    string            `json:"type"`
			URL     string            `json:"url"`
			Headers map[string]string `json:"headers"`
		} `json:"mcpServers"`
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil || d.More() {
		return 0, fmt.Errorf("%w, or more follows", err)
	}
	if file.MCPServers == nil {
		return 0, fmt.Errorf("no mcpServers")
	}
	for name, s := range file.MCPServers {
		if !regexp.MustCompile(`^[a-zA-Z0-9_-]{1,48}$`).MatchString(name) || s.Type != "http" && s.Type != "sse" || !strings.HasPrefix(s.URL, "http") || strings.Contains(s.URL, "$") {
			return 0, fmt.Errorf("%q: %+v", name, s)
		}
	}
	return len(file.MCPServers), nil
}

// kubectl apply refuses a file without objects, so it must say that this is no fault.
func TestKagentWithoutServersSaysSo(t *testing.T) {
	for own, want := range map[string]bool{"": true, "http://toolset.example:8080": false} {
		c := catalogue.New(func(*corev1.Service) *service.Backend { return nil }, nil)
		c.Replace(nil)
		c.Build()
		docs := c.Snapshot().Documents(snapshot.DocumentOptions{Outputs: []string{kagent.Format}, OwnURL: own})
		if got := string(docs[0].Bytes()); strings.Contains(got, "# There are no objects, since no MCP server was found") != want || strings.Contains(got, "kind:") == want || !strings.Contains(got, "https://kubernaut.io/dynamic-toolset") {
			t.Errorf("own URL %q:\n%s", own, got)
		}
	}
}

// kagentAccepts: helm/kagent-crds, kagent.dev_remotemcpservers.yaml. The test of the whole
// binary has an API server check the objects.
func kagentAccepts(doc []byte) (n int, err error) {
	d := yaml.NewDecoder(bytes.NewReader(doc))
	d.KnownFields(true)
	for ; ; n++ {
		var object struct {
			APIVersion string `yaml:"apiVersion"`
			Kind       string
			Metadata   struct {
				Name   string
				Labels map[string]string
			}
			Spec struct {
				Description, Protocol, URL string
				HeadersFrom                []struct {
					Name, Value string
					ValueFrom   *struct{ Type, Name, Key string } `yaml:"valueFrom"`
				} `yaml:"headersFrom"`
			}
		}
		if err := d.Decode(&object); err != nil {
			if n == 0 && len(bytes.TrimSpace(regexp.MustCompile(`(?m)^#.*$`).ReplaceAll(doc, nil))) == 0 {
				return 0, nil // comments only
			}
			if err.Error() == "EOF" {
				return n, nil
			}
			return 0, err
		}
		if object.APIVersion != "kagent.dev/v1alpha2" || object.Kind != "RemoteMCPServer" || object.Spec.Description == "" || object.Spec.URL == "" ||
			!slices.Contains([]string{"SSE", "STREAMABLE_HTTP"}, object.Spec.Protocol) || !regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`).MatchString(object.Metadata.Name) {
			return 0, fmt.Errorf("%+v", object)
		}
		for _, h := range object.Spec.HeadersFrom {
			if (h.Value == "") == (h.ValueFrom == nil) {
				return 0, fmt.Errorf("header %+v has not exactly one value", h)
			}
		}
	}
}
