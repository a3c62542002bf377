package config

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestLoadExplain(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"monitoring/prometheus", "--manifests", dir, "--timeout=2m", "--output=json"},
		{"--manifests", dir, "--output", "json", "monitoring/prometheus", "--timeout", "2m"},
	} {
		e, err := LoadExplain(args, []string{"TOOLSET_LISTEN=:2", "TOOLSET_CLUSTER_DOMAIN=example.org"}, io.Discard)
		if err != nil || e.Namespace != "monitoring" || e.Name != "prometheus" || e.Cluster.Manifests != dir || e.Cluster.Domain != "example.org" ||
			e.Output != OutputJSON || e.Timeout != 2*time.Minute {
			t.Errorf("%q: got %+v, %v", args, e, err)
		}
	}
	if e, err := LoadExplain([]string{"a/b", "--manifests", dir}, nil, io.Discard); err != nil || e.Output != OutputText || e.Timeout != 30*time.Second {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestLoadExplainRefuses(t *testing.T) {
	dir := t.TempDir()
	for arg, want := range map[string]string{
		"":                "no Service is named; name the Service to explain as NAMESPACE/NAME",
		"prometheus":      `"prometheus" is not a Service; name the Service to explain as NAMESPACE/NAME`,
		"a/b/c":           `"a/b/c" is not a Service`,
		"/b":              `"/b" is not a Service`,
		"a/":              `"a/" is not a Service`,
		"svc/prometheus":  `"svc/prometheus" has no namespace`,
		"a/b c/d":         `2 Services are named, "a/b c/d"`,
		"a/b --listen=:1": "--listen is a setting of the service, which does nothing for explain; remove it",
		"a/b --format=x":  "--format is not a setting",
		"a/b --output=x":  `--output is "x"; it must be text or json`,
		"a/b -output=x":   `must be written with two dashes`,
	} {
		_, err := LoadExplain(append([]string{"--manifests", dir}, strings.Fields(arg)...), nil, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", arg, err, want)
		}
	}
	// Other commands take no Service.
	if _, err := LoadGenerate([]string{"--manifests", dir, "a/b"}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), `"a/b" is not expected here`) {
		t.Errorf("generate: %v", err)
	}
}

func TestExplainHelp(t *testing.T) {
	var help strings.Builder
	if _, err := LoadExplain([]string{"--help"}, nil, &help); !errors.Is(err, ErrHelp) {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"dynamic-toolset explain --manifests DIR monitoring/prometheus": true, "--output FORM": true, "--overrides FILE": true, "--timeout DURATION": true,
		"--kubeconfig FILE": true, "--context NAME": true, "--rules FILE": true, "Exit codes": true, "--listen": false, "--configmap-name": false, "--format": false,
	} {
		if strings.Contains(help.String(), text) != want {
			t.Errorf("%q is there: %v", text, !want)
		}
	}
}
