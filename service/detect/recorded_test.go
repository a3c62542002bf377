package detect

import (
	"context"
	"encoding/json"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/identity"
)

// recordedDir has what real products have answered (test/products/cmd/record makes the
// files), and for those that can't be run here, what their documentation or bug reports say.
const recordedDir = "../identity/testdata/recorded"

type recordedAnswer struct {
	Get    string            `json:"get"`
	Status int               `json:"status"`
	Header map[string]string `json:"header"`
	Body   string            `json:"body"`
}

// A recording answers as a product has answered.
type recording struct {
	Source    string           `json:"source"`
	Product   string           `json:"product"`
	Version   string           `json:"version"`
	Kind      string           `json:"kind"`
	Proves    bool             `json:"proves"`
	Prefix    string           `json:"prefix"`
	Answers   []recordedAnswer `json:"answers"`
	Above     []recordedAnswer `json:"above"`
	Otherwise recordedAnswer   `json:"otherwise"`
	// APIVersions is the answer to that request: of each request its number and versions.
	APIVersions [][3]int `json:"kafka"`

	asked []string
}

func (r *recording) Get(_ context.Context, u string) identity.Answer {
	at, err := url.Parse(u)
	if err != nil {
		return identity.Answer{Failure: identity.Broken, Why: err.Error()}
	}
	path := strings.TrimPrefix(u, at.Scheme+"://"+at.Host)
	r.asked = append(r.asked, path)
	if at.Scheme != "http" || len(r.APIVersions) > 0 {
		return identity.Answer{Failure: identity.Broken, Why: "it does not speak that"}
	}
	answers, below := r.Answers, path
	if r.Prefix != "" {
		var ok bool
		if below, ok = strings.CutPrefix(path, r.Prefix); !ok || below == "" {
			answers, below = r.Above, path
		}
	}
	for _, a := range answers {
		if start, any := strings.CutSuffix(a.Get, "*"); a.Get == below || any && strings.HasPrefix(below, start) {
			return a.answer()
		}
	}
	return r.Otherwise.answer()
}

func (a *recordedAnswer) answer() identity.Answer {
	out := identity.Answer{Status: a.Status, Header: map[string][]string{}, Body: []byte(a.Body)}
	for k, v := range a.Header {
		out.Header[textproto.CanonicalMIMEHeaderKey(k)] = []string{v}
	}
	return out
}

func (r *recording) Kafka(context.Context, string) identity.Answer {
	if len(r.APIVersions) > 0 { // what they must be is tested by package identify
		return identity.Answer{Status: 200}
	}
	return identity.Answer{Failure: identity.Broken, Why: "it does not speak Kafka's protocol"}
}

func (r *recording) MCP(context.Context, string, string) identity.Answer {
	return r.Otherwise.answer() // no product of these speaks the protocol
}

func recordings(t *testing.T) map[string]recording {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(recordedDir, "*.json"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d recordings in %s: %v", len(files), recordedDir, err)
	}
	all := map[string]recording{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var r recording
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if r.Source == "" || r.Product == "" || len(r.Answers)+len(r.APIVersions) == 0 {
			t.Errorf("%s has no source, product or answers", f)
		}
		all[strings.TrimSuffix(filepath.Base(f), ".json")] = r
	}
	return all
}

// Each product behind a Service that metadata call each kind, and behind one that they
// don't recognise: it is verified as what it is, or not at all.
func TestEachRecordedProductUnderEachLabel(t *testing.T) {
	rules := Default().Identities()
	for name, r := range recordings(t) {
		for _, label := range append(Default().Types(), "") {
			q := service.Question{URLs: []string{"http://" + "labelled.example:8080"}, Type: label}
			if label != "" && !rules.Knows(label) {
				continue
			}
			if label == "" {
				q.Hints = []string{r.Kind}
			}
			r.asked = nil
			id := rules.Identify(t.Context(), q, &r)
			what := name + " labelled " + label
			// One for each path of the rules, and some below a prefix; Kiali took 38.
			if len(r.asked) > 34 {
				t.Errorf("%s: %d requests: %q", what, len(r.asked), r.asked)
			}
			switch {
			case label == "kafka", r.Kind == "kafka":
				if want := label == r.Kind; (id.Verdict == service.Verified) != want || want && id.Product != r.Product {
					t.Errorf("%s: %+v", what, id)
				}
			case r.Kind != "" && r.Proves:
				if r.Prefix != "" && label != r.Kind && !r.redirects() {
					break // nothing leads there
				}
				if label != r.Kind && r.guarded() && id.Verdict == service.Unverified {
					break // it was not asked much, since each further request might count as an attack
				}
				if id.Verdict != service.Verified || id.Type != r.Kind || id.Product != r.Product || strings.TrimPrefix(id.Version, "v") != r.Version {
					t.Errorf("%s (%s): got %s %s %s %q %q after %d requests", what, r.Source, id.Verdict, id.Type, id.Product, id.Version, id.Evidence, len(r.asked))
				}
				if id.Access.Path != r.Prefix {
					t.Errorf("%s: at %q, want %q", what, id.Access.Path, r.Prefix)
				}
				// Two prove it, one more shows the credentials.
				if label == r.Kind && r.Prefix == "" && len(r.asked) > 4 {
					t.Errorf("%s: %d requests: %q", what, len(r.asked), r.asked)
				}
			case id.Verdict == service.Verified:
				t.Errorf("%s (%s): verified as %s: %q", what, r.Source, id.Type, id.Evidence)
			}
		}
	}
}

// What can't be queried is refuted after one request for each path of the rules, though its
// root leads to a page below which nothing is.
func TestAPrometheusAgentIsAskedLittle(t *testing.T) {
	r := recordings(t)["prometheus-agent-2.42.0+ds"]
	id := Default().Identities().Identify(t.Context(), service.Question{Type: "prometheus", URLs: []string{"http://agent.example:9090"}}, &r)
	if id.Verdict != service.Refuted || len(r.asked) > 30 {
		t.Errorf("%s after %d requests: %q", id.Verdict, len(r.asked), r.asked)
	}
}

// guarded reports whether it answers nothing without credentials.
func (r *recording) guarded() bool {
	return r.Otherwise.Status == 401 || r.Otherwise.Status == 302 && strings.Contains(r.Otherwise.Header["Location"], "/login")
}

// redirects reports whether the product itself leads from the root to its prefix.
func (r *recording) redirects() bool {
	for _, a := range r.Above {
		if a.Get == "/" && a.Status >= 300 && a.Status <= 399 {
			return true
		}
	}
	return false
}
