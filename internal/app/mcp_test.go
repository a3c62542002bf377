package app

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/config"
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
	if err := MCP(s, "1", strings.NewReader(in), &out, func(w string) { warnings = append(warnings, w) }); err != nil {
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
