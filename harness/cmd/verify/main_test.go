package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHelp(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"--help"}, &out, &errs); code != exitPassed || errs.Len() > 0 {
		t.Errorf("code %d, %s", code, &errs)
	}
	for _, want := range []string{"rolling-restart", "kubelet-kill", "--image-binary", "Exit codes", "report.html", "/slow?for={duration}"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the help does not speak of %q", want)
		}
	}
}

// Mistakes end with 2, not with 1, which means that requests were lost.
func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	app := filepath.Join(dir, "app.yaml")
	if err := os.WriteFile(app, []byte("apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}], selector: {app: web}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--nope"}, "unknown flag: --nope"},
		{[]string{"now"}, `"now" is no flag`},
		{[]string{"--restarts=0", "--manifest", app}, "--restarts is 0"},
		{[]string{"--nodes=0"}, "--nodes is 0"},
		{[]string{"--manifest", app}, "name the program of the image"},
		{[]string{"--manifest", app, "--image-binary", app, "--target", "web:80"}, "no Deployment in the manifests"},
		{[]string{"--manifest", dir + "/none.yaml", "--image-binary", app}, "none.yaml can't be read"},
		{[]string{"--scenario=reboot", "--manifest", app}, `no scenario "reboot"`},
	} {
		var out, errs bytes.Buffer
		if code := run(c.args, &out, &errs); code != exitUnable || !strings.Contains(errs.String(), c.want) || out.Len() > 0 {
			t.Errorf("%q: code %d, %s", c.args, code, &errs)
		}
	}
}

// What can't be the only file of an image is known before a cluster is started.
func TestCheckProgram(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir + "/none": "build it first", dir: "is no file", plain: "chmod +x", script: "is no Linux program", "/bin/ls": "CGO_ENABLED=0",
	} {
		if err := checkProgram(path, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", path, err, want)
		}
	}
	if err := checkProgram(script, true); err != nil {
		t.Error(err)
	}
}
