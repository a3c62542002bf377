package mcp

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	protocol "kubernaut.io/dynamic-toolset/transport/mcp"
)

// notOffered says what of the protocol the service does not offer: the suite's own tools,
// resources, prompts, completion, logging, and the extension of tasks. A check that wants one
// of these fails, and says so.
var notOffered = regexp.MustCompile(`Unknown tool: "(test_|json_schema)|Method not found: "(resources|prompts|completion|logging)/|JSON-RPC error -32601: Method not found|` +
	`^Not testable: server (does not list the diagnostic tool|exposes no tool with x-mcp-header)|^Tool 'json_schema_2020_12_tool' not found`)

// wanting are checks that fail for want of the same, in other words: their scenarios go on
// after a tool of the suite was not found.
var wanting = []string{"sep-2322-multi-round-r1", "sep-2322-reject-tampered-state"}

// offered are the tools of the suite that are tools as ours are: they take arguments and give
// a result or a failure, in one answer. The others want content of other kinds (images, audio,
// resources), messages to the client, its capabilities, or headers of their own.
var offered = map[string]struct{ schema, result, failure string }{
	"test_simple_text":    {`{"type":"object"}`, `{"text":"This is a simple text response for testing."}`, ""},
	"test_error_handling": {`{"type":"object"}`, "", "This tool intentionally returns an error for testing"},
	// These must not send anything but the answer.
	"test_streaming_elicitation": {`{"type":"object"}`, `{"done":true}`, ""},
	"test_logging_tool":          {`{"type":"object"}`, `{"done":true}`, ""},
	// The suite looks whether every keyword arrives.
	"json_schema_2020_12_tool": {`{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","$defs":{"address":{"$anchor":"addressDef","type":"object","properties":` +
		`{"street":{"type":"string"},"city":{"type":"string"}}}},"properties":{"name":{"type":"string"},"address":{"$ref":"#/$defs/address"},"contactMethod":` +
		`{"type":"string","enum":["phone","email"]},"phone":{"type":"string"},"email":{"type":"string"}},"allOf":[{"anyOf":[{"required":["phone"]},{"required":["email"]}]}],` +
		`"if":{"properties":{"contactMethod":{"const":"phone"}},"required":["contactMethod"]},"then":{"required":["phone"]},"else":{"required":["email"]},"additionalProperties":false}`, `{"ok":true}`, ""},
}

// serveSuite serves the tools of the suite by the protocol of transport/mcp, and returns the
// URL. What the service's HTTP does besides is tested with the service.
func serveSuite(t *testing.T) string {
	t.Helper()
	var names, definitions []string
	for name, tool := range offered {
		names = append(names, name)
		definitions = append(definitions, `{"name":"`+name+`","description":"Of the conformance suite.","inputSchema":`+tool.schema+`}`)
	}
	slices.Sort(names)
	slices.Sort(definitions)
	server := protocol.New(protocol.Options{
		Name: "suite", Version: "1", Instructions: "For the conformance suite.", Definitions: []byte("[" + strings.Join(definitions, ",") + "]"), Tools: names,
		Call: func(_ context.Context, tool string, _ []byte) ([]byte, string, error) {
			return []byte(offered[tool].result), offered[tool].failure, nil
		},
	})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		field := func(name string) []byte { return []byte(r.Header.Get(name)) }
		reply := server.Answer(r.Context(), &protocol.Header{Version: field("Mcp-Protocol-Version"), Method: field("Mcp-Method"), Name: field("Mcp-Name")}, body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(reply.Status)
		w.Write(reply.Body) //nolint:errcheck // the suite notices
	}))
	t.Cleanup(s.Close)
	return s.URL + "/mcp"
}

// The suite's own tools, by our protocol: what it says of them is about the protocol alone.
func TestConformanceOfTools(t *testing.T) {
	dir, url := modules(t), serveSuite(t)
	atLeast := map[string]int{"2025-11-25": 40, "2026-07-28": 100}
	for revision, checks := range map[string][]string{
		"2025-11-25": {"tools-list", "tools-call-simple-text", "tools-call-error", "json-schema-2020-12-tool-found", "json-schema-2020-12-$schema"},
		"2026-07-28": {
			"tools-list", "tools-call-simple-text", "tools-call-error", "json-schema-2020-12-tool-found", "json-schema-2020-12-$schema", "sep-2106-anchor-keyword-preserved",
			"sep-2575-http-server-no-independent-requests-on-stream", "sep-2575-server-no-log-without-loglevel",
		},
	} {
		t.Run(revision, func(t *testing.T) {
			conformance(t, dir, url, revision, atLeast[revision], checks, "localhost-host-rebinding-rejected")
		})
	}
}

// The official conformance suite finds nothing wrong with what the service offers.
func TestConformance(t *testing.T) {
	dir, url := modules(t), serve(t)
	for revision, passed := range map[string]struct {
		atLeast int
		checks  []string
	}{
		"2025-11-25": {33, []string{"server-initialize", "ping", "tools-list", "localhost-host-rebinding-rejected"}},
		"2026-07-28": {90, []string{
			"sep-2575-server-implements-discover", "sep-2575-http-server-unsupported-version-400", "sep-2575-http-server-header-mismatch-400", "sep-2575-http-server-method-not-found-404",
			"sep-2575-request-meta-invalid-missing-client-capabilities", "sep-2243-server-reject-invalid-headers", "sep-2549-tools-list-caching-hints", "tools-list", "wire-schema-valid",
			"localhost-host-rebinding-rejected",
		}},
	} {
		t.Run(revision, func(t *testing.T) { conformance(t, dir, url, revision, passed.atLeast, passed.checks) })
	}
}

// conformance runs what the suite requires of a revision. It fails if a check fails for
// another reason than that something is not offered, unless it is excused, if one of checks has
// not passed, or if fewer than atLeast have.
func conformance(t *testing.T, dir, url, revision string, atLeast int, checks []string, excused ...string) {
	t.Helper()
	suite := filepath.Join(dir, "node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js")
	results := t.TempDir()
	out, err := node(t, dir, suite, "server", "--url", url, "--requirements", revision, "-o", results)
	if _, failed := err.(*exec.ExitError); err != nil && !failed { // it fails for what is not offered
		t.Fatalf("%v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(results, "*", "checks.json"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d scenarios %v\n%s", len(files), err, out)
	}
	succeeded := map[string]int{}
	n := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var found []struct{ ID, Status, ErrorMessage string }
		if err := json.Unmarshal(text, &found); err != nil {
			t.Fatal(err)
		}
		scenario := filepath.Base(filepath.Dir(file))
		for _, c := range found {
			switch {
			case c.Status == "SUCCESS":
				succeeded[c.ID]++
				n++
			case c.Status == "FAILURE" && !notOffered.MatchString(c.ErrorMessage) && !slices.Contains(wanting, c.ID) && !slices.Contains(excused, c.ID) && !strings.HasPrefix(scenario, "server-tasks-"):
				t.Errorf("%s: %s: %s", scenario, c.ID, c.ErrorMessage)
			}
		}
	}
	for _, id := range checks {
		if succeeded[id] == 0 {
			t.Errorf("the check %s has not passed", id)
		}
	}
	if n < atLeast {
		t.Errorf("%d checks have passed, want at least %d: the suite has not tested what it did before", n, atLeast)
	}
	t.Logf("revision %s: %d checks have passed", revision, n)
}
