package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const gateway = `
apiVersion: v1
kind: Service
metadata: {name: gateway, namespace: shop}
spec: {selector: {app: gateway}, ports: [{name: http, port: 80}, {name: admin, port: 81}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: gateway, namespace: shop}
spec:
  selector: {matchLabels: {app: gateway}}
  template:
    metadata: {labels: {app: gateway}}
    spec:
      containers: [{name: gateway, image: "envoy:1"}]
`

// A proxy that can't be put into the path is refused with a sentence that says what to do,
// before a cluster is started.
func TestProxiesThatCantWork(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	app := write("app.yaml", strings.Replace(strings.Split(gateway, "{name: admin")[0]+"]}\n---"+strings.SplitN(gateway, "---", 2)[1], ", ]}", "]}", 1))
	app = write("app.yaml", strings.NewReplacer("gateway", "web", "envoy:1", "web:1").Replace(mustRead(t, app)))
	manifest, volume := write("gateway.yaml", gateway), write("volume.yaml", strings.Replace(gateway, "containers:", "volumes: [{name: c, configMap: {name: envoy}}]\n      containers:", 1))
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--via=traefik"}, "--via: traefik is neither a file nor a proxy known by name (nginx, haproxy)"},
		{[]string{"--via=" + write("Caddyfile", ":80 {\n\treverse_proxy web:80\n}\n")}, "give a manifest of the proxy (.yaml), with its Deployment"},
		{[]string{"--via=" + write("haproxy.cfg", "listen a\n  bind :${PORT}\n  server s web:80\n")}, "say where it listens with --via-target :PORT"},
		{[]string{"--via=" + write("envoy.yaml", "static_resources: {}\n")}, "envoy.yaml"},
		{[]string{"--via=" + manifest}, "name a port of the Service gateway: it has 80, 81"},
		{[]string{"--via=" + manifest, "--via-target=other:80"}, "(--via; its Service is named by --via-target): the manifests have no Service other; they have: gateway"},
		{[]string{"--via=" + manifest, "--via-target=:80"}, "name its Service, too"},
		{[]string{"--via=" + manifest, "--via-target=gateway:80"}, "Deployment shop/gateway, container gateway: --image envoy:1=SOURCE"},
		{[]string{"--via=" + volume, "--via-target=gateway:80"}, "lack, in the namespace shop: ConfigMap envoy;"},
		{[]string{"--via=" + app}, "is both the target and the proxy before it"},
		{[]string{"--via=nginx", "--via-target=gateway:80"}, "has no manifest with Services"},
		{[]string{"--via=nginx", "--via-target=:http"}, "write it as SERVICE:PORT or :PORT, a number"},
		{[]string{"--via=nginx", "--protocol=h2"}, "takes HTTP/1.1 without TLS"},
		{[]string{"--via-target=gateway:80"}, "name that with --via"},
		{[]string{"--scenario=proxy-restart", "--cluster=kind", "--image=web:1"}, "restarts the proxy, and there is none: name it with --via"},
		{[]string{"--kube-proxy-sync=10m"}, "--kube-proxy-sync is 10m0s; it must be between 0 and 5m"},
		{[]string{"--cluster=kind", "--kube-proxy-sync=10s"}, "--kube-proxy-sync means nothing for the cluster kind; it is for: sim"},
		{[]string{"--scenario=spot-node", "--grace-cap=0s"}, "--grace-cap is 0s; it must be between 1s and 1h"},
	} {
		var out, errs bytes.Buffer
		args := append([]string{"--manifest=" + app, "--target=web", "--agent-binary=" + program, "--reports=" + dir + "/reports"}, c.args...)
		if code := run(args, strings.NewReader(""), &out, &errs); code != exitUnable || !strings.Contains(errs.String(), c.want) || strings.Contains(errs.String(), "starting a") {
			t.Errorf("%q: code %d, %s, not %q", c.args, code, &errs, c.want)
		}
	}
}

func mustRead(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
