package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const shop = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers:
      - {name: migrate, image: "registry.example/migrate:2"}
      - {name: proxy, image: proxy, restartPolicy: Always}
      containers: [{name: web, image: "web:1"}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: redis, namespace: shop}
spec:
  selector: {matchLabels: {app: redis}}
  template: {metadata: {labels: {app: redis}}, spec: {containers: [{name: redis, image: "redis:7"}]}}
`

// archiveOf writes an image that says what to run, for a kind of machine.
func archiveOf(t *testing.T, arch string, config v1.Config) string {
	t.Helper()
	made, err := empty.Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	made = made.DeepCopy()
	made.OS, made.Architecture, made.Config = "linux", arch, config
	img, err := mutate.ConfigFile(empty.Image, made)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag("built:here")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := tarball.WriteToFile(file, tag, img); err != nil {
		t.Fatal(err)
	}
	return file
}

// Whatever can't run is refused with a sentence and the code 2, before a cluster is
// started: none is, or the progress would say so.
func TestRefusedBeforeACluster(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	file := write("shop.yaml", shop)
	folder := filepath.Join(dir, "rootfs")
	if err := os.MkdirAll(filepath.Join(folder, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	agent := "--agent-binary=" + file
	good := archiveOf(t, runtime.GOARCH, v1.Config{Entrypoint: []string{"/web"}})
	foreign := archiveOf(t, "mips", v1.Config{Entrypoint: []string{"/web"}})
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "StatefulSet shop/web, container migrate: --image registry.example/migrate:2=SOURCE\n    StatefulSet shop/web, container proxy: --image proxy=SOURCE\n    StatefulSet shop/web, container web: --image web:1=SOURCE"},
		{[]string{"--image=web:1=" + good, "--image=proxy=" + good}, "container migrate: --image registry.example/migrate:2=SOURCE\n  where SOURCE"},
		{[]string{"--image=web:1=" + foreign}, "is for linux/mips, and this machine is linux/" + runtime.GOARCH},
		{[]string{"--image=web:1=" + dir + "/none"}, "the image web:1: this image can't be used: " + dir + "/none can't be read: no such file"},
		{[]string{"--image=web:1=" + folder}, "the container web of StatefulSet shop/web has no command"},
		{[]string{"--image=other=" + good}, "no container of the manifests runs other; they run: registry.example/migrate:2, proxy, web:1, redis:7"},
		{[]string{"--image=web:1=" + good, "--image=docker.io/library/web:1=" + good}, "the image web:1 is given twice"},
		{[]string{"--image==" + good}, "write it as NAME=SOURCE"},
		{[]string{"--image=web:1"}, "docker save -o FILE web:1"},
		{[]string{"--image=web:1=" + good, "--image-file=/a=b"}, "--image-file is for the image"},
		{[]string{"--cluster=kubeconfig", "--agent-image=a", "--yes", "--image=web:1=" + good}, "push web:1 to a registry"},
		{[]string{"--target=redis"}, "no Service redis"},
		{[]string{"--target=nobody", "--manifest=" + write("n.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: nobody, namespace: shop}\nspec: {selector: {app: nobody}, ports: [{port: 80}]}\n")}, "no Deployment, StatefulSet or DaemonSet"},
		{[]string{"--target=none", "--manifest=" + write("h.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: none}\nspec: {selector: {app: nobody}, clusterIP: None, ports: [{port: 80}]}\n")}, "is headless"},
		{[]string{"--manifest=" + write("twice.yaml", strings.ReplaceAll(strings.Split(shop, "---")[1], "StatefulSet", "Deployment"))}, "two workloads, StatefulSet web and Deployment web"},
	} {
		var out, errs bytes.Buffer
		code := run(append([]string{"--manifest=" + file, agent, "--reports=" + dir + "/reports"}, c.args...), strings.NewReader(""), &out, &errs)
		if code != exitUnable || !strings.Contains(errs.String(), c.want) || strings.Contains(errs.String(), "starting a") {
			t.Errorf("%q: code %d, %s, not %q", c.args, code, &errs, c.want)
		}
	}
	for text, want := range map[string]string{
		"{configMapRef: {name: settings}}": "lack, in the namespace shop: ConfigMap settings;", "{secretRef: {name: key, optional: true}}": "say what these are made of",
	} {
		var out, errs bytes.Buffer
		changed := strings.Replace(shop, `image: "web:1"`, `image: "web:1", envFrom: [`+text+`]`, 1)
		if code := run([]string{"--manifest=-", agent}, strings.NewReader(changed), &out, &errs); code != exitUnable || !strings.Contains(errs.String(), want) {
			t.Errorf("%s: code %d, %s", text, code, &errs)
		}
	}
	for kind, c := range map[string][]string{
		"DaemonSet": {"--replicas=2", "which has a pod on each node"}, "Pod": {"--restarts=1", "only a Deployment, StatefulSet, DaemonSet has a rollout"}, "Deployment": {"--scenario=rolling-restart", "say what these are made of"},
	} {
		text := strings.Replace(shop, "kind: StatefulSet", "kind: "+kind, 1)
		if kind == "Pod" {
			text = strings.Replace(text, "apiVersion: apps/v1\nkind: Pod\nmetadata: {name: web, namespace: shop}", "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop, labels: {app: web}}", 1)
		}
		var out, errs bytes.Buffer
		if code := run([]string{"--manifest=-", agent, c[0]}, strings.NewReader(text), &out, &errs); code != exitUnable || !strings.Contains(errs.String(), c[1]) {
			t.Errorf("%s: code %d, %s, not %q", kind, code, &errs, c[1])
		}
	}
}

// What runs in a cluster is named like kubectl does.
func TestInPlaceFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"deployment/web", "--manifest=x"}, "--manifest means nothing for the Deployment default/web"},
		{[]string{"sts/web", "-n", "shop", "--cluster=sim"}, "the StatefulSet shop/web is in an existing cluster"},
		{[]string{"pod/web"}, "write deployment/NAME"},
		{[]string{"deployment/a", "deployment/b"}, "one workload"},
		{[]string{"-n", "shop"}, "name it, such as deployment/NAME"},
		{[]string{"--print-rbac"}, "name it"},
		{[]string{"daemonset/web", "--max-lost=-1", "--agent-image=a"}, "--max-lost is -1"},
	} {
		var out, errs bytes.Buffer
		if code := run(c.args, strings.NewReader(""), &out, &errs); code != exitUnable || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%q: code %d, %s, not %q", c.args, code, &errs, c.want)
		}
	}
	var out, errs bytes.Buffer
	if code := run([]string{"deploy/web", "-n", "shop", "--print-rbac"}, nil, &out, &errs); code != exitPassed {
		t.Fatalf("code %d, %s", code, &errs)
	}
	for _, want := range []string{"kind: ClusterRole", "kind: Role", "namespace: shop", "- deployments", "resourceNames:\n  - web", "- pods/portforward", "- endpointslices"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}
