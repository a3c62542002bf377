package service

import (
	"reflect"
	"testing"
)

func ptr(b bool) *bool { return &b }

// With changes neither of the two, and gives what was said last, field by field.
func TestConnectionWith(t *testing.T) {
	annotated := &Connection{Tenant: "a", SkipVerify: ptr(true), ExternalURL: "https://a.example.com"}
	first := &Connection{Tenant: "b", Headers: []Header{{"X-A", "1", ""}, {"X-B", "1", ""}}, Variables: Variables{Username: "U", Password: "P"}}
	second := &Connection{SkipVerify: ptr(false), CAFile: "/ca", Headers: []Header{{"x-a", "", "V"}}, Variables: Variables{APIKey: "K"}}
	want := &Connection{Tenant: "b", SkipVerify: ptr(false), ExternalURL: "https://a.example.com", CAFile: "/ca",
		Headers: []Header{{"X-B", "1", ""}, {"x-a", "", "V"}}, Variables: Variables{APIKey: "K"}}
	before := *first
	if got := annotated.With(first).With(second); !got.Equal(want) {
		t.Errorf("got %+v", got)
	}
	if !reflect.DeepEqual(before, *first) {
		t.Errorf("changed to %+v", first)
	}
	var none *Connection
	if none.With(nil) != nil || none.With(first) != first || first.With(nil) != first {
		t.Error("nothing is not nothing")
	}
}

// Every field counts when Connections are compared, and those of back ends.
func TestConnectionEqual(t *testing.T) {
	empty := &Connection{}
	for _, c := range []*Connection{
		nil, {Tenant: "a"}, {CAFile: "/a"}, {ExternalURL: "u"}, {SkipVerify: ptr(false)}, {SkipVerify: ptr(true)}, {Headers: []Header{{"a", "b", ""}}},
		{Variables: Variables{APIKey: "A"}}, {Variables: Variables{Username: "A"}}, {Variables: Variables{Password: "A"}},
		{Variables: Variables{BearerToken: "A"}}, {Variables: Variables{URL: "A"}},
	} {
		if c.Equal(empty) || empty.Equal(c) || !c.Equal(c) {
			t.Errorf("%+v", c)
		}
		if a, b := (&Backend{Connection: c}), (&Backend{Connection: empty}); a.Equal(b) {
			t.Errorf("back ends with %+v and nothing are equal", c)
		}
	}
}

// Documents name credentials and tenants where the back end asks for them, or somebody has
// said so, and nowhere else.
func TestConnectionTo(t *testing.T) {
	basic := func(kind string) Variables {
		return Variables{Username: kind + "_USERNAME", Password: kind + "_PASSWORD", Usual: true}
	}
	said := &Connection{Tenant: "shop", Variables: Variables{BearerToken: "T"}}
	for _, c := range []struct {
		kind   string
		said   *Connection
		access Access
		want   Connection
	}{
		{"grafana", nil, Access{}, Connection{}},
		{"grafana", nil, Access{Auth: AuthNone}, Connection{}},
		{"grafana", nil, Access{Auth: AuthBasic}, Connection{Variables: Variables{APIKey: "GRAFANA_API_KEY", Usual: true}}},
		{"grafana", nil, Access{Auth: AuthLogin}, Connection{Variables: Variables{BearerToken: "GRAFANA_BEARER_TOKEN", Usual: true}}},
		{"elasticsearch", nil, Access{Auth: AuthBasic, TLS: TLSUntrusted}, Connection{Variables: basic("ELASTICSEARCH")}},
		{"opensearch", nil, Access{Auth: AuthRequired}, Connection{Variables: basic("OPENSEARCH")}},
		{"thanos-query", nil, Access{Auth: AuthBearer}, Connection{Variables: Variables{BearerToken: "THANOS_QUERY_BEARER_TOKEN", Usual: true}}},
		{"loki", nil, Access{Auth: AuthNone, Tenant: true}, Connection{Headers: []Header{{TenantHeader, "", "LOKI_TENANT"}}}},
		{"rabbitmq", nil, Access{}, Connection{Variables: basic("RABBITMQ")}},
		{"rabbitmq", nil, Access{Auth: AuthNone}, Connection{}},
		{"loki", said, Access{}, *said},
		{"loki", said, Access{Auth: AuthBasic, Tenant: true}, *said},
		{"loki", &Connection{Headers: []Header{{"authorization", "", "A"}, {"x-scope-orgid", "", "B"}}}, Access{Auth: AuthBasic, Tenant: true},
			Connection{Headers: []Header{{"authorization", "", "A"}, {"x-scope-orgid", "", "B"}}}},
	} {
		b := &Backend{Type: c.kind, Connection: c.said}
		if got := b.ConnectionTo(&c.access); !got.Equal(&c.want) {
			t.Errorf("%s, %+v, %+v: got %+v", c.kind, c.said, c.access, got)
		}
	}
}
