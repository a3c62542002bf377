package problemdoc_test

import (
	"encoding/json"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/problemdoc"
)

const right = `{"type":"about:blank","title":"Not Found","status":404,"detail":"none","instance":"/x"}`

func TestCheck(t *testing.T) {
	const problem = problemdoc.MediaType
	for _, test := range []struct {
		body, kind string
		want       string // in the error; empty: it is one
	}{
		{right, problem, ""},
		{right, problem + "; charset=utf-8", ""},
		{right, "Application/Problem+JSON", ""},
		{right, problem + "; charset", ""},
		{" " + right + "\n", problem, ""},
		{`{"type":"a","title":"","status":404,"detail":"d","instance":"/x","more":1}`, problem, ""},
		{`{"type":"a","title":"t","status":404,"instance":"/x"}`, problem, ""},
		{`{"type":"a","title":"t","status":404,"detail":null,"instance":"/x"}`, problem, ""},
		{right, "application/json", `is "application/json", not application/problem+json`},
		{right, "", "not application/problem+json"},
		{right, "text/plain; " + strings.Repeat("long", 100), `"text/plain; longlonglonglonglonglonglong"..., not application/problem+json`},
		{right, "application/problem+json/x", "not application/problem+json"},
		{right + "x", problem, "no JSON object"},
		{"", problem, "no JSON object"},
		{`[]`, problem, "no JSON object"},
		{`null`, problem, "no type"},
		{`{"type":1}`, problem, `its type is "1": json`},
		{`{"title":"t","status":404,"detail":"d","instance":"/x"}`, problem, "no type"},
		{`{"Type":"a","title":"t","status":404,"detail":"d","instance":"/x"}`, problem, "no type"},
		{`{"type":"","title":"t","status":404,"detail":"d","instance":"/x"}`, problem, "type is empty"},
		{`{"type":null,"title":"t","status":404,"detail":"d","instance":"/x"}`, problem, "no type"},
		{`{"type":"a","status":404,"detail":"d","instance":"/x"}`, problem, "no title"},
		{`{"type":"a","title":"t","detail":"d","instance":"/x"}`, problem, "no status"},
		{`{"type":"a","title":"t","status":"404","detail":"d","instance":"/x"}`, problem, "its status is"},
		{`{"type":"a","title":"t","status":500,"detail":"d","instance":"/x"}`, problem, "status is 500, the response's 404"},
		{`{"type":"a","title":"t","status":404,"detail":["` + strings.Repeat("long", 100) + `"],"instance":"/x"}`, problem, `"...: json`},
		{`{"type":"a","title":"","status":404,"instance":"/x"}`, problem, "are empty"},
		{`{"type":"a","title":"t","status":404,"detail":"d"}`, problem, "no instance"},
		{`{"type":"a","title":"t","status":404,"detail":"d","instance":""}`, problem, "instance is empty"},
	} {
		err := problemdoc.Check(test.kind, []byte(test.body), 404)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s as %q: %v; want %q", test.body, test.kind, err, test.want)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	}
}

// Whatever the input, what is accepted as a problem document is JSON, and says its
// response's status and no other.
func FuzzCheck(f *testing.F) {
	for _, body := range []string{right, "", "{}", `{"type":1}`, `{"status":4e2,"type":"a","title":"t","instance":"i"}`, `{"status":404`} {
		f.Add(problemdoc.MediaType, []byte(body))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		if problemdoc.Check(kind, body, 404) != nil {
			return
		}
		var doc map[string]any
		if err := json.Unmarshal(body, &doc); err != nil || doc["status"] != 404.0 {
			t.Errorf("%q: %v", body, err)
		}
		if problemdoc.Check(kind, body, 500) == nil {
			t.Errorf("%q is a problem of another status, too", body)
		}
	})
}
