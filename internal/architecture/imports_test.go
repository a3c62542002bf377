// Package architecture tests those rules of docs/architecture.md that a test can check.
package architecture

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "kubernaut.io/dynamic-toolset"

// A rule says which packages of this module a part of the tree may import, and which
// packages of others it must not. For each package the first rule with a matching pattern
// applies.
type rule struct {
	of    string   // a package; with /... all packages below as well
	may   []string // packages of this module it may import, besides itself and those below, in the same form
	never []string // packages of others it must not import, in the same form
}

var (
	// What serves HTTP, talks to Kubernetes or writes a log is an adapter, and does not
	// belong into the domain.
	httpServers = []string{"github.com/valyala/fasthttp/...", "github.com/fasthttp/router"}
	kubernetes  = []string{"k8s.io/client-go/...", "k8s.io/kubernetes/..."}
	routers     = []string{"github.com/fasthttp/router"}
	logging     = []string{"go.uber.org/zap/...", "log", "log/slog", "k8s.io/klog/v2"}
	domain      = all(httpServers, kubernetes, logging, []string{"net/http"})
	yaml        = []string{"go.yaml.in/yaml/...", "sigs.k8s.io/yaml"} // what people write is read by strictyaml
	clusters    = []string{"sigs.k8s.io/kind/...", "k8s.io/kubernetes/..."}
)

func all(lists ...[]string) []string { return slices.Concat(lists...) }

// leaves are small packages that import none of this module but one another.
var leaves = []string{"internal/boundedcache", "internal/suggest", "internal/format", "internal/selfsigned", "internal/signals"}

// rules are the architecture. A package that no rule matches fails the test: it is new
// and needs a rule.
var rules = []rule{
	{of: ".", may: []string{"config", "internal/app", "shutdown"}, never: all(httpServers, kubernetes, logging)},
	{of: "internal/app", may: []string{"config", "internal/logging", "service/...", "transport/...", "cluster/...", "shutdown"}, never: all(httpServers, clusters)},
	{of: "shutdown", may: []string{"internal/signals"}, never: all(httpServers, kubernetes, []string{"net/http"})},
	{of: "problem/...", never: all(httpServers, kubernetes, logging, []string{"net/http"})},
	// The nouns of the domain, and what is done with them: state, snapshots and documents in one
	// direction. Who finds, checks or changes back ends knows none of these.
	{of: "service", may: []string{"problem"}, never: domain},
	{of: "service/endpoint", never: domain},
	{of: "service/detect", may: []string{"internal/suggest", "service", "service/endpoint", "service/identity", "service/internal/strictyaml"}, never: all(domain, yaml)},
	{of: "service/health", may: []string{"service", "service/internal/outbound", "service/internal/schedule"}, never: all(httpServers, kubernetes, logging)}, // a client of the back ends
	{of: "service/identity", may: []string{"service"}, never: domain},
	{of: "service/identify", may: []string{"service", "service/identity", "service/internal/outbound", "service/internal/schedule"}, never: all(httpServers, kubernetes, logging)},
	{of: "service/internal/outbound", may: []string{"service/endpoint"}, never: all(httpServers, kubernetes, logging)},
	{of: "service/internal/schedule", never: domain},
	{of: "service/overrides", may: []string{"service", "service/endpoint", "service/internal/strictyaml"}, never: all(domain, yaml)},
	{of: "service/aliases", may: []string{"service"}, never: domain},
	{of: "service/output/kubernaut", may: []string{"problem", "service"}, never: domain},
	{of: "service/output/holmesgpt", may: []string{"service", "service/endpoint", "service/internal/strictyaml"}, never: domain},
	{of: "service/output", may: []string{"service", "service/endpoint"}, never: domain},
	{of: "service/output/...", may: []string{"service", "service/output"}, never: domain}, // and none knows another
	{of: "service/snapshot/internal/gzipjoin", never: domain},
	{of: "service/snapshot", may: []string{"internal/jsonobject", "internal/parallel", "internal/suggest", "service", "service/aliases", "service/output/..."}, never: domain},
	{of: "service/catalogue", may: []string{"internal/parallel", "service", "service/overrides", "service/snapshot"}, never: domain},
	{of: "service/explain", may: []string{"internal/suggest", "service", "service/catalogue", "service/detect", "service/snapshot"}, never: domain},
	// What agents can ask is a function of a snapshot, whatever protocol they speak.
	{of: "service/tools", may: []string{"internal/jsonobject", "service", "service/explain", "service/snapshot"}, never: domain},
	{of: "service/workloads", may: []string{"service"}, never: domain},
	{of: "service/internal/strictyaml", may: []string{"internal/suggest", "service/endpoint"}, never: domain},
	{of: "service/internal/servicetest", may: []string{"internal/testenv", "service"}, never: domain},
	{of: "auth/...", may: leaves, never: all(httpServers, kubernetes, logging)},
	{of: "config/...", may: append(leaves, "transport/certificate"), never: all(httpServers, kubernetes, logging)},
	// Sockets know no handlers, no problem documents and no HTTP library.
	{of: "transport/internal/conn", never: all(httpServers, kubernetes, []string{"net/http", "github.com/VictoriaMetrics/..."})},
	{of: "transport/internal/head", may: nil, never: all(httpServers, kubernetes, []string{"net/http"})},
	{of: "transport/certificate/...", never: all(httpServers, kubernetes, logging, []string{"net/http"})},
	// api and middleware know neither each other nor the routes.
	{of: "transport/internal/reply", may: []string{"problem"}, never: all(kubernetes, logging, routers, []string{"net/http"})},
	{of: "transport/internal/profiles", may: []string{"problem", "transport/internal/reply"}, never: all(kubernetes, routers)},
	{of: "transport/api", may: []string{"problem", "service", "service/catalogue", "service/explain", "service/output/kubernaut", "service/snapshot", "service/tools",
		"transport/internal/conn", "transport/internal/head", "transport/internal/reply", "transport/mcp", "transport/page"}, never: all(kubernetes, routers, []string{"net/http"})},
	// What the page shows is a function of a snapshot, whoever serves it.
	{of: "transport/page", may: []string{"internal/format", "service", "service/snapshot"}, never: domain},
	// The protocol of agents, without HTTP and without what the tools do.
	{of: "transport/mcp", may: []string{"internal/jsonobject"}, never: domain},
	{of: "transport/middleware", may: []string{"internal/boundedcache", "auth", "problem", "transport/internal/conn", "transport/internal/head", "transport/internal/reply"}, never: all(kubernetes, routers, []string{"net/http"})},
	{of: "transport", may: []string{"auth", "service", "service/catalogue", "service/explain", "problem", "transport/..."}, never: all(kubernetes)},
	// First what the packages below cluster share, then those packages, which don't know
	// one another. The exception: the writer of the ConfigMap sends Events.
	{of: "cluster", may: []string{"service", "cluster/internal/retry"}, never: all(httpServers, clusters)},
	{of: "cluster/kubernetes", may: []string{"service", "cluster", "cluster/internal/listwatch", "cluster/internal/retry"}, never: all(httpServers, clusters)},
	{of: "cluster/manifests", may: []string{"service", "cluster"}, never: all(httpServers, kubernetes)},
	{of: "cluster/workloads", may: []string{"service", "cluster", "cluster/internal/listwatch"}, never: all(httpServers, clusters)},
	{of: "cluster/configmap", may: []string{"service", "service/output/...", "service/overrides", "cluster", "cluster/events", "cluster/internal/follow", "cluster/internal/retry"}, never: all(httpServers, clusters)},
	{of: "cluster/events", may: []string{"cluster", "cluster/internal/retry"}, never: all(httpServers, clusters)},
	{of: "cluster/leader", may: []string{"cluster", "cluster/internal/follow", "cluster/internal/retry"}, never: all(httpServers, clusters)},
	{of: "cluster/tokenreview", may: []string{"auth", "cluster"}, never: all(httpServers, clusters)},
	{of: "cluster/internal/retry", never: all(httpServers, kubernetes)},
	{of: "cluster/internal/listwatch", may: []string{"cluster", "cluster/internal/retry"}, never: all(httpServers, clusters)},
	{of: "cluster/internal/follow", may: []string{"cluster", "cluster/internal/listwatch"}, never: all(httpServers, clusters)},
	{of: "cluster/internal/clustertest", may: []string{"cluster", "service", "internal/testenv"}},

	// The harness knows only the service's binary and its HTTP API. The server with
	// planted defects imports nothing of ours: the verifier must treat it like any other
	// server.
	{of: "harness/defects/faulty", never: all(httpServers, kubernetes, clusters)},
	{of: "harness/defects/gateway", never: all(httpServers, kubernetes, clusters)},
	{of: "harness/defects/polyglot", never: all(httpServers, kubernetes, clusters)},
	// What a run is, and what is made of it: data, and pure functions.
	{of: "harness/record", never: all(httpServers, kubernetes, logging, []string{"net/http", "os"})},
	{of: "harness/verdict", may: []string{"harness/record"}, never: all(httpServers, kubernetes, logging, []string{"os"})},
	{of: "harness/cause", may: []string{"harness/record"}, never: all(httpServers, kubernetes, logging, []string{"net/http", "os"})},
	{of: "harness/report", may: []string{"harness/cause", "harness/record", "internal/chart", "internal/format", "internal/quantile"}, never: all(httpServers, kubernetes, logging)},
	{of: "harness/problemdoc", never: all(httpServers, kubernetes, logging)},
	// The load generator runs in a pod as a small program, which speaks HTTP and knows no
	// Kubernetes; the pod is made from outside.
	{of: "harness/load/agentpod", may: []string{"harness/cluster"}, never: all(httpServers, clusters, logging)},
	{of: "harness/load/agent", may: []string{"harness/load", "harness/record"}, never: all(httpServers, kubernetes, logging)},
	{of: "harness/load", may: []string{"harness/record", "harness/problemdoc"}, never: all(httpServers, kubernetes, logging)},
	{of: "harness/load/...", never: all(httpServers, kubernetes, logging)},
	{of: "harness/conntrack", may: []string{"internal/testenv"}, never: all(httpServers, kubernetes, logging)},
	// What is in the cluster, seen and changed through its API alone.
	{of: "harness/cluster", never: all(httpServers, clusters, logging)},
	{of: "harness/manifest", never: all(httpServers, clusters, logging)},
	{of: "harness/via", never: all(httpServers, kubernetes, clusters, logging)},
	{of: "harness/image", may: []string{"internal/format"}, never: all(httpServers, kubernetes, clusters, logging)},
	{of: "harness/rollout", never: all(httpServers, clusters, logging)},
	{of: "harness/observe", may: []string{"harness/problemdoc", "harness/record", "harness/rollout"}, never: all(httpServers, clusters, logging)},
	{of: "harness/scenario", may: []string{"harness/cluster", "harness/rollout"}, never: all(httpServers, clusters, logging)},
	// A verification is given a cluster, and makes no reports.
	{of: "harness/verify", may: []string{"harness/cause", "harness/cluster", "harness/conntrack", "harness/image", "harness/load", "harness/load/agent", "harness/load/agentpod", "harness/load/https", "harness/manifest", "harness/observe",
		"harness/record", "harness/rollout", "harness/scenario", "harness/verdict", "harness/via", "internal/format"}, never: all(httpServers, clusters, logging[:3])},
	{of: "harness/defects/...", may: []string{"internal/selfsigned", "harness/cluster", "harness/defects", "harness/load/https", "harness/record", "harness/scenario", "harness/verdict", "harness/verify", "harness/via", "internal/testenv"},
		never: all(httpServers, clusters, logging[:3])},
	// Servers of others, which know nothing of who asks them.
	{of: "harness/zoo", may: []string{"harness/cluster", "harness/driver", "harness/image", "harness/record", "harness/scenario", "harness/verdict", "harness/verify", "internal/filelock", "internal/testenv"},
		never: all(httpServers, clusters, logging[:3])},
	// Who brings clusters up, each in a package that the others don't know.
	{of: "harness/driver", may: []string{"harness/cluster"}, never: all(httpServers, clusters, logging[:3])},
	{of: "harness/driver/internal/sim", may: []string{"harness/cluster", "harness/sim"}, never: all(httpServers, clusters, logging[:3])},
	{of: "harness/driver/internal/gateway", may: []string{"harness/load/agentpod", "harness/load/relay"}, never: all(httpServers, clusters, logging[:3])},
	{of: "harness/driver/internal/...", may: []string{"harness/cluster", "harness/driver/internal/gateway", "harness/driver/internal/kind", "harness/load/agentpod", "internal/format", "internal/testenv"},
		never: all(httpServers, kubernetes[1:], logging[:3])},
	{of: "harness/sim/...", may: []string{"harness/sim", "internal/filelock", "internal/testenv"}, never: all(httpServers, clusters, logging[:3])},
	{of: "harness/cmd/...", may: append(leaves, "harness/...", "internal/host"), never: all(httpServers, kubernetes, clusters, logging[:3])},
	{of: "bench/...", may: append(leaves, "bench/...", "harness/sim/...", "service/...", "internal/chart", "internal/host", "internal/patient", "internal/quantile")},
	// What make run starts beside the service knows it by its names and its recordings alone.
	{of: "examples/backends", may: leaves, never: all(httpServers, kubernetes, clusters, logging[:1], logging[2:])},
	{of: "deploy/..."},
	{of: "docs"},

	// These use the service as a binary. What they import from it are names, such as keys
	// and annotations, and readers of its documents.
	{of: "test/e2e", may: []string{"cluster/...", "service/...", "transport/certificate/certtest", "harness/problemdoc", "harness/sim/...", "internal/patient", "internal/testenv/..."},
		never: all(httpServers, logging[:3])},

	// Real products as processes, which know nothing of who asks them.
	{of: "test/products/...", may: []string{"internal/filelock", "test/products"}, never: all(httpServers, kubernetes, clusters, logging)},

	// Clients that others have written, which know the service as a process.
	{of: "test/mcp", may: []string{"internal/testenv", "transport/mcp"}, never: all(httpServers, kubernetes, clusters, logging)},

	// Real products are asked as the service asks back ends.
	{of: "test/identify", may: []string{"service/...", "test/products"}, never: all(httpServers, kubernetes, clusters, logging)},

	{of: "internal/testenv/apiserver", may: []string{"harness/sim", "internal/patient", "internal/testenv"}},
	{of: "internal/testenv/...", may: []string{"internal/testenv/..."}},
	{of: "internal/...", may: leaves},
}

// exceptions are imports that break a rule and that somebody must remove. There should be
// none.
var exceptions = map[string]string{}

type pkg struct {
	ImportPath                         string
	GoFiles                            []string
	Imports, TestImports, XTestImports []string
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,GoFiles,Imports,TestImports,XTestImports"}, args...)...)
	cmd.Dir = "../.."
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	var found []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		found = append(found, p)
	}
}

// ours returns the path of a package within this module; false for packages of others.
func ours(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

func matches(pattern, importPath string) bool {
	if root, ok := strings.CutSuffix(pattern, "/..."); ok {
		return importPath == root || strings.HasPrefix(importPath, root+"/")
	}
	return importPath == pattern
}

func matchesAny(patterns []string, importPath string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, importPath) })
}

func TestImports(t *testing.T) {
	unused := maps.Clone(exceptions)
	for _, p := range list(t, "./...") {
		name, ok := ours(p.ImportPath)
		if !ok {
			t.Fatalf("%s is none of ours", p.ImportPath)
		}
		at := slices.IndexFunc(rules, func(r rule) bool { return matches(r.of, name) })
		if at < 0 {
			t.Errorf("no rule is for %s: say in the table who it may know", name)
			continue
		}
		r := rules[at]
		imports := p.Imports
		if matches("test/...", name) { // it has only tests
			imports = slices.Concat(p.TestImports, p.XTestImports)
		}
		for _, imported := range imports {
			whom, own := ours(imported)
			if own && (matchesAny(r.may, whom) || whom != name && matches(name+"/...", whom)) || !own && !matchesAny(r.never, imported) {
				continue
			}
			edge := name + " -> " + strings.TrimPrefix(imported, module+"/")
			if _, known := exceptions[edge]; !known {
				t.Errorf("%s imports %s, which the rule for %s forbids", name, imported, r.of)
			}
			delete(unused, edge)
		}
	}
	for edge, why := range unused {
		t.Errorf("the exception %q (%s) is needed no more: delete it", edge, why)
	}
}

// The service links neither the harness nor test code.
func TestServiceLinksNoHarness(t *testing.T) {
	forbidden := []string{"sigs.k8s.io/kind/...", "sigs.k8s.io/kustomize/...", "helm.sh/...", "github.com/google/go-containerregistry/...", "k8s.io/kubernetes/...",
		module + "/harness/...", module + "/bench/...", module + "/internal/testenv/...", "testing"}
	for _, p := range list(t, "-deps", ".") {
		if matchesAny(forbidden, p.ImportPath) {
			t.Errorf("the service's binary links %s", p.ImportPath)
		}
	}
}

// The service executes no template of the standard library. It would find methods by name, for
// which the linker keeps every exported method of every type: 21 MB more. Packages of others
// that import one without executing it are named.
func TestServiceExecutesNoTemplate(t *testing.T) {
	templates := []string{"text/template", "html/template"}
	harmless := []string{"html/template", "github.com/a-h/templ"} // of the latter FromGoHTML and ToGoHTML, which nobody calls
	for _, p := range list(t, "-deps", ".") {
		for _, imported := range p.Imports {
			if matchesAny(templates, imported) && !matchesAny(harmless, p.ImportPath) {
				t.Errorf("%s, which the service links, imports %s", p.ImportPath, imported)
			}
		}
	}
}

// The root has only main.go. No package but main may import internal/app, not even in its
// tests.
func TestTheRootIsTheCommandLine(t *testing.T) {
	for _, p := range list(t, "./...") {
		if p.ImportPath == module {
			if !slices.Equal(p.GoFiles, []string{"main.go"}) || len(p.TestImports)+len(p.XTestImports) > 0 {
				t.Errorf("the root holds %v and tests, not main.go alone", p.GoFiles)
			}
		}
		if slices.Contains(slices.Concat(p.TestImports, p.XTestImports), module+"/internal/app") && p.ImportPath != module+"/internal/app" {
			t.Errorf("tests of %s import internal/app", p.ImportPath)
		}
	}
}
