package snapshot_test

import (
	"encoding/json"
	"testing"

	"kubernaut.io/dynamic-toolset/service/overrides"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// Lookups show what overrides and annotations say about how to connect, and nothing if they
// say nothing. A change of it is one for those who watch.
func TestConnectionInTheAPI(t *testing.T) {
	c := newCatalogue(svc("a", "loki", "loki", 3100, map[string]string{"kubernaut.io/toolset-tenant": "annotated", "kubernaut.io/toolset-tls-verify": "false"}))
	shown := func() string {
		t.Helper()
		c.Build()
		body, match := c.Snapshot().Lookup([]byte("loki"), []byte("a"))
		var ts struct{ Connection json.RawMessage }
		if match != snapshot.Found || json.Unmarshal(body.JSON, &ts) != nil {
			t.Fatalf("%v: %s", match, body.JSON)
		}
		return string(ts.Connection)
	}
	if got := shown(); got != `{"tenant":"annotated","tlsVerify":false}` {
		t.Errorf("annotated: %s", got)
	}
	for _, o := range []struct{ says, want string }{
		{"tenant: t, tlsVerify: true, caFile: /ca, externalUrl: 'https://l', headers: {X-A: b, X-B: {env: C}}, apiKeyEnv: K, urlEnv: U",
			`{"tenant":"t","headers":[{"name":"X-A","value":"b"},{"name":"X-B","env":"C"}],"tlsVerify":true,"caFile":"/ca","externalUrl":"https://l","apiKeyEnv":"K","urlEnv":"U"}`},
		{"usernameEnv: A, passwordEnv: B", `{"tenant":"annotated","tlsVerify":false,"usernameEnv":"A","passwordEnv":"B"}`},
		{"bearerTokenEnv: A", `{"tenant":"annotated","tlsVerify":false,"bearerTokenEnv":"A"}`},
	} {
		set, wrong := overrides.Parse([]byte("toolsets: [{name: loki, namespace: a, connection: {" + o.says + "}}]"))
		if len(wrong) > 0 {
			t.Fatal(wrong)
		}
		before := c.Snapshot().Sequence()
		c.SetOverrides(set)
		if got := shown(); got != o.want {
			t.Errorf("%s:\ngot  %s\nwant %s", o.says, got, o.want)
		}
		if c.Snapshot().Sequence() == before {
			t.Errorf("%s: nobody is told", o.says)
		}
	}
	if c = newCatalogue(svc("a", "loki", "loki", 3100, nil)); shown() != "" {
		t.Errorf("without any: %s", shown())
	}
}
