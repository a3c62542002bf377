package page

import (
	"bytes"
	"context"
	"go/format"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/a-h/templ"
	"github.com/a-h/templ/generator"
	"github.com/a-h/templ/parser/v2"
	"golang.org/x/net/html"

	"kubernaut.io/dynamic-toolset/service"
)

// The code is what the templates say.
func TestTemplatesAreCompiled(t *testing.T) {
	sources, err := filepath.Glob("*.templ")
	if err != nil || len(sources) < 5 {
		t.Fatalf("%q, %v", sources, err)
	}
	compiled, err := filepath.Glob("*_templ.go")
	if err != nil || len(compiled) != len(sources) {
		t.Errorf("%d templates, but %q, %v", len(sources), compiled, err)
	}
	for _, source := range sources {
		parsed, err := parser.Parse(source)
		if err != nil {
			t.Fatal(err)
		}
		var code bytes.Buffer
		if _, err := generator.Generate(parsed, &code, generator.WithVersion(templ.Version()), generator.WithFileName(source)); err != nil {
			t.Fatal(err)
		}
		want, err := format.Source(code.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(source, ".templ") + "_templ.go"
		got, err := os.ReadFile(name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what %s says (%v); renew it: go generate ./transport/page", name, source, err)
		}
	}
}

// links sets all links in a value, and returns how many it has set.
func links(v reflect.Value, to string) (n int) {
	switch {
	case v.Type() == reflect.TypeFor[link]():
		v.SetString(to)
		return 1
	case v.Kind() == reflect.Pointer && !v.IsNil():
		return links(v.Elem(), to)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			n += links(v.Field(i), to)
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			n += links(v.Index(i), to)
		}
	}
	return n
}

// Even if a text from outside became a link by a mistake in the model, no template would make
// it one that runs a script. What browsers leave out of a scheme is that of the WHATWG's URL
// Standard: what is before it, and tabs and line ends anywhere.
func TestNoLinkRunsAScript(t *testing.T) {
	p, snap := drawn(many(2*rowsPerPage + 50))
	for _, hostile := range []string{
		"javascript:pwned()", "JaVaScRiPt:pwned()", " \t\njavascript:pwned()", "\x01\x1fjavascript:pwned()", "java\nscript:pwned()", "java\tscript\r:pwned()", "javascript://x/%0apwned()",
		"javascript&colon;pwned()", "&#106;avascript:pwned()", `javascript:"/*'/*<svg onload=pwned()>*/`, "vbscript:pwned()", "data:text/html,<script>pwned()</script>", "DATA:text/html;base64,PHNjcmlwdD4=", "blob:http://x/1",
		"view-source:javascript:pwned()", "feed:javascript:pwned()", `"><script>pwned()</script>`, `' onclick='pwned()`,
	} {
		m, err := p.model(snap, troubled(), &Query{Number: 2, Explain: service.Key{Namespace: "shop", Name: "query-frontend"}}, explanationOf())
		if err != nil {
			t.Fatal(err)
		}
		set := links(reflect.ValueOf(m), hostile)
		var out bytes.Buffer
		if err := document(m).Render(context.Background(), &out); err != nil {
			t.Fatal(err)
		}
		root, err := html.Parse(&out)
		if err != nil {
			t.Fatal(err)
		}
		led := 0
		for n := range root.Descendants() {
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") {
					t.Errorf("%q: <%s %s=%q>", hostile, n.Data, a.Key, a.Val)
				}
				if a.Key != "href" && a.Key != "action" && a.Key != "src" {
					continue
				}
				address := strings.TrimLeft(a.Val, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f ")
				scheme, _, absolute := strings.Cut(strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(address), ":")
				if absolute && !strings.ContainsAny(scheme, "/?#&") && scheme != "about" && !strings.HasPrefix(a.Val, "data:image/svg+xml,") {
					t.Errorf("%q: <%s %s=%q>", hostile, n.Data, a.Key, a.Val)
				}
				if strings.HasPrefix(a.Val, "about:invalid") || a.Val == hostile {
					led++
				}
			}
		}
		if len(elements(root, "script")) != 1 || len(elements(root, "title")) != 1 {
			t.Errorf("%q has become an element", hostile)
		}
		// Each pager is there twice; a link to a type is shown once only.
		if set < 100 || led < 100 {
			t.Errorf("%d links are set, %d of them are shown", set, led)
		}
	}
}
