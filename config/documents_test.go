package config

import (
	"io"
	"slices"
	"strings"
	"testing"
)

// Which documents there are, from a flag, the environment and for generate.
func TestDocumentsSettings(t *testing.T) {
	dir := t.TempDir()
	s, err := Load([]string{"--manifests", dir, "--outputs=mcp,kagent,mcp", "--own-url=https://toolset.example.com/base"}, nil, io.Discard)
	if err != nil || !slices.Equal(s.Documents.Outputs, []string{"mcp", "kagent"}) || s.Documents.OwnURL != "https://toolset.example.com/base" {
		t.Errorf("%+v, %v", s, err)
	}
	g, err := LoadGenerate([]string{"--manifests", dir, "--format=kagent"}, []string{"TOOLSET_OUTPUTS=grafana-datasources,kubernaut-values"}, io.Discard)
	if err != nil || g.Format != "kagent" || !slices.Equal(g.Documents.Outputs, []string{"grafana-datasources", "kubernaut-values"}) {
		t.Errorf("%+v, %v", g, err)
	}
	for flag, want := range map[string]string{
		"--outputs=":                        "--outputs is empty: name at least one format",
		"--outputs=mcp,prometheus":          `--outputs holds "prometheus"; the formats are kubernaut, holmesgpt, grafana-datasources, kubernaut-values, mcp, kagent`,
		"--outputs=configmap":               `--outputs holds "configmap"`,
		"--own-url=toolset:8080":            "--own-url is",
		"--own-url=ftp://toolset":           "--own-url is",
		"--own-url=http://u:p@toolset":      "--own-url is",
		"--own-url=http://toolset/?a=b":     "--own-url is",
		"--own-url=http://toolset/{{ x }}/": "--own-url is",
	} {
		if _, err := Load([]string{"--manifests", dir, flag}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", flag, err, want)
		}
	}
}
