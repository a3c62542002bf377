package transport_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// Every mistake in a request is reported in the form of the example in RFC 9457, with
// members in this order, and with field and message for one more release.
func TestFieldErrors(t *testing.T) {
	f := start(t, nil)
	for _, c := range []struct {
		method, path, body string
		want               string // of each error: which part it names
	}{
		{"GET", "/api/v1/toolsets?healthy=x&colour=red", "", "parameter=healthy parameter=colour"},
		{"GET", "/api/v1/services?limit=x&type=", "", "parameter=limit parameter=type"},
		{"POST", "/api/v1/discover?wait=x", "", "parameter=wait"},
		{"POST", "/api/v1/discover", "{", "pointer=#"},
		{"POST", "/api/v1/toolsets/generate", "x", "pointer=#"},
		{"POST", "/api/v1/toolsets/validate", "{", "pointer=#"},
		{"POST", "/api/v1/toolsets/validate", `{"tools":[{"name":"a","type":"b","x/y":1}]}`, "pointer=#/tools/0/endpoint pointer=#/tools/0/x~1y"},
	} {
		r := f.do(c.method, c.path, c.body, "Content-Type", "application/json")
		var d struct{ Errors []json.RawMessage }
		if err := json.Unmarshal(r.body, &d); err != nil {
			t.Fatalf("%s %s: %v", c.method, c.path, err)
		}
		var got []string
		for _, raw := range d.Errors {
			var e struct{ Detail, Pointer, Parameter, Header, Field, Message string }
			if err := json.Unmarshal(raw, &e); err != nil {
				t.Fatal(err)
			}
			part := ""
			for name, value := range map[string]string{"pointer": e.Pointer, "parameter": e.Parameter, "header": e.Header} {
				if value != "" {
					part += name + "=" + value
				}
			}
			got = append(got, part)
			if e.Detail == "" || e.Detail != e.Message || e.Parameter+e.Header != "" && e.Field != e.Parameter+e.Header {
				t.Errorf("%s %s: %s", c.method, c.path, raw)
			}
			name, _, _ := strings.Cut(part, "=")
			last := -1
			for _, member := range []string{"detail", name, "field", "message"} {
				at := strings.Index(string(raw), `"`+member+`":`)
				if at < 0 || at < last {
					t.Errorf("%s %s: %q is missing or out of order in %s", c.method, c.path, member, raw)
				}
				last = at
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s %s: errors about %s, want %s\n%s", c.method, c.path, s, c.want, r.body)
		}
	}
}
