package config

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestLoadMCP(t *testing.T) {
	dir := t.TempDir()
	m, err := LoadMCP([]string{"--manifests", dir, "--timeout=2m"}, []string{"TOOLSET_LISTEN=:2", "TOOLSET_CLUSTER_DOMAIN=example.org"}, io.Discard)
	if err != nil || m.Cluster.Manifests != dir || m.Cluster.Domain != "example.org" || m.Timeout != 2*time.Minute {
		t.Errorf("got %+v, %v", m, err)
	}
	for arg, want := range map[string]string{
		"a/b":                       `"a/b" is not expected here`,
		"--listen=:1":               "--listen is a setting of the service, which does nothing for mcp; remove it",
		"--output=x":                "--output is not a setting",
		"--timeout=1h1s":            "--timeout",
		"--overrides=/nowhere.yaml": "--overrides",
	} {
		if _, err := LoadMCP([]string{"--manifests", dir, arg}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", arg, err, want)
		}
	}
	var help strings.Builder
	if _, err := LoadMCP([]string{"--help"}, nil, &help); !errors.Is(err, ErrHelp) {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"dynamic-toolset mcp --manifests DIR": true, "--overrides FILE": true, "--kubeconfig": true, "--listen": false} {
		if strings.Contains(help.String(), text) != want {
			t.Errorf("%s in the help: %v", text, !want)
		}
	}
}

// Standard input has one use at a time.
func TestStandardInputIsUsedOnce(t *testing.T) {
	for _, args := range [][]string{{"--manifests=-"}, {"--manifests", t.TempDir(), "--overrides=-"}} {
		if _, err := LoadMCP(args, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "can't be standard input, from which the messages of the agent come") {
			t.Errorf("%q: %v", args, err)
		}
	}
	args := []string{"--manifests=-", "--overrides=-"}
	if _, err := LoadGenerate(args, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "can't both be standard input") {
		t.Error(err)
	}
	if s, err := LoadGenerate(args[:1], nil, io.Discard); err != nil || s.Cluster.Manifests != "-" {
		t.Error(s, err)
	}
}
