// Package mcp runs clients of the Model Context Protocol that others have written, and the
// official conformance suite, against the service as a process: over HTTP, and over standard
// input and output.
package mcp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

const repository = "../.."

var toolNames = []string{"list_backends", "get_backend", "find_backend", "explain_service"}

func TestMain(m *testing.M) {
	code := m.Run()
	if builtIn != "" {
		if err := os.RemoveAll(builtIn); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var builtIn string // the folder of the binary; empty until it is built

var binary = sync.OnceValues(func() (string, error) {
	var err error
	if builtIn, err = os.MkdirTemp("", "dynamic-toolset-mcp-"); err != nil {
		return "", err
	}
	path := filepath.Join(builtIn, "dynamic-toolset")
	cmd := exec.Command("go", "build", fmt.Sprintf("-race=%v", testenv.Race), "-o", path, ".") // #nosec G204 -- our own module
	cmd.Dir = repository
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// command returns a command of the service that reads the example cluster.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append(args, "--manifests", repository+"/examples/cluster")...) // #nosec G204 -- our own
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TOOLSET_") })
	return cmd
}

// serve starts the service until the end of the test, and returns the URL of /mcp.
func serve(t *testing.T) (url string) {
	t.Helper()
	cmd := command(t, "serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log-format", "json", "--shutdown-propagation-delay", "100ms", "--identify", "off", "--health-checks=false")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	served := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		read := false
		api := ""
		for lines := bufio.NewScanner(log); lines.Scan(); {
			var line struct{ Msg, API string }
			_ = json.Unmarshal(lines.Bytes(), &line) // other lines are of no interest
			if line.Msg == "Serving" {
				api = line.API
			}
			if line.Msg == "The cluster has been read" {
				read = true
			}
			if read && api != "" {
				served <- api
				api = ""
			}
		}
		ended <- cmd.Wait()
	}()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err) // it has ended
			return
		}
		if err := <-ended; err != nil {
			t.Errorf("the service ended: %v", err)
		}
	})
	select {
	case api := <-served:
		url = "http://" + api + "/mcp"
	case err := <-ended:
		t.Fatalf("the service ended: %v", err)
	case <-time.After(testenv.Patience):
		t.Fatal("the service does not serve")
	}
	return url
}

// The official SDK for Go, as a client, in each revision.
func TestGoClient(t *testing.T) {
	url := serve(t)
	for _, version := range []string{"", "2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"} {
		for way, transport := range map[string]func() sdk.Transport{
			"http":  func() sdk.Transport { return &sdk.StreamableClientTransport{Endpoint: url, MaxRetries: -1} },
			"stdio": func() sdk.Transport { return &sdk.CommandTransport{Command: command(t, "mcp")} },
		} {
			t.Run(way+" "+version, func(t *testing.T) {
				session, err := sdk.NewClient(&sdk.Implementation{Name: "tests", Version: "1"}, nil).Connect(t.Context(), transport(), &sdk.ClientSessionOptions{ProtocolVersion: version})
				if err != nil {
					t.Fatal(err)
				}
				defer session.Close() //nolint:errcheck // what was asked was answered
				if got := session.InitializeResult().ProtocolVersion; got != version && version != "" || version == "" && got != "2026-07-28" {
					t.Errorf("revision %s", got)
				}
				ask(t, session)
			})
		}
	}
}

func ask(t *testing.T, session *sdk.ClientSession) {
	t.Helper()
	// Revision 2026-07-28 has no ping, but the SDK sends one in each.
	if err := session.Ping(t.Context(), nil); err != nil {
		t.Errorf("ping: %v", err)
	}
	list, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	if !slices.Equal(names, toolNames) {
		t.Errorf("the tools are %q", names)
	}
	for tool, q := range map[string]struct {
		arguments map[string]any
		want      string
	}{
		"list_backends":   {map[string]any{"type": "loki"}, `"total":2`},
		"get_backend":     {map[string]any{"name": "prometheus"}, `"url":"http://kps-kube-prometheus-stack-prometheus.monitoring.svc.cluster.local:9090"`},
		"find_backend":    {map[string]any{"signal": "logs", "namespace": "payments"}, `"name":"loki-gateway"`},
		"explain_service": {map[string]any{"namespace": "monitoring", "name": "kps-grafana"}, `"listed":true`},
	} {
		r, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: q.arguments})
		if err != nil || r.IsError {
			t.Fatalf("%s: %+v %v", tool, r, err)
		}
		structured, err := json.Marshal(r.StructuredContent)
		if err != nil {
			t.Fatal(err)
		}
		text := r.Content[0].(*sdk.TextContent).Text
		var a, b any
		if json.Unmarshal(structured, &a) != nil || json.Unmarshal([]byte(text), &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) || !strings.Contains(text, q.want) {
			t.Errorf("%s: %s and %s", tool, text, structured)
		}
	}
	if r, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "get_backend", Arguments: map[string]any{"name": "loky"}}); err != nil || !r.IsError || !strings.Contains(r.Content[0].(*sdk.TextContent).Text, "did you mean loki") {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "nothing"}); err == nil || !strings.Contains(err.Error(), "Unknown tool") {
		t.Errorf("an unknown tool: %v", err)
	}
}

// modules returns the folder with what package.json names, which scripts/requirements installs.
func modules(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "dynamic-toolset", "npm")
	if have, err := os.ReadFile(filepath.Join(dir, "installed.json")); err != nil || string(have) != string(wanted) {
		testenv.Missing(t, "the npm packages of test/mcp", "Run scripts/requirements; it needs npm.")
	}
	return dir
}

// node runs a script of modules and returns what it prints; if it fails, also its diagnostics.
func node(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*testenv.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "node_modules", "node", "bin", "node"), args...) // #nosec G204 -- our own
	cmd.Env = append(os.Environ(), "MCP_CATALOG_PATH="+filepath.Join(t.TempDir(), "catalog.json"))
	var out, diagnostics strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	if err := cmd.Run(); err != nil {
		return out.String() + diagnostics.String(), err
	}
	return out.String(), nil
}

// Both SDKs for TypeScript, in each way in which they find out the revision.
func TestTypeScriptClients(t *testing.T) {
	dir, url, local := modules(t), serve(t), command(t, "mcp")
	for way, target := range map[string][]string{"http": {url}, "stdio": append([]string{"--"}, local.Args...)} {
		out, err := node(t, dir, append([]string{"clients.mjs", dir}, target...)...)
		if err != nil {
			t.Fatalf("%s: %v\n%s", way, err, out)
		}
		versions := ""
		for line := range strings.Lines(out) {
			var c struct {
				Client, Version, URL, Refused string
				Tools                         []string
				Total                         int
				Listed                        bool
			}
			if err := json.Unmarshal([]byte(line), &c); err != nil || !slices.Equal(c.Tools, toolNames) || c.Total < 10 || c.URL == "" || !c.Listed || c.Refused != "-32602" {
				t.Errorf("%s: %s %v", way, line, err)
			}
			versions += c.Client + ": " + c.Version + "; "
		}
		// Over lines, version 1 does not say which revision it speaks.
		want := "sdk 1: 2025-11-25; client legacy: 2025-11-25; client auto: 2026-07-28; client 2026-07-28: 2026-07-28; "
		if way == "stdio" {
			want = strings.Replace(want, "sdk 1: 2025-11-25", "sdk 1: ", 1)
		}
		if versions != want {
			t.Errorf("%s: %s", way, versions)
		}
	}
}

// The inspector, as people use it on a command line.
func TestInspector(t *testing.T) {
	dir, url := modules(t), serve(t)
	inspector := filepath.Join(dir, "node_modules", ".bin", "mcp-inspector")
	for _, q := range []struct {
		args []string
		want string
	}{
		{[]string{url, "--method", "tools/list", "--strict"}, `"name": "explain_service"`},
		{[]string{url, "--method", "tools/call", "--tool-name", "find_backend", "--tool-arg", "signal=logs"}, `"name": "loki-gateway"`},
		{append(command(t, "mcp").Args, "--method", "tools/call", "--tool-name", "list_backends", "--tool-arg", "type=loki"), `"total": 2`},
	} {
		if out, err := node(t, dir, append([]string{inspector, "--cli"}, q.args...)...); err != nil || !strings.Contains(out, q.want) {
			t.Errorf("%q: %v\n%s", q.args, err, out)
		}
	}
}
