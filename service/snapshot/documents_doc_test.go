package snapshot_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/overrides"
)

// What docs/outputs.md shows is valid, and its lists are complete.
func TestOutputsDocumentation(t *testing.T) {
	b, err := os.ReadFile("../../docs/outputs.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	section := text[strings.Index(text, "\n## Overrides"):]
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(section)
	if example == nil {
		t.Fatal("no example of overrides")
	}
	o, wrong := overrides.Parse([]byte(example[1]))
	if len(wrong) > 0 || len(o.Added()) != 1 || len(o.Unmatched(nil)) != 3 {
		t.Errorf("the example: %v", wrong)
	}
	for _, field := range []string{"name", "namespace", "add", "disable", "type", "url", "path", "health", "description", "primary", "connection"} {
		if !strings.Contains(section, "\n| `"+field+"` |") {
			t.Errorf("the field %s is not in the table", field)
		}
	}
	// The message that it quotes is the real one.
	_, wrong = overrides.Parse([]byte("toolsets:\n- name: a\n  disable: true\n- name: b\n  disable: true\n  diable: true\n"))
	if len(wrong) != 1 || !strings.Contains(text, "`"+wrong[0].Field+": "+wrong[0].Message+"`") {
		t.Errorf("the message is %+v", wrong)
	}

	// It has all variables that a document refers to, and no others.
	named := regexp.MustCompile("`([A-Z]+_[A-Z_]+)`").FindAllStringSubmatch(text[strings.Index(text, "**Credentials**"):strings.Index(text, "- Variables that nobody has named")], -1)
	var listed []string
	for _, n := range named {
		if n[1] != "RABBITMQ_PASSWORD" { // an example of TYPE_PASSWORD
			listed = append(listed, n[1])
		}
	}
	var used []string
	for _, kind := range []string{"prometheus", "thanos-query", "mimir", "victoriametrics", "grafana", "loki", "tempo", "elasticsearch", "opensearch", "rabbitmq", "kafka", "victorialogs", "jaeger", "postgresql", "mcp"} {
		url := "https://h:1"
		if kind == "kafka" {
			url = "tcp://h:1"
		}
		o, wrong := overrides.Parse([]byte("toolsets: [{name: x, namespace: y, add: true, type: " + kind + ", url: \"" + url + "\"}]"))
		if len(wrong) > 0 {
			t.Fatal(wrong)
		}
		for _, auth := range []string{service.AuthNone, service.AuthBasic, service.AuthBearer, service.AuthLogin} {
			c := newCatalogue()
			c.SetOverrides(o)
			c.Build()
			says(c, "y", overrides.Key+":x", service.Access{Scheme: "https", Auth: auth, Tenant: kind == "loki"})
			c.Build()
			_, holmes := documents(t, c)
			for _, ref := range regexp.MustCompile(`\{\{ env\.([A-Z_]+) \}\}`).FindAllStringSubmatch(string(holmes.Bytes()), -1) {
				name := strings.Replace(ref[1], strings.ToUpper(strings.ReplaceAll(kind, "-", "_"))+"_", "TYPE_", 1)
				if kind == "grafana" && auth != service.AuthLogin {
					name = ref[1]
				}
				used = append(used, strings.Replace(name, "Y_X_", "NAMESPACE_NAME_", 1))
			}
		}
	}
	slices.Sort(listed)
	slices.Sort(used)
	if listed, used = slices.Compact(listed), slices.Compact(used); !slices.Equal(listed, used) {
		t.Errorf("the page lists %q, the documents use %q", listed, used)
	}
}
