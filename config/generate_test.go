package config

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// generate accepts the environment and the settings file of a deployment unchanged.
func TestLoadGenerate(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "settings.yaml")
	if err := os.WriteFile(file, []byte("listen: \":1\"\nconfigmap-name: from-file\ncluster-domain: example.org\nformat: kubernaut\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := LoadGenerate([]string{"--manifests", dir, "--config", file, "--timeout=2m"}, []string{"TOOLSET_LISTEN=:2", "TOOLSET_CONFIGMAP_NAMESPACE=ours", "TOOLSET_CONFIGMAP_ENABLED=true"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if g.Cluster.Manifests != dir || g.Cluster.Domain != "example.org" || g.Name != "from-file" || g.Namespace != "ours" || g.Format != FormatKubernaut || g.Timeout != 2*time.Minute || g.Overrides != "" {
		t.Errorf("got %+v", g)
	}
	if g, err := LoadGenerate([]string{"--manifests", dir}, nil, io.Discard); err != nil || g.Format != FormatConfigMap || g.Name != "kubernaut-toolset-config" {
		t.Errorf("got %+v, %v", g, err)
	}
}

func TestLoadGenerateRefuses(t *testing.T) {
	dir := t.TempDir()
	_, err := LoadGenerate([]string{"--manifests", dir, "--drain=1s", "--health-checks=false", "--format=xml", "--timeout=0s", "--rules", "/nowhere/r", "--overrides", dir,
		"--configmap-name=A", "--configmap-namespace=b.c"}, []string{"TOOLSET_NOTHING=1"}, io.Discard)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"--drain is not a setting", "--health-checks is a setting of the service, which does nothing for generate; remove it",
		`--format is "xml"; it must be configmap, kubernaut, holmesgpt, grafana-datasources, kubernaut-values, mcp or kagent`, "--timeout is 0s; it must be between 100ms and 1h", "--rules names a file that can't be used",
		"--overrides must name a file, but", "--configmap-name is", "--configmap-namespace is", "TOOLSET_NOTHING is not a setting",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not said: %s", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
	// The service does not accept the flags that only generate has.
	if _, err := Load([]string{"--manifests", dir, "--format=kubernaut"}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "--format is not a setting") {
		t.Errorf("serve: %v", err)
	}
}
