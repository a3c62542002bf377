package app

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

const loki = `{apiVersion: v1, kind: Service, metadata: {name: loki, namespace: logging, labels: {app: loki}}, spec: {selector: {app: loki}, ports: [{name: http, port: 3100}]}}
`

func callOf(tool, arguments string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + "}}\n"
}

// The command answers from what is in the folder, and ends with its input.
func TestMCPOfAFolder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"loki.yaml": loki, "broken.yaml": "kind: [\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := config.LoadMCP([]string{"--manifests", dir}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	in := callOf("list_backends", "{}") + callOf("explain_service", `{"namespace":"logging","name":"loki"}`) + callOf("explain_service", `{"namespace":"logging","name":"loky"}`) + callOf("explain_service", `{"namespace":"a b","name":"c"}`)
	var out bytes.Buffer
	var warnings []string
	if err := MCP(s, "1", strings.NewReader(in), &out, func(text string) {
		if strings.HasPrefix(text, "warning: ") { // it may also say on what it waits
			warnings = append(warnings, text)
		}
	}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for i, want := range []string{`"structuredContent":{"backends":[{"name":"loki","namespace":"logging","type":"loki","verified":false}],"total":1}`, `"structuredContent":{"listed":true`, "did you mean logging/loki?", `none at all in the namespace \"a b\"`} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Errorf("answer %d is %v, want %s", i, lines, want)
		}
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "broken.yaml") {
		t.Errorf("%q", warnings)
	}
	s.Cluster.Manifests = filepath.Join(dir, "nowhere")
	if err := MCP(s, "1", strings.NewReader(in), io.Discard, func(string) {}); err == nil {
		t.Error("a folder that is not there")
	}
}

// mcpOf returns the settings of mcp for a cluster at an address.
func mcpOf(t *testing.T, address string) *config.MCP {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: 'http://%s'}}], contexts: [{name: c, context: {cluster: c}}], current-context: c}\n", address)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := config.LoadMCP([]string{"--kubeconfig", file, "--timeout", "1s"}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What needs no cluster is answered without one, and a call of a tool with the reason.
// Nothing that was asked is lost at the end of the input, and the reason is told.
func TestMCPOfAClusterThatIsAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := mcpOf(t, l.Addr().String())
	l.Close() //nolint:errcheck // nobody listens there any longer
	in := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}` + "\n" +
		`{"jsonrpc":"2.0","id":2,"method":"ping"}` + "\n" + callOf("list_backends", "{}") + `{"jsonrpc":"2.0","id":4,"method":"tools/list"}`
	var out bytes.Buffer
	err = MCP(s, "1", strings.NewReader(in), &out, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "the input has ended before the cluster at http://"+l.Addr().String()+" was read") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("it ends with %v", err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for i, want := range []string{`"serverInfo"`, `{"jsonrpc":"2.0","id":2,"result":{}}`, `connect: connection refused`, `"tools":[`} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Fatalf("answer %d lacks %s: %q", i, want, lines)
		}
	}
	if !strings.Contains(lines[2], `"isError":true`) || !strings.Contains(lines[2], "No back ends are known yet") {
		t.Error(lines[2])
	}
}

// While a cluster is silent, it is said what is waited for, messages are answered, and calls
// of tools wait for a while only.
func TestMCPOfASilentCluster(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it was only there
	s := mcpOf(t, l.Addr().String())
	in, asked := io.Pipe()
	answers, out := io.Pipe()
	said := make(chan string, 100)
	ended := make(chan error, 1)
	go func() { ended <- MCP(s, "1", in, out, func(text string) { said <- text }) }()
	lines := bufio.NewScanner(answers)
	ask := func(message, want string) {
		t.Helper()
		if _, err := io.WriteString(asked, message); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() || !strings.Contains(lines.Text(), want) {
			t.Fatalf("%s is answered with %s", message, lines.Text())
		}
	}
	ask(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`+"\n", `"find_backend"`)
	if got, want := <-said, "waiting for the cluster at http://"+l.Addr().String()+", which has not answered yet"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	ask(callOf("list_backends", "{}"), "No back ends are known yet: it has not answered yet. Ask again")
	asked.Close() //nolint:errcheck // the end of its input
	w := testenv.Start()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "it has not answered yet") {
		t.Errorf("it ends with %v after %s", err, w.Elapsed())
	}
}
