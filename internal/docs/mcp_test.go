package docs

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/yuin/goldmark/ast"
)

// The calls of tools in docs/mcp.md are answered, and as it says. Health and what back ends
// say themselves depend on the cluster, which has none of that here.
func TestMCPExamples(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "dynamic-toolset")
	r := &reader{T: t, block: t, tmp: t.TempDir()}
	r.shell("go build -o '" + binary + "' .")
	r.service = start(t, binary, "--manifests", "examples/cluster", "--identify=off", "--health-checks=false")
	defer r.service.stop(t)
	called, shown := 0, 0
	var last map[string]any // the last answer, if its documentation may follow
	for _, d := range documents(t) {
		if filepath.Base(d.file) != "mcp.md" {
			continue
		}
		d.walk(func(n ast.Node) {
			code, ok := n.(*ast.FencedCodeBlock)
			if !ok {
				return
			}
			text := string(code.Lines().Value(d.source))
			switch language := string(code.Language(d.source)); {
			case language == "sh" && strings.Contains(text, "tools/call"):
				called++
				last = nil
				out := r.shell(strings.Replace(text, "localhost:8080", r.service.api, 1))
				if err := json.Unmarshal([]byte(out), &last); err != nil || last["error"] != nil || strings.Contains(out, `"isError"`) {
					t.Errorf("%s\nis answered with %s %v", text, out, err)
				}
			case language == "json" && last != nil:
				shown++
				var says map[string]any
				if err := json.Unmarshal([]byte(text), &says); err != nil {
					t.Fatal(err)
				}
				for _, member := range []string{"health", "identity", "access"} {
					if says[member] == nil || last[member] == nil {
						t.Errorf("there is no %s", member)
					}
					delete(says, member)
					delete(last, member)
				}
				if !reflect.DeepEqual(says, last) {
					t.Errorf("the answer is %v,\nand not %v", last, says)
				}
				last = nil
			default:
				last = nil
			}
		})
	}
	if called != 2 || shown != 1 {
		t.Errorf("%d calls and %d answers were found", called, shown)
	}
}
