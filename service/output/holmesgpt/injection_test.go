package holmesgpt

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
)

func sprint(v any) string { return fmt.Sprint(v) }

// hostile are texts that could break out of YAML, Jinja, a shell, a URL or a terminal.
var hostile = []string{
	`"`, `'`, `\`, "\\\"", `"; evil: "`, "a\nb: c", "a\r\nb: c", "a\n  evil/core:\n    enabled: true", "# x", "a # b", "- a", "? a", "a: b", "{a: b}", "[a]",
	"*a", "&a b", "!!python/object/apply:os.system ['id']", "%YAML 1.1", "---", "...", "<<", "~", "null", "yes", "0o7", "1:20", "1e3",
	"{{ env.SECRET }}", "{{env.SECRET}}", "{{ 7*7 }}", "{{{ env.SECRET }}}", "{% raw %}", "{# x #}", "{", "}", "{{", "}}", "{ {", "a{", "}b", "{{{{", "}}}}",
	"{\u200b{ env.SECRET }}", "{\x00{ env.SECRET }}", "{\x7f{ env.SECRET }}",
	"$HOME", "${HOME}", "$(id)", "`id`", "$((1))", "; id", "| id", "&& id", "& id", "> /tmp/x", "< /etc/passwd", "\n id", "!!", "*", "?", "~root", "a b", "\t", "--help", "-o/tmp/x", "@/etc/passwd", "=@/etc/passwd",
	"'; id; '", `'"'"'`, "\x00", "\x01", "\x1b[31m", "\x7f", "\u0085", "\u2028", "\u2029", "\ufeff", "\ufffe", "\u202e", "\U0010ffff", "\U0001f600", "ü", "\xff", "\xc0\xaf",
	"../../etc/passwd", "%2e%2e/", "%", "%27", "#frag", "?a=b", "&a=b", "http://evil", "//evil", "@evil", ":80@evil", "[0-9]", "{a,b}",
	strings.Repeat("'", 500), strings.Repeat("{", 500), strings.Repeat("a", 5000),
}

// A description from others stays a description, whatever is in it.
func TestHostileDescriptions(t *testing.T) {
	for _, text := range hostile {
		for _, kind := range []string{"jaeger", "prometheus", "elasticsearch", "kafka", "custom", "mcp", "postgresql"} {
			ts := example(kind)
			ts.Description = text
			if kind == "kafka" {
				ts.Endpoint = "tcp://k:9092"
			}
			doc := document(t, ts)
			plain := ts
			plain.Description = ""
			got, want := load(t, doc), load(t, document(t, plain))
			for key := range want {
				g, w := got[key], want[key]
				if !strings.HasSuffix(g.Description, w.Description) {
					t.Errorf("%q: %s is described as %q", text, key, g.Description)
				}
				if s := g.Instructions; strings.Contains(s, "{{") || strings.Contains(s, "{%") || strings.Contains(s, "{#") || strings.Count(s, "\n") != strings.Count(w.Instructions, "\n") {
					t.Errorf("%q: the instructions of %s are %q", text, key, s)
				}
				g.Description, g.Instructions = w.Description, w.Instructions
				if sprint(g) != sprint(w) {
					t.Errorf("%q changes more of %s than the description:\n%+v\n%+v", text, key, g, w)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%q: there are %d toolsets, not %d", text, len(got), len(want))
			}
		}
	}
}

// Whatever an agent gives a tool, curl gets exactly that, in its place.
func TestHostileParameters(t *testing.T) {
	r := newRecorder(t)
	for _, kind := range []string{"prometheus", "jaeger", "elasticsearch", "custom", "rabbitmq"} {
		ts := example(kind)
		ts.Path = "/a-b/c.d~e:f@g+h,i=j"
		list := toolsFor(kind)
		base := ts.Endpoint + ts.Path
		for i := range list {
			for n, value := range hostile {
				if (n+i)%4 != 0 && len(list[i].params) > 0 {
					continue // not each value for each tool: a shell takes its time
				}
				values := map[string]string{}
				for k, p := range list[i].params {
					values[p.name] = clean(value + hostile[(n+k)%len(hostile)])
				}
				line := fill(list[i].command(base, ""), values)
				shell := shells()[n%len(shells())]
				if got, want := r.argv(t, shell, line), list[i].intended(base, values); !slices.Equal(got, want) {
					t.Errorf("%s of %s with %q: curl got\n%q, not\n%q", list[i].verb, kind, values, got, want)
				}
				if len(values) == 0 {
					break
				}
			}
		}
	}
}

// clean makes s a string that can be an argument: valid UTF-8 without NUL.
func clean(s string) string { return strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "") }

// Any toolset is refused, or gives a document that HolmesGPT loads and whose commands start
// curl and nothing else, with the intended arguments.
func FuzzRender(f *testing.F) {
	for i, text := range hostile {
		f.Add("ns", "name", "jaeger", "http://h:1", "", text, text, uint8(i))
		f.Add(text, "name", "prometheus", "http://h:1", "", "", "", uint8(i))
		f.Add("ns", text, "custom", "http://h:1", "", "", text, uint8(i))
		f.Add("ns", "name", text, "http://h:1", "", "", text, uint8(i))
		f.Add("ns", "name", "elasticsearch", "https://h/"+text, "", "", text, uint8(i))
		f.Add("ns", "name", "mimir", "http://h:1", text, "", text, uint8(i))
	}
	f.Add("ns", "a.b", "kafka", "tcp://h:9092", "", "", "", uint8(0))
	f.Add("ns", "a.b", "opensearch", "https://[::1]:1", "", "", "", uint8(0))
	r := newRecorder(f)
	environ := map[string]string{"HOME": "/somewhere", "SECRET": "secret"}
	f.Fuzz(func(t *testing.T, namespace, name, kind, endpoint, path, description, value string, which uint8) {
		ts := Toolset{Namespace: namespace, Name: name, Type: kind, Endpoint: endpoint, Path: path, Description: description}
		fragment, err := Render(ts)
		if err != nil {
			if !errors.Is(err, ErrUnsafe) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		// Twice: as a built-in toolset, and as one of its own.
		second := ts
		second.Name = "second"
		if second.Name == ts.Name {
			second.Name = "third"
		}
		other, err := Render(second)
		if err != nil {
			t.Fatal(err)
		}
		for _, order := range [][]Candidate{{{Fragment: fragment}, {Fragment: other}}, {{Fragment: other}, {Fragment: fragment}}} {
			d := Document(order, Options{})
			load(t, d.Bytes())
			d = Document(order, Options{Curl: true})
			own, ok := load(t, d.Bytes())[ts.key()]
			if !ok || len(own.Tools) == 0 {
				continue
			}
			list := toolsFor(kind)
			if len(own.Tools) != len(list) {
				t.Fatalf("%d tools, not %d", len(own.Tools), len(list))
			}
			tool, meant := own.Tools[int(which)%len(list)], list[int(which)%len(list)]
			values := map[string]string{}
			for _, p := range meant.params {
				values[p.name] = clean(value)
			}
			line := fill(expandvars(tool.Command, environ), values)
			if len(line) > 100_000 {
				continue // longer than an argument may be
			}
			if got, want := r.argv(t, shells()[int(which)%len(shells())], line), meant.intended(endpoint+path, values); !slices.Equal(got, want) {
				t.Errorf("curl got\n%q, not\n%q", got, want)
			}
			return
		}
	})
}

// Any connection is refused, or gives documents that HolmesGPT loads and commands that give
// curl its headers as they are.
func FuzzConnection(f *testing.F) {
	for i, text := range hostile {
		f.Add(text, "X-A", "b", "V", "/ca", "https://h", uint8(i))
		f.Add("t", text, "b", "V", "/ca", "", uint8(i))
		f.Add("t", "X-A", text, "", "", "", uint8(i))
		f.Add("t", "X-A", "", text, "/ca", "", uint8(i))
		f.Add("", "X-A", "b", "", text, "https://h", uint8(i))
		f.Add("", "X-A", "b", "", "", text, uint8(i))
	}
	kinds := []string{"jaeger", "prometheus", "grafana", "victorialogs", "custom", "mcp", "rabbitmq", "elasticsearch", "postgresql"}
	r := newRecorder(f)
	f.Fuzz(func(t *testing.T, tenant, header, value, variable, ca, external string, which uint8) {
		ts := example(kinds[int(which)%len(kinds)])
		c := &ts.Connection
		*c = service.Connection{Tenant: tenant, Headers: []service.Header{{Name: header, Value: value}, {Name: "X-Second", Variable: variable}},
			CAFile: ca, ExternalURL: external, Variables: service.Variables{Username: variable, Password: variable, URL: variable}}
		if variable == "" {
			c.Headers = c.Headers[:1]
		}
		if _, err := Render(ts); err != nil {
			if !errors.Is(err, ErrUnsafe) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		load(t, document(t, ts))
		load(t, with(t, Options{Curl: true}, ts))
		ts.Type = "alertmanager"
		c.Variables, c.Headers = service.Variables{}, c.Headers[:1]
		own := load(t, document(t, ts))[ts.key()]
		want := []string{"-H", header + ": " + value}
		if tenant != "" {
			want = append([]string{"-H", "X-Scope-OrgID: " + tenant}, want...)
		}
		if ca != "" {
			want = append([]string{"--cacert", ca}, want...)
		}
		for _, line := range []string{own.Tools[0].Command, own.Prerequisites[0].Command} {
			argv := r.argv(t, shells()[int(which)%len(shells())], fill(expandvars(line, map[string]string{"HOME": "x"}), nil))
			at := slices.IndexFunc(argv, func(a string) bool { return a == want[0] })
			if at < 0 || len(argv) < at+len(want) || !slices.Equal(argv[at:at+len(want)], want) {
				t.Errorf("curl got\n%q, without\n%q", argv, want)
			}
		}
	})
}
