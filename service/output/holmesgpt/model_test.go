package holmesgpt

import (
	"strings"
	"testing"
)

// All reasons for which HolmesGPT refuses or misreads a document.
func TestCheckRefuses(t *testing.T) {
	const tool = "  a/b:\n    enabled: true\n    description: \"d\"\n    tools:\n      - name: \"n\"\n        description: \"d\"\n        command: \"curl x\"\n"
	entry := func(lines ...string) string {
		return "toolsets:\n  a/b:\n    enabled: false\n    description: \"d\"\n    tools: []\n" + strings.Join(lines, "\n") + "\n"
	}
	command := func(line string, more ...string) string {
		return "toolsets:\n" + strings.Replace(tool, "curl x", line, 1) + strings.Join(more, "\n") + "\n"
	}
	typed := func(kind, config string) string {
		return "toolsets:\n  a/b:\n    enabled: true\n    type: \"" + kind + "\"\n    description: \"d\"\n    config:\n" + config + "\n"
	}
	const good = "      endpoints:\n        - hosts: [\"http://h\"]\n          methods: [\"GET\"]"
	builtin := func(key, config string) string {
		return "toolsets:\n  " + key + ":\n    enabled: true\n    description: \"d\"\n    tools: []\n    config:\n" + config + "\n"
	}
	for _, c := range []struct{ doc, want string }{
		{"", "is empty"},
		{"toolsets: [", "is not YAML"},
		{"[]", "must be a mapping"},
		{"{}", "has no toolsets"},
		{"toolsets: {}", "must be a mapping that is not empty"},
		{"toolsets: []", "must be a mapping, not a list"},
		{"toolsets: {}\nmcp_servers: {}", "mcp_servers: is empty"},
		{entry() + "mcp_servers:\n  a/b: {enabled: true, description: \"d\", config: {url: \"http://m\", mode: \"sse\"}}", "has the name of a toolset"},
		{"toolsets: {}\nmcp_servers:\n  m: {enabled: true, description: \"d\", config: {url: \"http://m\"}}", "has no mode"},
		{"toolsets: {}\nmcp_servers:\n  m: {enabled: true, description: \"d\", tools: []}", "tools: is unknown"},
		{typed("http", "      endpoints: []"), "is empty"},
		{typed("http", "      endpoints:\n        - hosts: [\"h\"]\n          methods: [\"GET\"]"), "must be an absolute http or https URL"},
		{typed("http", "      endpoints:\n        - hosts: [\"http://h\"]\n          methods: [\"GET\"]\n          auth: {type: \"bearer\", token: \"abc\"}"), "must refer to an environment variable"},
		{typed("http", "      url: \"http://h\""), "url: is unknown"},
		{typed("http", "      endpoints:\n        - hosts: [\"http://h\"]\n          methods: [\"GET\"]\n    tools: []"), "tools: can't be given for the type http"},
		{typed("sqlite", "      a: \"b\""), "is none of http, database"},
		{typed("database", "      connection_url: \"postgresql://u:p@h/d\"\n      read_only: true"), "must refer to an environment variable"},
		{typed("database", "      connection_url: \"{{ env.A }}\""), "has no read_only"},
		{strings.Replace(typed("http", "      endpoints:\n        - hosts: [\"http://h\"]\n          methods: [\"GET\"]"), "a/b", strings.Repeat("a", 60), 1), "must be 1 to 64"},
		{typed("http", good) + strings.TrimPrefix(strings.Replace(typed("http", good), "a/b", "a-b", 1), "toolsets:\n"), "is a tool of"},
		{entry("    llm_instructions: \"a {% b\""), "means something to Jinja"},
		{"toolsets:\n  a/b: {enabled: true, description: \"d\", tools: []}", "has neither tools nor instructions"},
		{entry() + "---\n" + entry(), "more than one YAML document"},
		{entry() + "\x01", "PyYAML refuses"},
		{entry() + "# \u0084", "PyYAML refuses"},
		{entry() + "# \xff", "PyYAML refuses"},
		{"toolsets:\n  a: {enabled: true, description: \"d\"}", "has no tools"},
		{"toolsets:\n  a: {description: \"d\", tools: []}", "enabled: must be true or false"},
		{"toolsets:\n  a: {enabled: yes, description: \"d\", tools: []}", "enabled: must be true or false"},
		{"toolsets:\n  a: {enabled: true, tools: []}", "description: is missing"},
		{"toolsets:\n  a: {enabled: true, description: \"\", tools: []}", "description: is empty"},
		{"toolsets:\n  a: {enabled: true, description: d, tools: []}", "must be a text in double quotes"},
		{"toolsets:\n  a: {enabled: true, description: !x \"d\", tools: []}", "must be a text in double quotes"},
		{"toolsets:\n  a: {enabled: true, description: \"{{ env.X }}\", tools: []}", "has {{"},
		{"toolsets:\n  a.b: {enabled: true, description: \"d\", tools: []}", "toolsets.a.b: must be a key"},
		{"toolsets:\n  yes: {enabled: true, description: \"d\", tools: []}", "toolsets.yes: must be a key"},
		{"toolsets:\n  \"a\": {enabled: true, description: \"d\", tools: []}", "toolsets.a: must be a key"},
		{"toolsets:\n  1: {enabled: true, description: \"d\", tools: []}", "toolsets.1: must be a key"},
		{"toolsets:\n  a: &x {enabled: true, description: \"d\", tools: []}\n  b: *x", "aliases are not accepted"},
		{"toolsets:\n" + tool + tool, "toolsets.a/b: is given twice"},
		{entry("    additional_instructions: \"x\""), "additional_instructions: is unknown"},
		{entry("    name: \"x\""), "name: is unknown"},
		{entry("    tags: [\"core\"]"), "tags: is unknown"},
		{entry("    prerequisites:\n      - env: [\"A\"]\n        command: \"x\""), "must be one of env and command"},
		{entry("    config:\n      a: \"b\""), "is used by nothing"},
		{command("curl '{{ a }}"), "not declared"},
		{command("curl", "        parameters:\n          a: {description: \"d\", type: \"string\", required: true}"), "a is not in the command"},
		{command("curl {{ a }}", "        parameters:\n          a: {description: \"d\", type: \"text\", required: true}"), "is none of string"},
		{command("curl {{ a }}", "        parameters:\n          a: {description: \"d\", type: \"string\"}"), "required: must be true or false"},
		{command("curl {{ env }}", "        parameters:\n          env: {description: \"d\", type: \"string\", required: true}"), "called env"},
		{command("curl {{ a|safe }}"), "outside of a placeholder"},
		{command("curl {{ env.TOKEN }}"), "outside of a placeholder"},
		{command("curl {% if a %}"), "outside of a placeholder"},
		{command("curl $HOME"), "has $"},
		{command("curl", "        script: \"x\""), "script: is unknown"},
		{"toolsets:\n" + strings.Replace(tool, `"n"`, `"n.x"`, 1), "must be 1 to 64"},
		{"toolsets:\n" + strings.Replace(tool, `"n"`, `"`+strings.Repeat("n", 65)+`"`, 1), "must be 1 to 64"},
		{"toolsets:\n" + tool + strings.Replace(tool, "a/b", "c/d", 1), "is a tool of a/b already"},
		{command("curl{% if a and a != 'None' %} {{ a }}{% endif %}", "        parameters:\n          a: {description: \"d\", type: \"string\", required: true}"), "the command says the other"},
		{command("curl {{ a }}", "        parameters:\n          a: {description: \"d\", type: \"string\", required: false}"), "the command says the other"},
		{command("curl{% if a and b != 'None' %} {{ a }}{% endif %}", "        parameters:\n          a: {description: \"d\", type: \"string\", required: false}"), "outside of a placeholder"},
		{builtin("grafana/loki", "      api_url: \"http://l\"\n      x: \"y\""), "x: is unknown"},
		{builtin("grafana/loki", "      url: \"http://l\""), "url: is unknown"},
		{builtin("grafana/loki", "      additional_headers:\n        A: \"b\""), "has no api_url"},
		{builtin("grafana/loki", "      api_url: \"l:80\""), "must be an absolute http or https URL"},
		{builtin("grafana/loki", "      api_url: \"http://u:p@l\""), "must be an absolute http or https URL"},
		{builtin("grafana/loki", "      api_url: \"http://l?{{ env.X }}\""), "must be an absolute http or https URL"},
		{builtin("grafana/dashboards", "      api_url: \"http://l\"\n      api_key: \"glsa_abc\""), "must refer to an environment variable"},
		{builtin("rabbitmq/core", "      clusters:\n        - id: \"{{ env.X }}\"\n          api_url: \"http://l\""), "where none belongs"},
		{builtin("rabbitmq/core", "      clusters:\n        - id: \"x\"\n          management_url: \"http://l\""), "management_url: is unknown"},
		{builtin("grafana/loki", "      api_url: \"http://l\"\n      instances:\n        - api_url: \"http://l\""), "has no name"},
		{builtin("grafana/loki", "      api_url: \"http://l\"\n      instances:\n        - {name: \"a\", api_url: \"http://l\"}\n        - {name: \"a\", api_url: \"http://l\"}"), "has the name of another"},
		{builtin("grafana/dashboards", "      api_url: \"http://l\"\n      api_key: \"{{ env.A }}\"\n      instances:\n        - {name: \"a\", api_url: \"http://l\"}"), "is inherited by all instances"},
		{builtin("kafka/admin", "      clusters: []"), "is empty"},
		{builtin("kafka/admin", "      clusters:\n        - name: \"k\"\n          broker: \"k\""), "must be a host with a port"},
		{builtin("opensearch/status", "      opensearch_clusters: []"), "is used by nothing"},
		{builtin("grafana/loki", "      api_url: \"http://l\"\n    llm_instructions: \"x\""), "would take the place"},
		{"toolsets:\n  grafana/loki:\n    enabled: true\n    description: \"d\"\n    tools: []\n", "has no config"},
		{strings.Replace(command("curl"), "a/b", "grafana/loki", 1), "would take the place"},
	} {
		if err := Check([]byte(c.doc)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q for\n%s", err, c.want, c.doc)
		}
	}
	for _, doc := range []string{
		entry(), entry("    prerequisites:\n      - env: [\"A\"]"), typed("http", good),
		command("curl{% if a and a != 'None' %} {{ a }}{% endif %}", "        parameters:\n          a: {description: \"d\", type: \"string\", required: false}"),
		command("curl {{ a }}", "        parameters:\n          a: {description: \"d\", type: \"string\", required: true}"),
		builtin("grafana/loki", "      api_url: \"http://l\"\n      additional_headers:\n        Authorization: \"Bearer {{ env.TOKEN }}\""),
	} {
		if err := Check([]byte(doc)); err != nil {
			t.Errorf("%v for\n%s", err, doc)
		}
	}
}

// No file makes Check panic or hang.
func FuzzCheck(f *testing.F) {
	f.Add(intro + "toolsets:\n" + nothing)
	f.Add("toolsets: &a [*a]")
	f.Add("a: &a [x]\ntoolsets: {a: *a}")
	f.Add("toolsets:\n  kafka/admin:\n    config: {kafka_clusters: [{}]}")
	f.Add("- !!binary x")
	f.Fuzz(func(t *testing.T, doc string) {
		if err := Check([]byte(doc)); err != nil && len(err.Error()) > 1<<20+20*len(doc) {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}
