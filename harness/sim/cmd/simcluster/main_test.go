package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestHelpTeaches(t *testing.T) {
	var stdout, stderr strings.Builder
	code, err := run([]string{"up", "--help"}, &stdout, &stderr)
	if code != 0 || !errors.Is(err, pflag.ErrHelp) || stderr.Len() > 0 {
		t.Errorf("--help: code %d, %v, on standard error %q", code, err, stderr.String())
	}
	for _, want := range []string{"build ", "up ", "kubectl ", "--nodes", "--image", "--control-plane-only", "Examples:", "TOOLSET_SIM_BINARY"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("--help does not mention %q", want)
		}
	}
}

func TestWrongCallsAreExplained(t *testing.T) {
	for want, args := range map[string][]string{
		"say one of":                 {},
		`unknown command "down"`:     {"down"},
		"unknown flag: --node":       {"up", "--node=1"},
		"give NAME=BINARY":           {"up", "--image=example/app:v1"},
		"build the program first":    {"up", "--image=example/app:v1=/nowhere/app"},
		"leave --control-plane-only": {"up", "--control-plane-only", "--image=example/app:v1=" + os.Args[0]},
		"1 to 20 nodes, not 21":      {"up", "--nodes=21"},
	} {
		var stdout, stderr strings.Builder
		code, err := run(args, &stdout, &stderr)
		if code == 0 || err == nil || !strings.Contains(err.Error(), want) || stdout.Len() > 0 {
			t.Errorf("%v: code %d, %v, want %q", args, code, err, want)
		}
	}
}

func TestKubectlFindsTheOneCluster(t *testing.T) {
	temp := t.TempDir()
	if _, err := runningCluster(temp); err == nil || !strings.Contains(err.Error(), "simcluster up") {
		t.Errorf("without a cluster: %v", err)
	}
	make := func(name string) string {
		path := filepath.Join(temp, "dynamic-toolset-sim-"+name, "admin.kubeconfig")
		if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one := make("1")
	if got, err := runningCluster(temp); err != nil || got != one {
		t.Errorf("with one cluster: %s, %v", got, err)
	}
	make("2")
	if _, err := runningCluster(temp); err == nil || !strings.Contains(err.Error(), "2 clusters") {
		t.Errorf("with two clusters: %v", err)
	}
	if !namesCluster([]string{"get", "--kubeconfig=x"}) || !namesCluster([]string{"--kubeconfig", "x"}) || namesCluster([]string{"get", "--kubeconfigs"}) {
		t.Error("--kubeconfig is not recognized")
	}
}

func FuzzImages(f *testing.F) {
	f.Add("example/app:v1=./app")
	f.Add("=")
	f.Add("a==")
	f.Fuzz(func(t *testing.T, text string) {
		images, err := parseImages([]string{text})
		if (err == nil) != (len(images) == 1) {
			t.Errorf("%q: %v, %v", text, images, err)
		}
		if err == nil && (images[0].Name == "" || strings.Contains(images[0].Name, "=")) {
			t.Errorf("%q: the name %q", text, images[0].Name)
		}
	})
}
