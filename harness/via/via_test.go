package via_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/harness/via"
)

// A configuration is recognised by what it says, not by its name, and says where the proxy
// listens.
func TestOpenConfiguration(t *testing.T) {
	for name, x := range map[string]struct {
		text, kind string
		port       int
		err        string
	}{
		"nginx.conf":       {"# listen 1;\nevents {}\nhttp {\n  log_format x '{\"a\": \"$host\"}';\n  server { listen 0.0.0.0:8081 default_server; location / { proxy_pass http://app:80; } }\n}\n", "nginx", 8081, ""},
		"stream first":     {"events {} stream { server { listen 53; } } http { server { listen [::]:8080; } }", "nginx", 8080, ""},
		"a file of conf.d": {"upstream a { server app:80; }\nserver {\n\tlisten 8000;\n\tset $x ${host}y;\n}", "nginx", 8000, ""},
		"an address":       {"server { listen 127.0.0.1; }", "nginx", 80, ""},
		"a socket":         {"server { listen unix:/tmp/s; }", "nginx", 0, "no server listens"},
		"haproxy.cfg":      {"global\n  daemon\nfrontend stats\n  bind :9000\n  stats enable\nfrontend in # listen\n  bind *:8443,:9443 ssl\n  default_backend b\nbackend b\n  server s app:80\n", "haproxy", 8443, ""},
		"a listen":         {"listen in\n  bind [::]:81 v4v6\n  server s app:80\n", "haproxy", 81, ""},
		"a variable":       {"listen in\n  bind :${PORT}\n  server s app:80\n", "haproxy", 0, "binds a port as a number; say where it listens with --via-target :PORT"},
		"Caddyfile":        {":8080 {\n\treverse_proxy app:80\n}\n", "", 0, "is no configuration of nginx or haproxy: give a manifest of the proxy (.yaml)"},
		"empty":            {"", "", 0, "is no configuration of"},
	} {
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte(x.text), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := via.Open(file, 0)
		if x.err != "" {
			if err == nil || !strings.Contains(err.Error(), x.err) {
				t.Errorf("%s: %v, not %q", name, err, x.err)
			}
			continue
		}
		if err != nil || p.Kind != x.kind || p.Port != x.port {
			t.Errorf("%s: %+v, %v", name, p, err)
			continue
		}
		text, err := p.Manifest("ns", "app:80")
		if err != nil || !strings.Contains(string(text), "containerPort: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := via.Open("traefik", 0); err == nil || !strings.Contains(err.Error(), "neither a file nor a proxy known by name (nginx, haproxy)") {
		t.Errorf("%v", err)
	}
}

// What the user has written is what the proxy gets, quoted whatever is in it; and what a
// configuration lacks is put around it.
func TestManifest(t *testing.T) {
	dir := t.TempDir()
	config := "server { listen 8000; add_header X \"a'b\\\\c\"; # {{.Name}} %TARGET%\n}\n"
	file := filepath.Join(dir, "default.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := via.Open(file, 0)
	if err != nil {
		t.Fatal(err)
	}
	text, err := p.Manifest("shop", "app:80")
	if err != nil {
		t.Fatal(err)
	}
	var configMap struct{ Data map[string]string }
	first, _, _ := strings.Cut(string(text), "\n---\n")
	if err := yaml.Unmarshal([]byte(first), &configMap); err != nil {
		t.Fatal(err)
	}
	if configMap.Data["included.conf"] != config || !strings.Contains(configMap.Data["nginx.conf"], "include /verify-via/included.conf;") {
		t.Errorf("%q", configMap.Data)
	}
	for _, kind := range via.Names() {
		if p, err = via.Open(kind, 0); err != nil {
			t.Fatal(err)
		}
		text, err := p.Manifest("shop", "app:81")
		if err != nil || !strings.Contains(string(text), "app:81") || p.Resolves() {
			t.Errorf("%s: %v\n%s", kind, err, text)
		}
	}
}

// A configuration that asks a name server is told from one that does not.
func TestResolves(t *testing.T) {
	for text, want := range map[string]bool{
		"events {} http { resolver 10.0.0.10; server { listen 80; } }":                         true,
		"server { listen 80; # resolver x;\n}":                                                 false,
		"resolvers dns\n  nameserver a 10.0.0.10:53\nlisten in\n  bind :80\n  server s app:80": true,
		"listen in\n  bind :80\n  server s app:80":                                             false,
	} {
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := via.Open(file, 0)
		if err != nil || p.Resolves() != want {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
}
