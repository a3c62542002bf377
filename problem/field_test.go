package problem

import (
	"net/url"
	"strings"
	"testing"
)

// The examples of RFC 6901, section 6, and what else needs care.
func TestPointer(t *testing.T) {
	for _, c := range []struct {
		tokens []string
		want   string
	}{
		{nil, "#"},
		{[]string{"foo", "0"}, "#/foo/0"},
		{[]string{""}, "#/"},
		{[]string{"a/b"}, "#/a~1b"},
		{[]string{"c%d"}, "#/c%25d"},
		{[]string{"e^f"}, "#/e%5Ef"},
		{[]string{"g|h"}, "#/g%7Ch"},
		{[]string{`i\j`}, "#/i%5Cj"},
		{[]string{`k"l`}, "#/k%22l"},
		{[]string{" "}, "#/%20"},
		{[]string{"m~n"}, "#/m~0n"},
		{[]string{"~1"}, "#/~01"},
		{[]string{"é#"}, "#/%C3%A9%23"},
		{[]string{"profile", "color"}, "#/profile/color"},
		{[]string{"a", strings.Repeat("x", 2000), "b"}, "#/a"},
		{[]string{"a", strings.Repeat("/", 600), "b"}, "#/a"},
	} {
		p := Body
		for _, token := range c.tokens {
			p = p.Member(token)
		}
		if p.String() != c.want {
			t.Errorf("%q: %s, want %s", c.tokens, p, c.want)
		}
	}
	if p := Body.Member("tools").Element(2).Member("endpoint"); p.String() != "#/tools/2/endpoint" {
		t.Errorf("%s", p)
	}
}

func FuzzPointer(f *testing.F) {
	f.Add("a", "b/~%")
	f.Add("\xff\x00", "é~1")
	f.Fuzz(func(t *testing.T, a, b string) {
		p := Body.Member(a).Member(b).String()
		if len(p) > maxText {
			t.Fatalf("%d bytes", len(p))
		}
		u, err := url.Parse(p)
		if err != nil || u.String() != p && u.EscapedFragment() != p[1:] {
			t.Fatalf("%q is no URI fragment: %v", p, err)
		}
		var want string
		for _, token := range []string{a, b} {
			want += "/" + strings.ReplaceAll(strings.ReplaceAll(token, "~", "~0"), "/", "~1")
		}
		if len(p) < maxText/4 && len(a)+len(b) < maxText/8 && u.Fragment != want {
			t.Fatalf("%q stands for %q, want %q", p, u.Fragment, want)
		}
	})
}
