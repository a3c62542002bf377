package problem

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDocumentHasEveryMember(t *testing.T) {
	p := Problem{Type: NotFound, Detail: "no such toolset", Instance: "/api/v1/toolsets/x", RequestID: "r1",
		Errors: []FieldError{InBody(Body.Member("a/b").Element(2), "a/b[2]", "unknown"), InQuery("name", "unknown"), InHeader("X-Name", "unknown")}}
	got := string(p.JSON())
	want := `{"type":"https://kubernaut.io/errors/not-found","title":"Not Found","status":404,` +
		`"detail":"no such toolset","instance":"/api/v1/toolsets/x","request_id":"r1",` +
		`"errors":[{"detail":"unknown","pointer":"#/a~1b/2","field":"a/b[2]","message":"unknown"},` +
		`{"detail":"unknown","parameter":"name","field":"name","message":"unknown"},` +
		`{"detail":"unknown","header":"X-Name","field":"X-Name","message":"unknown"}]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestErrorsAreLeftOutWhenThereAreNone(t *testing.T) {
	if b := (&Problem{Type: Internal}).JSON(); strings.Contains(string(b), `"errors"`) {
		t.Errorf("an empty errors member was sent: %s", b)
	}
}

func TestRegistryIsOrderedAndUnique(t *testing.T) {
	names := map[string]bool{}
	last := 0
	for _, ty := range Types() {
		if names[ty.Name] {
			t.Errorf("%s is registered twice", ty.Name)
		}
		names[ty.Name] = true
		if ty.Status < last || ty.Status < 400 || ty.Status > 599 {
			t.Errorf("%s: status %d is out of order or not an error", ty.Name, ty.Status)
		}
		last = ty.Status
		if ty.Title == "" {
			t.Errorf("%s has no title", ty.Name)
		}
		if u, err := url.Parse(ty.URI()); err != nil || !u.IsAbs() {
			t.Errorf("%s: the type URI %q is not an absolute URI", ty.Name, ty.URI())
		}
	}
}

func FuzzDocument(f *testing.F) {
	f.Add("detail", "/path", "field")
	f.Add("", "/%zz%2", "%")
	f.Add("", "x:443", ":")
	f.Add("", "//%20", "/")
	f.Add("", "//example.com/path", "//")
	f.Add("\x00\xff\xfe", "/a b\"\n\xff", strings.Repeat("é", 2000))
	f.Add(strings.Repeat("x", 1023)+"é", "", "")
	f.Fuzz(func(t *testing.T, detail, path, field string) {
		p := Problem{Type: Validation, Detail: detail, Instance: path, RequestID: "id", Errors: []FieldError{InBody(Body.Member(field), field, detail), InQuery(field, detail), InHeader(field, detail)}}
		b := p.JSON()
		if !utf8.Valid(b) {
			t.Fatalf("not UTF-8: %q", b)
		}
		if len(b) > 6*(16*maxText) {
			t.Fatalf("document of %d bytes", len(b))
		}
		var d struct {
			Type, Title, Detail, Instance string
			Status                        int
		}
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatalf("not JSON: %v: %q", err, b)
		}
		if d.Status != 400 || d.Type != Validation.URI() {
			t.Fatalf("wrong document: %s", b)
		}
		switch u, err := url.Parse(d.Instance); {
		case err != nil:
			t.Fatalf("instance: %v", err)
		case u.Scheme != "" || u.Host != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
			t.Fatalf("instance %q of the path %q is more than a path", d.Instance, path)
		}
		for i := range len(d.Instance) {
			if c := d.Instance[i]; c <= ' ' || c >= 0x7f || c == '"' {
				t.Fatalf("instance %q is not a URI reference", d.Instance)
			}
		}
	})
}

// TestInstanceResolvesToThePath: whoever resolves the reference gets the path that was
// sent, and no other host.
func TestInstanceResolvesToThePath(t *testing.T) {
	base := &url.URL{Scheme: "http", Host: "toolset:8080", Path: "/x"}
	for _, path := range []string{"/", "/api/v1/toolsets", "//", "//example.com/a", "///a", "//user@example.com:80", "/a//b", "/a:b", "/%2F/"} {
		p := Problem{Type: NotFound, Instance: path}
		var d struct{ Instance string }
		if err := json.Unmarshal(p.JSON(), &d); err != nil {
			t.Fatal(err)
		}
		ref, err := url.Parse(d.Instance)
		if err != nil {
			t.Errorf("%q: %v", path, err)
			continue
		}
		if got := base.ResolveReference(ref); got.Host != base.Host || got.EscapedPath() != path {
			t.Errorf("instance %q of %q resolves to %s", d.Instance, path, got)
		}
	}
}
