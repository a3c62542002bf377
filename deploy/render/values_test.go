package render_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/deploy/render"
)

func parseValues(t *testing.T, text string) map[string]any {
	t.Helper()
	var values map[string]any
	if err := yaml.UnmarshalStrict([]byte(text), &values); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return values
}

// Values that make no sense are refused before anything is applied, with a message that
// names the value.
func TestBadValuesAreRefused(t *testing.T) {
	for _, tt := range []struct{ values, want string }{
		// Names.
		{"replcas: 3", "additional properties 'replcas' not allowed"},
		{"image: {tga: v1}", "at '/image': additional properties 'tga' not allowed"},
		{"settings: {helth-interval: 1m}", "at '/settings': additional properties 'helth-interval' not allowed"},
		{"settings: {listen: ':1'}", "at '/settings': additional properties 'listen' not allowed"},
		{"settings: {configmap-enabled: true}", "at '/settings': additional properties 'configmap-enabled' not allowed"},
		// Values.
		{"replicas: three", "at '/replicas': got string, want integer"},
		{"replicas: -1", "at '/replicas': minimum: got -1, want 0"},
		{"image: {repository: ''}", "at '/image/repository'"},
		{"image: {repository: a@b}", "at '/image/repository'"},
		{"image: {tag: 'a b'}", "at '/image/tag'"},
		{"image: {digest: 0123}", "at '/image/digest'"},
		{"image: {pullPolicy: Sometimes}", "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'"},
		{"image: {pullSecrets: [registry]}", "at '/image/pullSecrets/0': got string, want object"},
		{"settings: {health-interval: 30}", "at '/settings/health-interval': got number, want string"},
		{"settings: {health-interval: '30'}", "at '/settings/health-interval': '30' does not match pattern"},
		{"settings: {health-attempts: 0}", "at '/settings/health-attempts': minimum: got 0, want 1"},
		{"settings: {max-request-body: 1 apple}", "at '/settings/max-request-body'"},
		{"settings: {holmesgpt-leave-out: [grafana]}", "at '/settings/holmesgpt-leave-out/0': value must be one of 'prometheus/metrics'"},
		{"settings: {holmesgpt-reload-url: holmes}", "at '/settings/holmesgpt-reload-url'"},
		{"settings: {own-url: 'toolset:8080'}", "at '/settings/own-url'"},
		{"settings: {event-loop: on}", "at '/settings/event-loop': value must be one of 'auto', 'off', false"},
		{"settings: {log-level: warning}", "at '/settings/log-level': value must be one of 'debug', 'info', 'warn', 'error'"},
		{"settings: {allow-endpoint-cidrs: [localhost]}", "at '/settings/allow-endpoint-cidrs/0'"},
		{"scope: everywhere", "at '/scope': value must be one of 'cluster', 'namespace', 'list'"},
		{"{scope: list, namespaces: [A_b]}", "at '/namespaces/0'"},
		{"configMap: {enabled: yes please}", "at '/configMap/enabled': got string, want boolean"},
		{"configMap: {name: Toolsets}", "at '/configMap/name'"},
		{"shutdown: {drainTimeoutSeconds: 30s}", "at '/shutdown/drainTimeoutSeconds': got string, want integer"},
		{"monitoring: {interval: 30}", "at '/monitoring/interval': got number, want string"},
		{"resources: {request: {cpu: 1}}", "at '/resources': additional properties 'request' not allowed"},
		// Combinations.
		{"autoscaling: {enabled: true, minReplicas: 5, maxReplicas: 4}", "autoscaling.minReplicas (5) is above autoscaling.maxReplicas (4)"},
		{"{autoscaling: {enabled: true}, resources: {requests: {cpu: null}}}", "autoscaling needs resources.requests.cpu"},
		{"scope: list", "scope=list needs namespaces"},
		{"namespaces: [a]", `namespaces is only of use with scope=list, and scope is "cluster"`},
		{"podLabels: {app.kubernetes.io/name: other}", "podLabels has app.kubernetes.io/name, which is the chart's own"},
		{"serviceAccount: {create: false}", "serviceAccount.name is empty: name the ServiceAccount to use"},
	} {
		_, _, err := render.Helm(chartDir, render.Release{Name: name, Namespace: namespace, Values: parseValues(t, tt.values)})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v\nwant %s", tt.values, err, tt.want)
		}
	}
}

// An off without quotes reaches a chart as false; the service is told "off" all the same.
func TestOffWithoutQuotes(t *testing.T) {
	objects, _, err := render.Helm(chartDir, render.Release{Name: name, Namespace: namespace,
		Values: parseValues(t, "settings: {event-loop: off, identify: off, health-checks: off}")})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range deployment(t, objects).Spec.Template.Spec.Containers[0].Env {
		got[e.Name] = e.Value
	}
	for name, want := range map[string]string{
		"TOOLSET_EVENT_LOOP": "off", "TOOLSET_IDENTIFY": "off", "TOOLSET_HEALTH_CHECKS": "false",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

// Each value has an effect on the objects. (TestAPIServer shows that the API server
// accepts them.)
func TestEveryValueHasItsEffect(t *testing.T) {
	objects := everything(t)
	var text strings.Builder
	if err := render.Write(&text, objects); err != nil {
		t.Fatal(err)
	}
	lookup := deployment(t, objects)
	env := map[string]string{}
	for _, e := range lookup.Spec.Template.Spec.Containers[0].Env {
		env[e.Name] = e.Value
	}
	want := map[string]string{
		"GOMEMLIMIT": "1792MiB", "TOOLSET_SERVED_BY": "",
		"TOOLSET_KUBERNETES_UNAVAILABLE_GRACE":    "1m",
		"TOOLSET_MAX_CONNECTIONS":                 "1000000", // not 1e+06
		"TOOLSET_HEALTH_INSECURE_SKIP_TLS_VERIFY": "true",
		"TOOLSET_ALLOW_ENDPOINT_CIDRS":            "127.0.0.0/8,169.254.0.0/16",
		"TOOLSET_MAX_REQUEST_BODY":                "2MiB",
		"TOOLSET_OUTPUTS":                         "kagent,mcp",
		"TOOLSET_OWN_URL":                         "https://toolset.example.com/base",
		"TOOLSET_MCP_ORIGINS":                     "https://agents.example.com",
		"TOOLSET_LOG_LEVEL":                       "debug",
		"TOOLSET_HOLMESGPT_LEAVE_OUT":             "grafana/loki,kafka/admin",
		"TOOLSET_HOLMESGPT_CURL":                  "true",
		"TOOLSET_HOLMESGPT_RELOAD_URL":            "http://holmes.holmes.svc/api/admin/reload/toolsets",
		"TOOLSET_CONFIGMAP_ENABLED":               "true",
		"TOOLSET_CONFIGMAP_NAMESPACE":             "",
		"TOOLSET_CONFIGMAP_NAME":                  "toolsets",
		"TOOLSET_LEADER_ELECTION_LEASE":           "toolsets",
		"TOOLSET_AUTH":                            "token",
		"TOOLSET_AUTH_AUDIENCES":                  "toolsets,more",
		"TOOLSET_WORKLOAD_EVIDENCE":               "true",
		"TOOLSET_TLS_CERT_FILE":                   "/etc/dynamic-toolset/tls/tls.crt",
		"TOOLSET_TLS_KEY_FILE":                    "/etc/dynamic-toolset/tls/tls.key",
		"TOOLSET_NAMESPACES":                      "kubernaut-system,team-a",
		"TOOLSET_RULES":                           "/etc/dynamic-toolset/rules/more.yaml",
		"TOOLSET_HEALTH_CA_FILE":                  "/etc/dynamic-toolset/health-ca/bundle.pem",
		"TOOLSET_SHUTDOWN_PROPAGATION_DELAY":      "15s",
		"TOOLSET_SHUTDOWN_DRAIN_TIMEOUT":          "60s",
	}
	if !maps.Equal(env, want) {
		t.Errorf("the environment is\n%v, not\n%v", env, want)
	}
	if grace := *lookup.Spec.Template.Spec.TerminationGracePeriodSeconds; grace != 85 {
		t.Errorf("the grace period is %d s, not 15 + 60 + 10", grace)
	}
	mounts := map[string]string{}
	for _, m := range lookup.Spec.Template.Spec.Containers[0].VolumeMounts {
		for _, v := range lookup.Spec.Template.Spec.Volumes {
			if v.Name == m.Name {
				if v.Secret != nil {
					mounts[m.MountPath] = v.Secret.SecretName
				} else {
					mounts[m.MountPath] = v.ConfigMap.Name
				}
			}
		}
	}
	if !maps.Equal(mounts, map[string]string{"/etc/dynamic-toolset/rules": "my-rules", "/etc/dynamic-toolset/health-ca": "my-ca", "/etc/dynamic-toolset/tls": "my-certificate"}) {
		t.Errorf("mounted are %v", mounts)
	}
	for _, d := range all[appsv1.Deployment](t, objects, "Deployment") {
		spec := d.Spec.Template.Spec
		if spec.PriorityClassName != "system-cluster-critical" || spec.NodeSelector["kubernetes.io/os"] != "linux" || len(spec.Tolerations) != 1 ||
			spec.Affinity == nil || spec.Affinity.PodAntiAffinity != nil || d.Spec.Template.Annotations["example.com/c"] != "d" || d.Spec.Template.Labels["example.com/e"] != "f" {
			t.Errorf("%s is not placed as said: %+v", d.Name, spec)
		}
	}
	for _, part := range []string{
		"image: registry.example.com/team/dynamic-toolset@sha256:0123456789abcdef", "imagePullPolicy: Always", "- name: registry\n",
		"name: finder\n", "app.kubernetes.io/name: toolset-finder", "name: finder-writer\n", "leases", "name: finder-dashboard\n",
		"serviceAccountName: found\n", "example.com/role: reader",
		"minReplicas: 2\n", "maxReplicas: 20\n", "averageUtilization: 50\n", "namespace: team-a\n", "- toolsets\n", "value: toolsets\n",
		"interval: 15s\n", "release: prometheus\n", "example.com/a: b\n", "topology.kubernetes.io/zone",
	} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("nothing has %q", part)
		}
	}
	if strings.Contains(text.String(), "PodDisruptionBudget") {
		t.Error("there is a disruption budget, though podDisruptionBudget.enabled=false")
	}
}

// The documents that name MCP servers name this service, where its own Service answers,
// unless another URL is given.
func TestOwnURL(t *testing.T) {
	for _, tt := range []struct{ values, want string }{
		{"{configMap: {enabled: true}, settings: {outputs: [mcp]}}", "http://agents-dynamic-toolset.team-a.svc.cluster.local:8080"},
		{"{configMap: {enabled: true}, settings: {outputs: [holmesgpt, kagent], cluster-domain: corp.example}}", "http://agents-dynamic-toolset.team-a.svc.corp.example:8080"},
		{"{configMap: {enabled: true}, settings: {outputs: [mcp]}, tls: {secretName: s}, fullnameOverride: finder}", "https://finder.team-a.svc.cluster.local:8080"},
		{"{configMap: {enabled: true}, settings: {outputs: [mcp], own-url: 'https://toolset.example.com'}}", "https://toolset.example.com"},
		{"{configMap: {enabled: true}, settings: {outputs: [mcp], own-url: ''}}", ""},
		{"{configMap: {enabled: true}, settings: {outputs: [holmesgpt]}}", "none"}, // nobody would read it
		{"{configMap: {enabled: true}}", "none"},
		{"{settings: {outputs: [mcp]}}", "none"}, // nothing is written
	} {
		objects, _, err := render.Helm(chartDir, render.Release{Name: "agents", Namespace: "team-a", Values: parseValues(t, tt.values)})
		if err != nil {
			t.Fatalf("%s: %v", tt.values, err)
		}
		got := "none"
		for _, e := range deployment(t, objects).Spec.Template.Spec.Containers[0].Env {
			if e.Name == "TOOLSET_OWN_URL" {
				got = e.Value
			}
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.values, got, tt.want)
		}
		if got == "none" || got == "" || strings.Contains(tt.values, "own-url") {
			continue
		}
		// There is such a Service, with that port.
		u, err := url.Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, s := range all[corev1.Service](t, objects, "Service") {
			for _, p := range s.Spec.Ports {
				found = found || strings.HasPrefix(u.Hostname(), s.Name+"."+s.Namespace+".svc.") && fmt.Sprint(p.Port) == u.Port() && p.Name == "http"
			}
		}
		if !found {
			t.Errorf("%s: no Service of the chart answers at %s", tt.values, got)
		}
	}
}

// Two releases in one namespace are independent: their objects have different names, and
// neither selects the other's pods.
func TestTwoReleases(t *testing.T) {
	var pods [2]*appsv1.Deployment
	names := map[string]string{}
	for i, release := range []string{"blue", "green"} {
		objects, _, err := render.Helm(chartDir, render.Release{Name: release, Namespace: namespace, Values: parseValues(t, "configMap: {enabled: true}")})
		if err != nil {
			t.Fatal(err)
		}
		pods[i] = deployment(t, objects)
		for _, o := range objects {
			if other := names[render.ID(o)]; other != "" {
				t.Errorf("both %s and %s make %s", other, release, o)
			}
			names[render.ID(o)] = release
		}
	}
	if matches(pods[0].Spec.Selector.MatchLabels, pods[1].Spec.Template.Labels) {
		t.Error("one release selects the other's pods")
	}
}

// ownValue are settings that the chart sets itself, or by values with other names.
var ownValue = []string{
	"config", "manifests", "kubeconfig", "context", "write-configmap", // not for a pod
	"listen", "metrics-listen", "served-by",
	"namespaces", "rules", "workload-evidence", "health-ca-file", "configmap-enabled", "configmap-namespace", "configmap-name", "leader-election", "leader-election-lease", "auth", "auth-audiences", "tls-cert-file", "tls-key-file",
	"shutdown-propagation-delay", "shutdown-drain-timeout",
}

// The schema has all settings of the service and no others.
func TestSchemaKnowsEverySetting(t *testing.T) {
	var usage strings.Builder
	config.Usage(&usage)
	var known []string
	for _, m := range regexp.MustCompile(`(?m)^  --([a-z-]+)`).FindAllStringSubmatch(usage.String(), -1) {
		if !slices.Contains(ownValue, m[1]) {
			known = append(known, m[1])
		}
	}
	slices.Sort(known)
	if got := slices.Sorted(maps.Keys(schema(t).Properties["settings"].Properties)); len(known) < 10 || !slices.Equal(got, known) {
		t.Errorf("the chart's schema has the settings\n%v, the service\n%v", got, known)
	}
}

type node struct {
	Properties           map[string]node `json:"properties"`
	AdditionalProperties any             `json:"additionalProperties"`
}

func schema(t *testing.T) node {
	t.Helper()
	text, err := os.ReadFile(chartDir + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s node
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// Every value that the schema allows is in values.yaml, where people look, and in
// everything-values.yaml, so that its effect is tested.
func TestEveryValueIsShown(t *testing.T) {
	defaults, err := render.Values(chartDir + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	others, err := render.Values("testdata/everything-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var check func(path string, s node, in, other map[string]any)
	check = func(path string, s node, in, other map[string]any) {
		for key, sub := range s.Properties {
			at := path + key
			value, ok := in[key]
			switch {
			case at == "global", path == "settings.", at == "resources.claims", at == "configMap.resources.claims":
			case !ok:
				t.Errorf("values.yaml does not show %s", at)
			case other[key] == nil:
				t.Errorf("everything-values.yaml lacks %s", at)
			case len(sub.Properties) > 0:
				inner, _ := value.(map[string]any)
				innerOther, _ := other[key].(map[string]any)
				check(at+".", sub, inner, innerOther)
			}
		}
	}
	check("", schema(t), defaults, others)
}
