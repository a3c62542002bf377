package transport_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// A lookup of "prometheus" may mean any Prometheus there is. A toolset with that name
// comes first, and its answer says which others there are and which is the primary.
func TestLookupOfANameThatIsAType(t *testing.T) {
	f := start(t, nil)
	other := svc("observability", "kps", "prometheus")
	other.Annotations = map[string]string{"primary": "true"}
	f.catalogue.Replace([]*corev1.Service{svc("shop", "prometheus", "prometheus"), svc("shop", "alone", "loki"), svc("logs", "tempo", "tempo"), other})
	f.catalogue.Build()
	got := getToolset(t, f, "prometheus")
	if got.String() != "shop/prometheus" || !strings.Contains(got.PrimaryReason, "observability/kps") || !slices.Equal(got.Alternatives, []string{"observability/kps"}) {
		t.Errorf("%+v", got)
	}
	if got := getToolset(t, f, "prometheus?namespace=observability"); got.String() != "observability/kps" {
		t.Errorf("%+v", got)
	}
	if got := getToolset(t, f, "tempo"); got.PrimaryReason != "the only one of this type" || got.Alternatives == nil {
		t.Errorf("%+v", got)
	}
	if got := getToolset(t, f, "alone"); got.PrimaryReason != "" || got.Alternatives != nil {
		t.Errorf("an answer by name: %+v", got)
	}

	// Another toolset with the name makes it ambiguous, until it is gone.
	before := f.do("GET", "/api/v1/toolsets/prometheus", "").body
	f.catalogue.Upsert(svc("team", "prometheus", "custom"))
	f.catalogue.Build()
	if r := f.do("GET", "/api/v1/toolsets/prometheus", ""); r.StatusCode != 409 {
		t.Errorf("two of the name: %s", r)
	}
	f.catalogue.Delete("team", "prometheus")
	f.catalogue.Build()
	if after := f.do("GET", "/api/v1/toolsets/prometheus", "").body; string(after) != string(before) {
		t.Errorf("before: %s, after: %s", before, after)
	}
}

// An unknown parameter is refused: ignoring it would answer a question that was not
// asked.
func TestMistakenLookups(t *testing.T) {
	f := start(t, nil)
	for path, want := range map[string]string{
		"grafana?ns=monitoring":                "is not a parameter of this lookup; it has: namespace",
		"grafana?namespace=a&namespace=b":      "is given more than once",
		"nothing?type=grafana&namespace=x&a=b": "The query has 2 mistakes",
	} {
		if r := f.do("GET", "/api/v1/toolsets/"+path, ""); r.StatusCode != 400 || !strings.Contains(string(r.body), want) {
			t.Errorf("%s: %s, want %q", path, r, want)
		}
	}
	for name, want := range map[string]string{"grafanna": "did you mean grafana?", "Prometheus": "did you mean prometheus?", "nothing-like-it": `\"nothing-like-it\". GET`} {
		if r := f.do("GET", "/api/v1/toolsets/"+name, ""); r.StatusCode != 404 || !strings.Contains(string(r.body), want) {
			t.Errorf("%s: %s, want %q", name, r, want)
		}
	}
	if r := f.do("GET", "/api/v1/toolsets/grafana?namespace=", ""); r.StatusCode != 200 {
		t.Errorf("an empty namespace: %s", r)
	}
}
