package tools_test

import (
	"context"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/explain"
	"kubernaut.io/dynamic-toolset/service/overrides"
)

// An empty list says which argument is the reason, since an agent would else believe that
// there is nothing.
func TestEmptyListsSayWhy(t *testing.T) {
	w := newWorld(t)
	w.add("logging", "loki", "loki")
	v := w.view()
	v.Unasked, v.Unchecked = true, true
	for arguments, want := range map[string]string{
		`{"type":"loky"}`:                        `There is none of the type "loky"; did you mean loki?`,
		`{"type":"q"}`:                           `There is none of the type "q".`,
		`{"namespace":"nowhere"}`:                `There is none in the namespace "nowhere".`,
		`{"type":"loki","namespace":"nowhere"}`:  `There is none in the namespace "nowhere".`,
		`{"verified":true}`:                      `Back ends are not asked here who they are; leave verified out.`,
		`{"healthy":true,"namespace":"logging"}`: `Health is not checked here; leave healthy out.`,
	} {
		if got := w.call(v, "list_backends", arguments); got["total"] != 0.0 || got["note"] != want {
			t.Errorf("%s: %v", arguments, got)
		}
	}
	if got := w.call(v, "list_backends", `{"type":"loki"}`); got["total"] != 1.0 || got["note"] != nil {
		t.Error(got)
	}
	if got := w.call(v, "get_backend", `{"name":"loki"}`)["health"].(map[string]any); got["reason"] != "health is not checked here" {
		t.Error(got)
	}
	v.Unasked, v.Unchecked = false, false
	if got := w.call(v, "list_backends", `{"verified":true}`); got["total"] != 0.0 || got["note"] != nil {
		t.Error(got)
	}
}

// What is refuted is no Loki, so that a query in LogQL would mislead.
func TestRefutedHasNoExample(t *testing.T) {
	w := newWorld(t)
	w.add("logging", "loki", "loki")
	if got := w.call(w.view(), "get_backend", `{"name":"loki"}`); got["example"] == nil || got["disabled"] != nil {
		t.Error(got)
	}
	w.SetIdentity(service.Key{Namespace: "logging", Name: "loki"}, service.Identity{Verdict: service.Refuted, At: at})
	if got := w.call(w.view(), "get_backend", `{"name":"loki"}`); got["example"] != nil || got["language"] != nil {
		t.Error(got)
	}
}

// What is advised only under a condition says so to agents, too.
func TestChangesHaveTheirCautions(t *testing.T) {
	w := newWorld(t)
	cautious := false
	v := w.view()
	v.Explain = func(_ context.Context, key service.Key) (*explain.Document, error) {
		return &explain.Document{Change: []explain.Change{{How: "annotate it", Effect: "It is listed.", Caution: "Only if it truly is prometheus."}}}, nil
	}
	for _, c := range w.call(v, "explain_service", `{"namespace":"a","name":"b"}`)["change"].([]any) {
		cautious = c.(map[string]any)["effect"] == "It is listed. Only if it truly is prometheus."
	}
	if !cautious {
		t.Error("no caution")
	}
}

// What an agent is told of TLS says what to do.
func TestTLSSaysWhatToDo(t *testing.T) {
	for name, q := range map[string]struct{ url, verdict, connection, want string }{
		"plain":     {"http://a", "", "", "none"},
		"not tried": {"https://a", "", "", "yes; not tried whether its certificate is trusted"},
		"trusted":   {"https://a", service.TLSTrusted, "", "yes; its certificate is trusted here"},
		"untrusted": {"https://a", service.TLSUntrusted, "", "yes, but its certificate is not trusted here (a private CA, another name, or expired): give your client the CA's file (curl --cacert FILE), or ask the user; don't switch verification off unasked"},
		"any":       {"https://a", service.TLSUntrusted, "connection: {tlsVerify: false}", "yes; accept any certificate (curl -k), since an administrator or its owner says so"},
		"a CA":      {"https://a", service.TLSUntrusted, "connection: {caFile: /ca.pem}", "yes; verify its certificate by the CA in the file /ca.pem (curl --cacert), if you have it"},
		"verify":    {"https://a", service.TLSTrusted, "connection: {tlsVerify: true}", "yes; its certificate is trusted here"},
		"plain CA":  {"http://a", "", "connection: {caFile: /ca.pem}", "none"},
	} {
		w := newWorld(t)
		w.add("logging", "loki", "loki")
		o, wrong := overrides.Parse([]byte("toolsets: [{name: loki, namespace: logging, url: '" + q.url + "', " + q.connection + "}]"))
		if len(wrong) > 0 {
			t.Fatal(wrong)
		}
		w.SetOverrides(o)
		w.view()
		w.SetIdentity(service.Key{Namespace: "logging", Name: "loki"}, service.Identity{Verdict: service.Verified, Type: "loki", URL: q.url, Access: service.Access{Scheme: q.url[:strings.Index(q.url, ":")], TLS: q.verdict}, At: at})
		if got := w.call(w.view(), "get_backend", `{"name":"loki"}`)["access"].(map[string]any)["tls"]; got != q.want {
			t.Errorf("%s: %v, want %s", name, got, q.want)
		}
	}
}
