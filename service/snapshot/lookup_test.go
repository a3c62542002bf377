package snapshot

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
)

func TestLookup(t *testing.T) {
	c := newState()
	c.Replace([]*corev1.Service{
		servicetest.Service("a", "main", "prometheus"), servicetest.Service("b", "main", "prometheus"), servicetest.Service("b", "other", "grafana"),
		servicetest.Service("c", "grafana", "loki"), servicetest.Service("c", "x", "prometheus"), servicetest.Service("c", "y", "prometheus"),
	})
	c.Build()
	for _, q := range []struct {
		name, namespace string
		want            Match
		endpoint        string
	}{
		{"main", "", Ambiguous, ""}, {"main", "a", Found, "http://main.a.svc:80"}, {"main", "c", Unknown, ""},
		{"grafana", "", Found, "http://grafana.c.svc:80"}, // a name comes before a type
		{"grafana", "b", Found, "http://other.b.svc:80"},  // by type: b has no toolset called grafana
		{"prometheus", "", Found, "http://main.a.svc:80"}, {"prometheus", "a", Found, "http://main.a.svc:80"}, {"prometheus", "c", Found, "http://x.c.svc:80"},
		{"", "", Unknown, ""}, {"nothing", "a", Unknown, ""},
	} {
		body, m := c.Lookup([]byte(q.name), []byte(q.namespace))
		if m != q.want {
			t.Errorf("%q in %q: %v, want %v", q.name, q.namespace, m, q.want)
		}
		if body != nil && !strings.Contains(string(body.JSON), `"serviceEndpoint":"`+q.endpoint+`"`) {
			t.Errorf("%q in %q: %s", q.name, q.namespace, body.JSON)
		}
	}
	if keys := c.Candidates([]byte("main"), nil, 9); fmt.Sprint(keys) != "[a/main b/main]" {
		t.Errorf("candidates %v", keys)
	}
}

// A lookup by type finds the toolset marked as primary, or else the first in the order. Of
// several toolsets that are called like their type, it finds the only one that is marked.
func TestLookupFindsThePrimary(t *testing.T) {
	marked := func(namespace, name, kind string) *corev1.Service {
		svc := servicetest.Service(namespace, name, kind)
		svc.Annotations = map[string]string{"primary": "true"}
		return svc
	}
	plain := servicetest.Service
	for what, q := range map[string]struct {
		services        []*corev1.Service
		name, namespace string
		found           string // empty for ambiguous
	}{
		"one of a type":                {[]*corev1.Service{plain("a", "x", "loki"), marked("b", "y", "loki"), plain("c", "z", "loki")}, "loki", "", "y.b"},
		"two of a type":                {[]*corev1.Service{marked("a", "x", "loki"), marked("b", "y", "loki"), plain("c", "z", "loki")}, "loki", "", "x.a"},
		"of another type":              {[]*corev1.Service{marked("a", "x", "tempo"), plain("b", "y", "loki"), plain("c", "z", "loki")}, "loki", "", "y.b"},
		"in another namespace":         {[]*corev1.Service{marked("a", "x", "loki"), plain("b", "y", "loki"), plain("b", "z", "loki")}, "loki", "b", "y.b"},
		"names are ambiguous":          {[]*corev1.Service{plain("a", "loki", "loki"), plain("b", "loki", "loki")}, "loki", "", ""},
		"also if two are marked":       {[]*corev1.Service{marked("a", "loki", "loki"), marked("b", "loki", "loki")}, "loki", "", ""},
		"in the namespace":             {[]*corev1.Service{marked("a", "x", "loki"), plain("b", "y", "loki"), marked("b", "z", "loki")}, "loki", "b", "z.b"},
		"the only one is found anyway": {[]*corev1.Service{marked("a", "x", "loki"), plain("b", "y", "loki")}, "loki", "b", "y.b"},
		"a name that is the type":      {[]*corev1.Service{plain("a", "loki", "loki"), marked("b", "loki", "loki")}, "loki", "", "loki.b"},
		"a name that is no type":       {[]*corev1.Service{plain("a", "main", "loki"), marked("b", "main", "loki")}, "main", "", ""},
		"a name comes first":           {[]*corev1.Service{plain("a", "loki", "tempo"), marked("b", "x", "loki"), plain("b", "y", "loki")}, "loki", "", "loki.a"},
	} {
		c := newState()
		c.Replace(q.services)
		c.Build()
		body, match := c.Lookup([]byte(q.name), []byte(q.namespace))
		switch {
		case q.found == "" && match != Ambiguous:
			t.Errorf("%s: %v", what, match)
		case q.found != "" && (match != Found || !strings.Contains(string(body.JSON), "http://"+q.found+".svc")):
			t.Errorf("%s: %v", what, match)
		}
	}
}
