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
	if code := run([]string{"--help"}, strings.NewReader(""), &out, &errs); code != exitPassed || errs.Len() > 0 {
		t.Errorf("code %d, %s", code, &errs)
	}
	for _, want := range []string{"rolling-restart", "kubelet-kill", "--image-binary", "Exit codes", "report.html", "/slow?for={duration}", "--prove-fix", "--strict", "pooled", "blind"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the help does not speak of %q", want)
		}
	}
}

// Mistakes in flags end with code 2, since 1 means that requests were lost.
func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	app := filepath.Join(dir, "app.yaml")
	if err := os.WriteFile(app, []byte("apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}], selector: {app: web}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	deployment, kubeconfig := filepath.Join(dir, "deployment.yaml"), filepath.Join(dir, "kubeconfig")
	for file, text := range map[string]string{
		deployment: `apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}], selector: {app: web}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "web:1"}]}}
`,
		kubeconfig: `apiVersion: v1
kind: Config
current-context: staging
clusters: [{name: staging, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: staging, context: {cluster: staging, user: me}}]
users: [{name: me, user: {token: t}}]
`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--nope"}, "unknown flag: --nope"},
		{[]string{"now"}, `"now" is no flag`},
		{[]string{"--restarts=0", "--manifest", app}, "--restarts is 0"},
		{[]string{"--nodes=0"}, "--nodes is 0"},
		{[]string{"--manifest", app}, "no Deployment, StatefulSet or DaemonSet in the manifests"},
		{[]string{"--manifest", deployment}, "--image-binary PROGRAM does, too"},
		{[]string{"--manifest", app, "--image-binary", app, "--target", "web:80"}, "no Deployment, StatefulSet or DaemonSet in the manifests"},
		{[]string{"--manifest", dir + "/none.yaml", "--image-binary", app}, "none.yaml can't be read"},
		{[]string{"--cluster=minikube"}, `no kind of cluster "minikube"; there are: sim, kind, kubeconfig`},
		{[]string{"--node-image=x", "--yes"}, "--yes means nothing for the cluster sim; it is for: kubeconfig"},
		{[]string{"--node-image=x", "--yes"}, "--node-image means nothing for the cluster sim; it is for: kind"},
		{[]string{"--manifest", deployment, "--image=web:1"}, "docker save -o FILE web:1"},
		{[]string{"--manifest", deployment, "--cluster=kind", "--image=registry:5000/web"}, "its tag is latest"},
		{[]string{"--manifest", deployment, "--cluster=kind", "--image=web:1", "--image-binary", app}, "either --image or --image-binary"},
		{[]string{"--manifest", deployment, "--cluster=kubeconfig", "--image-binary", app}, "push one to a registry"},
		{[]string{"--manifest", deployment, "--cluster=kubeconfig", "--agent-binary", app}, "--agent-image"},
		{[]string{"--manifest", deployment, "--cluster=kubeconfig", "--agent-image=a:1", "--kubeconfig", dir + "/none"}, "none: no such file"},
		{[]string{"--manifest", deployment, "--cluster=kubeconfig", "--agent-image=a:1", "--kubeconfig", kubeconfig, "--context=prod"}, `no context "prod"; choose one with --context: it has staging`},
		{[]string{"--manifest", deployment, "--cluster=kubeconfig", "--agent-image=a:1", "--kubeconfig", kubeconfig, "--namespace=A_b"}, `the namespace "A_b" can't be`},
		// The user is asked, and answers no. Nothing listens at the server, which is
		// not used.
		{[]string{"--manifest", deployment, "--cluster=kubeconfig", "--agent-image=a:1", "--kubeconfig", kubeconfig, "--namespace=mine"}, "Go on? [y/N] verify: nothing was done"},
		{[]string{"--manifest", deployment, "--cluster=kubeconfig", "--agent-image=a:1", "--kubeconfig", kubeconfig, "--namespace=mine"}, "kubectl --context staging delete namespace mine"},
		{[]string{"--scenario=reboot", "--manifest", app}, `no scenario "reboot"`},
	} {
		var out, errs bytes.Buffer
		if code := run(c.args, strings.NewReader("n\n"), &out, &errs); code != exitUnable || !strings.Contains(errs.String(), c.want) || out.Len() > 0 {
			t.Errorf("%q: code %d, %s", c.args, code, &errs)
		}
	}
}

// If a program can't be the only file of an image, this is found before a cluster is
// started.
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

// Our own service is verified strictly, others are not, unless the user says so.
func TestStrict(t *testing.T) {
	for _, c := range []struct {
		args []string
		want bool
	}{
		{nil, true}, {[]string{"--strict=false"}, false}, {[]string{"--manifest", "app.yaml"}, false}, {[]string{"--manifest", "app.yaml", "--strict"}, true},
	} {
		f := newFlags()
		if err := f.set.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		if len(f.manifests) == 0 {
			f.verifyOurselves()
		}
		if f.o.Strict != c.want {
			t.Errorf("%q: %v", c.args, f.o.Strict)
		}
	}
}
