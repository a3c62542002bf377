package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// example is the folder of the example cluster; golden returns its documents.
const example = repository + "/examples/cluster"

func golden(t *testing.T, key string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository, "service", "snapshot", "testdata", "example."+key))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The example cluster in each format gives the same output each time.
func TestGenerateFromManifests(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{"kubernaut": golden(t, kubernaut.Key), "holmesgpt": golden(t, holmesgpt.Key)} {
		code, stdout, stderr := runCommand(t, "generate", "--manifests", example, "--format", format)
		if code != 0 || stdout != want || stderr != "" {
			t.Errorf("%s: exit code %d, %s\n%s", format, code, stderr, stdout)
		}
	}
	args := []string{"generate", "--manifests", example, "--configmap-name", "mine", "--configmap-namespace", "ours"}
	code, first, stderr := runCommand(t, args...)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	var cm corev1.ConfigMap
	if err := yaml.UnmarshalStrict([]byte(first), &cm); err != nil {
		t.Fatal(err)
	}
	if cm.Kind != "ConfigMap" || cm.APIVersion != "v1" || cm.Name != "mine" || cm.Namespace != "ours" ||
		cm.Data[kubernaut.Key] != golden(t, kubernaut.Key) || cm.Data[holmesgpt.Key] != golden(t, holmesgpt.Key) || len(cm.Data) != 2 {
		t.Errorf("the ConfigMap is\n%s", first)
	}
	if _, second, _ := runCommand(t, args...); second != first {
		t.Error("the second time it is another one")
	}
}

func TestGenerateWithOverrides(t *testing.T) {
	t.Parallel()
	overrides := writeFile(t, "overrides.yaml", `
toolsets:
- {name: kps-grafana, disable: true}
- {name: nobody, namespace: nowhere, disable: true}
- {name: metrics, namespace: cloud, add: true, type: prometheus, url: "https://metrics.example.com", primary: true}
`)
	code, stdout, stderr := runCommand(t, "generate", "--manifests", example, "--format=holmesgpt", "--overrides", overrides)
	if code != 0 || !strings.Contains(stderr, "toolsets[1] (nowhere/nobody) is about nothing") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	for text, want := range map[string]bool{
		"grafana/dashboards": false, `prometheus_url: "https://metrics.example.com"`: true,
		`- name: "monitoring/kps-kube-prometheus-stack-prometheus"`: true,
	} {
		if strings.Contains(stdout, text) != want {
			t.Errorf("%q is there: %v\n%s", text, !want, stdout)
		}
	}
}

// An override that switches off a second Service of a toolset has no effect, and a
// warning says so.
func TestGenerateWarnsOfOverriddenAliases(t *testing.T) {
	t.Parallel()
	overrides := writeFile(t, "overrides.yaml", "toolsets: [{name: prometheus-operated, disable: true}]\n")
	code, stdout, stderr := runCommand(t, "generate", "--manifests", filepath.Join(repository, "transport/testdata/which"), "--format=kubernaut", "--overrides", overrides)
	if code != 0 || !strings.Contains(stderr, "warning: the overrides' toolsets[0] (monitoring/prometheus-operated) switches off an alias of monitoring/kps-kube-prometheus-stack-prometheus, which stays") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if !strings.Contains(stdout, "kps-kube-prometheus-stack-prometheus") {
		t.Errorf("the toolset is gone: %s", stdout)
	}
}

// An annotation that can't be used causes a warning; the document is right without it.
func TestGenerateWarnsOfAnnotations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	manifest := "apiVersion: v1\nkind: Service\nmetadata:\n  name: jaeger\n  namespace: obs\n  annotations: {kubernaut.io/toolset-endpoint: \"http://h/$(id)\"}\nspec: {selector: {app: jaeger}, ports: [{port: 16686}]}\n"
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := runCommand(t, "generate", "--manifests", dir, "--format=kubernaut")
	if code != 0 || !strings.Contains(stderr, "warning: Service obs/jaeger: annotation kubernaut.io/toolset-endpoint has a path that must consist of") ||
		!strings.Contains(stdout, "http://jaeger.obs.svc.cluster.local:16686") || strings.Contains(stdout, "$") {
		t.Errorf("exit code %d, %s\n%s", code, stderr, stdout)
	}
}

// A folder without any Service is most likely the wrong one.
func TestGenerateWarnsOfNothing(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := runCommand(t, "generate", "--manifests", t.TempDir(), "--format=kubernaut")
	if code != 0 || !strings.Contains(stderr, "warning: there is no Service at all") || stdout != "{\"tools\":[\n]}\n" && stdout != "{\"tools\":[]}\n" {
		t.Errorf("exit code %d, %s\n%q", code, stderr, stdout)
	}
}

// Overrides may come from another program.
func TestGenerateReadsOverridesFromStandardInput(t *testing.T) {
	t.Parallel()
	cmd := commandOf(t, released, "generate", "--manifests", example, "--format=kubernaut", "--overrides=-")
	cmd.Stdin = strings.NewReader("toolsets: [{name: added, namespace: external, add: true, type: tempo, url: http://tempo.example}]\n")
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), `"http://tempo.example"`) {
		t.Errorf("%v\n%s", err, out)
	}
}

// Errors are reported with an exit code other than 0, and nothing on standard output.
func TestGenerateRefuses(t *testing.T) {
	t.Parallel()
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "a.yaml"), []byte("kind: Service\napiVersion: v1\nmetadata: {name: Not_A_Name}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	overrides := writeFile(t, "o.yaml", "toolsets:\n- {nmae: x}\n")
	rules := writeFile(t, "r.yaml", "kinds: [{type: X}]")
	kubeconfig := writeFile(t, "k.yaml", "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"http://127.0.0.1:1\"}}]\ncontexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n")
	for _, c := range []struct {
		code int
		want []string
		args []string
	}{
		{exitUsage, []string{"there is no cluster to watch"}, nil},
		{exitUsage, []string{"--format is \"json\"; it must be configmap, kubernaut, holmesgpt, grafana-datasources, kubernaut-values, mcp or kagent"}, []string{"--manifests", example, "--format", "json"}},
		{exitUsage, []string{"--listen is a setting of the service", "--manifst is not a setting; did you mean --manifests?"}, []string{"--listen=:1", "--manifst=x"}},
		{exitUsage, []string{"does not exist"}, []string{"--manifests", "/nowhere"}},
		{exitUsage, []string{"--overrides names a file that can't be used"}, []string{"--manifests", example, "--overrides", "/nowhere"}},
		{exitFailed, []string{"a.yaml", "Not_A_Name", "put it right, or move it elsewhere"}, []string{"--manifests", broken}},
		{exitFailed, []string{"o.yaml has mistakes", "toolsets[0].nmae: is unknown; did you mean name? (line 2)"}, []string{"--manifests", example, "--overrides", overrides}},
		{exitFailed, []string{"--rules: ", "r.yaml:1: kinds[0].type"}, []string{"--manifests", example, "--rules", rules}},
		{exitFailed, []string{"could not be read within 1s", "127.0.0.1:1"}, []string{"--kubeconfig", kubeconfig, "--timeout", "1s"}},
		{exitFailed, []string{`no context "y"`}, []string{"--kubeconfig", kubeconfig, "--context", "y"}},
	} {
		code, stdout, stderr := runCommand(t, append([]string{"generate"}, c.args...)...)
		if code != c.code || stdout != "" {
			t.Errorf("%v: exit code %d, on standard output %q", c.args, code, stdout)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%v does not say %q:\n%s", c.args, want, stderr)
			}
		}
	}
}

func TestGenerateHelp(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := runCommand(t, "generate", "--help")
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	for _, want := range []string{"--manifests DIR", "--kubeconfig FILE", "--overrides FILE", "--format FORMAT", "--namespaces", "--rules", "--timeout", "dynamic-toolset generate --manifests DIR", "Exit codes"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the help does not have %q", want)
		}
	}
	if strings.Contains(stdout, "--listen") || strings.Contains(stdout, "--health-interval") {
		t.Error("the help has settings that do nothing here")
	}
}
