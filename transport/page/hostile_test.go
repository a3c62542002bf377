package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"

	"kubernaut.io/dynamic-toolset/internal/format"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// hostile is what an attacker would write into an annotation, or have a back end answer.
const hostile = `</script></style></title></svg><script>window.pwned=1</script><img src=x onerror="window.pwned=1">'"` + "`${window.pwned=1}` {{.}} ]]> \x1b[2J\x07 \x00 \xff\u202e\u2028 &lt; javascript:pwned()"

// called returns a page, a snapshot, a state and an explanation in which every text is this
// one.
func called(text string) (*Page, *snapshot.Snapshot, *State, *Query, any) {
	id := service.Identity{Verdict: service.Verdict(text), Type: text, Product: text, Version: text, Evidence: slices.Repeat([]string{text}, 30), At: noon,
		Access: service.Access{Scheme: text, Path: text, Auth: text, Tenant: true, TLS: text}}
	all := []made{
		{key: service.Key{Namespace: text, Name: text}, kind: text, url: text, checks: strings.Repeat("-", 30), reason: text, about: text, id: id, off: true},
		{key: service.Key{Namespace: text + "2", Name: text}, kind: "javascript:pwned()", url: "javascript:pwned()", checks: "+-", reason: text, about: text, id: id, added: true},
	}
	for range 30 {
		all = append(all, made{key: service.Key{Namespace: text, Name: text + string(rune('a'+len(all)))}, kind: text, url: text, aliasOf: len(all) > 2, about: text, id: id})
	}
	p, snap := drawn(all)
	state := &State{
		Version: text, Replica: text, Explains: true,
		Cluster:   Cluster{Name: text, Problem: text, Since: noon, Namespaces: []string{text, text}},
		Leader:    Leader{Self: text, Holder: text, Vacant: text},
		ConfigMap: ConfigMap{Name: text, Outcome: text, At: noon, Failed: true},
		Overrides: Overrides{Present: true, Mistakes: slices.Repeat([]service.Invalid{{Field: text, Message: text}}, 100), Unmatched: slices.Repeat([]string{text}, 100)},
	}
	for range 100 {
		state.Candidates = append(state.Candidates, Candidate{Key: service.Key{Namespace: text, Name: text}, URL: text, Types: []string{text}, Note: text})
	}
	q := &Query{Namespace: "", Name: "", Explain: service.Key{Namespace: "a", Name: "b"}}
	type object = map[string]any
	list := slices.Repeat([]string{text}, 100)
	explanation := object{
		"service": text, "listed": true, "type": text, "outcome": text, "toolset": text, "endpoint": text, "otherRules": 7,
		"steps":       slices.Repeat([]object{{"rule": text, "outcome": text, "for": list, "against": list, "ports": []object{{"port": text, "text": text, "chosen": true}}}}, 100),
		"annotations": slices.Repeat([]object{{"key": text, "value": text, "effect": text, "problem": text}}, 100),
		"overrides":   slices.Repeat([]object{{"entry": text, "changes": list, "effect": text}}, 100),
		"primary":     object{"toolset": text, "reason": text}, "health": object{"reason": text, "checks": text},
		"asked":  slices.Repeat([]object{{"request": text, "answer": text}}, 100),
		"change": slices.Repeat([]object{{"how": text, "effect": text, "caution": text}}, 100),
	}
	return p, snap, state, q, explanation
}

// write returns the page as it is sent, and parsed.
func write(t *testing.T, p *Page, snap *snapshot.Snapshot, state *State, q *Query, explanation any) (string, *html.Node) {
	t.Helper()
	var out bytes.Buffer
	if err := p.Write(&out, snap, state, q, explanation); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), root
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// elements returns all elements of a name, in their order.
func elements(root *html.Node, name string) (all []*html.Node) {
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == name {
			all = append(all, n)
		}
	}
	return all
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

// Texts from outside stay texts, in every place where the page shows one.
func TestHostileTexts(t *testing.T) {
	draw := func(text string) (string, *html.Node) {
		p, snap, state, q, explanation := called(text)
		return write(t, p, snap, state, q, explanation)
	}
	harmless, plain := draw("harmless")
	out, root := draw(hostile)
	if !utf8.ValidString(out) || strings.ContainsAny(out, "\x00\x07\x1b\u202e") || format.Visible(out) != out {
		t.Error("the page has invalid or invisible characters")
	}
	counts := func(root *html.Node) map[string]int {
		n := map[string]int{}
		for d := range root.Descendants() {
			if d.Type == html.ElementNode && d.Data != "wbr" { // a longer text has more places to break
				n[d.Data]++
			}
		}
		return n
	}
	was, is := counts(plain), counts(root)
	for name := range is {
		if was[name] == 0 {
			t.Errorf("there are %d elements %s, which the page does not have", is[name], name)
		}
	}
	for _, name := range []string{"script", "style", "title", "img", "a", "form", "input", "tr", "svg", "details"} {
		if was[name] != is[name] {
			t.Errorf("there are %d elements %s; with a harmless text %d", is[name], name, was[name])
		}
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		for _, a := range n.Attr {
			switch key := strings.ToLower(a.Key); {
			case strings.HasPrefix(key, "on"), key == "style", key == "src", key == "srcdoc", key == "formaction":
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			case key == "href" || key == "action":
				if v := a.Val; v != "." && !strings.HasPrefix(v, "?") && !strings.HasPrefix(v, "#") && !strings.HasPrefix(v, "api/v1/") && v != "openapi.json" && !strings.HasPrefix(v, "data:image/svg+xml,") {
					t.Errorf("<%s> leads to %q", n.Data, v)
				}
			}
		}
	}
	if len(harmless) == 0 || !strings.Contains(textOf(root), "window.pwned=1") {
		t.Error("the hostile text is not shown at all, so nothing was tested")
	}
	// Each of the template's texts was filled: the harmless one is in every place.
	if n := strings.Count(harmless, "harmless"); n < 600 {
		t.Errorf("the text is in %d places only", n)
	}
}

// However long the texts, the page is bounded.
func TestLongTexts(t *testing.T) {
	var all []made
	long := strings.Repeat("<&'\"> ", 200)
	for i := range rowsPerPage + 1 {
		all = append(all, made{key: service.Key{Namespace: "n", Name: strings.Repeat("x", 200) + string(rune('a'+i%26)) + strings.Repeat("y", i%50)}, kind: long, url: long, checks: strings.Repeat("-", 100), reason: long,
			id: service.Identity{Product: long, Version: long, Evidence: slices.Repeat([]string{long}, 100)}})
	}
	p, snap := drawn(all)
	_, _, state, q, explanation := called(long)
	out, _ := write(t, p, snap, state, q, explanation)
	if len(out) > 5<<20 {
		t.Errorf("%d bytes", len(out))
	}
	t.Logf("%d bytes", len(out))
}

// The policy allows exactly the style and the script that are in the page.
func TestPolicyAllowsTheElements(t *testing.T) {
	p, snap := drawn(few())
	_, root := write(t, p, snap, fine(), &Query{}, nil)
	for _, name := range []string{"style", "script"} {
		all := elements(root, name)
		if len(all) != 1 {
			t.Fatalf("%d elements %s", len(all), name)
		}
		sum := sha256.Sum256([]byte(textOf(all[0])))
		if want := name + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"; !strings.Contains(Policy, want) {
			t.Errorf("the policy %q has no %q", Policy, want)
		}
	}
	for n := range root.Descendants() {
		if attribute(n, "style") != "" {
			t.Errorf("<%s> has a style of its own, which the policy forbids", n.Data)
		}
	}
}
