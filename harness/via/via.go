// Package via describes a proxy that is put between the load and the target of a
// verification, as an ingress or a gateway is in production.
//
// [Open] takes the name of a proxy that it knows, a proxy's configuration, or manifests
// with a Deployment of the user's. For a configuration it makes the Deployment, the
// ConfigMap and the Service ([Proxy.Manifest]).
package via

import (
	"bytes"
	_ "embed" // for the manifest and the configurations
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// Name is the name of the Deployment and the Service of a proxy that came without
// manifests.
const Name = "verify-via"

// maxConfig bounds a configuration: it becomes a ConfigMap, which holds 1 MiB.
const maxConfig = 1<<20 - 4096

// A Proxy is what --via names.
type Proxy struct {
	// Kind is the name of the kind; empty if the proxy has Manifests, and is whatever these
	// say.
	Kind string
	// Manifests are files of the user's; empty: those of Manifest.
	Manifests []string
	// Port is where the proxy listens, if it has no Manifests.
	Port int

	kind   *kind
	config string // empty: the kind's own
	whole  bool   // config is all that the proxy needs
}

// A kind is a proxy that is known by name.
type kind struct {
	name, about string
	// image is what a cluster that pulls images runs.
	image string
	// stop is the signal for a graceful stop, which the image on Docker Hub names, too.
	stop string
	file string // of the configuration, in folder
	// command starts it with that file.
	command func(config string) []string
	config  string // a template, see standard
	// looksLike reports whether a configuration is one of this kind, and whether it is
	// whole.
	looksLike func(config string) (is, whole bool)
	// wrap makes a whole configuration of one that is not.
	wrap string
	port func(config string) (int, error)
	// resolves reports whether the configuration asks a name server while it runs.
	resolves func(config string) bool
}

const (
	folder   = "/verify-via" // of the configuration, in the container
	ownPort  = 8080          // of the kinds' own configurations
	included = "included.conf"
)

//go:embed nginx.conf
var nginxConfig string

//go:embed haproxy.cfg
var haproxyConfig string

//go:embed deploy.yaml
var deploy string

var deployTemplate = template.Must(template.New("deploy.yaml").Funcs(template.FuncMap{"quote": quote}).Parse(deploy))

var kinds = []*kind{
	{
		name: "nginx", about: "nginx, with kept connections to the target", image: "nginx:stable", stop: "SIGQUIT", file: "nginx.conf", config: nginxConfig,
		command: func(config string) []string {
			args := []string{"nginx", "-e", "stderr", "-c", folder + "/nginx.conf"}
			if !nginxHas(config, "daemon") {
				args = append(args, "-g", "daemon off;")
			}
			return args
		},
		looksLike: isNginx, port: nginxPort, wrap: nginxAround,
		resolves: func(config string) bool { return nginxHas(config, "resolver") },
	},
	{
		name: "haproxy", about: "HAProxy, with kept connections to the target", image: "haproxy:lts", stop: "SIGUSR1", file: "haproxy.cfg", config: haproxyConfig,
		command:   func(string) []string { return []string{"haproxy", "-W", "-db", "-f", folder + "/haproxy.cfg"} },
		looksLike: isHAProxy, port: haproxyPort, resolves: func(config string) bool { return haproxyHas(config, "resolvers") },
	},
}

// Names returns the kinds that Open knows by name.
func Names() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// Open returns the proxy that value means: the name of a kind, a file or folder of
// manifests, or a configuration. port is where the proxy listens, if its configuration
// doesn't say; 0: it does.
func Open(value string, port int) (*Proxy, error) {
	for _, k := range kinds {
		if k.name == value {
			return &Proxy{Kind: k.name, kind: k, Port: ownPort, whole: true}, nil
		}
	}
	info, err := os.Stat(value)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s is neither a file nor a proxy known by name (%s)", value, strings.Join(Names(), ", "))
	case err != nil:
		return nil, err
	case info.IsDir() || isYAML(value):
		return &Proxy{Manifests: []string{value}}, nil
	}
	config, err := read(value)
	if err != nil {
		return nil, err
	}
	for _, k := range kinds {
		is, whole := k.looksLike(config)
		if !is {
			continue
		}
		p := &Proxy{Kind: k.name, kind: k, config: config, whole: whole, Port: port}
		if port == 0 {
			if p.Port, err = k.port(config); err != nil {
				return nil, fmt.Errorf("%s, a configuration of %s: %w; say where it listens with --via-target :PORT", value, k.name, err)
			}
		}
		return p, nil
	}
	return nil, fmt.Errorf("%s is no configuration of %s: give a manifest of the proxy (.yaml), with its Deployment, its ConfigMap and a Service", value, strings.Join(Names(), " or "))
}

func isYAML(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

func read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxConfig {
		return "", fmt.Errorf("%s has more than %d bytes, which no ConfigMap holds: give a manifest of the proxy, with an image that has the file", path, maxConfig)
	}
	return string(text), nil
}

// Image returns the name of the image of a known kind, and the signal that stops it
// gracefully.
func (p *Proxy) Image() (name, stopSignal string) {
	if p.kind == nil {
		return "", ""
	}
	return p.kind.image, p.kind.stop
}

// Resolves reports whether a configuration asks a name server while the proxy runs.
func (p *Proxy) Resolves() bool { return p.kind != nil && p.kind.resolves(p.config) }

// Manifest returns the manifest of a known kind, in a namespace. target is where the
// kind's own configuration sends requests, NAME:PORT.
func (p *Proxy) Manifest(namespace, target string) ([]byte, error) {
	k := p.kind
	if k == nil {
		return nil, errors.New("the proxy has manifests of its own")
	}
	config := p.config
	if config == "" {
		config = strings.NewReplacer("%TARGET%", target).Replace(k.config)
	}
	files := map[string]string{k.file: config}
	if !p.whole {
		files = map[string]string{k.file: k.wrap, included: config}
	}
	var out bytes.Buffer
	err := deployTemplate.Execute(&out, map[string]any{
		"Name": Name, "Namespace": namespace, "Image": k.image, "Port": p.Port, "Files": files, "Folder": folder, "Command": k.command(files[k.file]),
	})
	return out.Bytes(), err
}
