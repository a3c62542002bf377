package holmesgpt

import (
	"strings"
	"testing"
)

// All reasons for which HolmesGPT refuses or misreads a document.
func TestCheckRefuses(t *testing.T) {
	const tool = "  a/b:\n    enabled: true\n    description: \"d\"\n    tools:\n      - name: \"n\"\n        description: \"d\"\n        command: \"curl x\"\n"
	entry := func(lines ...string) string {
		return "toolsets:\n  a/b:\n    enabled: true\n    description: \"d\"\n    tools: []\n" + strings.Join(lines, "\n") + "\n"
	}
	command := func(line string, more ...string) string {
		return "toolsets:\n" + strings.Replace(tool, "curl x", line, 1) + strings.Join(more, "\n") + "\n"
	}
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
		{entry() + "mcp_servers: {}", "mcp_servers: is unknown"},
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
		{entry("    tags: [\"core\", \"x\"]"), `"x" is none of core, cluster, cli`},
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
		{builtin("grafana/loki", "      url: \"http://l\"\n      x: \"y\""), "x: is unknown"},
		{builtin("grafana/loki", "      headers:\n        A: \"b\""), "has no url"},
		{builtin("grafana/loki", "      url: \"l:80\""), "must be an absolute http or https URL"},
		{builtin("grafana/loki", "      url: \"http://u:p@l\""), "must be an absolute http or https URL"},
		{builtin("grafana/loki", "      url: \"http://l?{{ env.X }}\""), "must be an absolute http or https URL"},
		{builtin("grafana/dashboards", "      url: \"http://l\"\n      api_key: \"glsa_abc\""), "must refer to an environment variable"},
		{builtin("grafana/dashboards", "      url: \"http://l\"\n      healthcheck: \"{{ env.X }}\""), "where none belongs"},
		{builtin("kafka/admin", "      kafka_clusters: []"), "is empty"},
		{builtin("kafka/admin", "      kafka_clusters:\n        - name: \"k\"\n          kafka_broker: \"k\""), "must be a host, with a port"},
		{builtin("opensearch/status", "      opensearch_clusters:\n        - hosts:\n            - host: \"h\"\n              port: 0"), "must be a port"},
		{builtin("opensearch/status", "      opensearch_clusters:\n        - hosts:\n            - host: \"h:1\"\n              port: 1"), "must be a host"},
		{"toolsets:\n  grafana/loki:\n    enabled: true\n    description: \"d\"\n    tools: []\n", "has no config"},
		{strings.Replace(command("curl"), "a/b", "grafana/loki", 1), "would take the place"},
	} {
		if err := Check([]byte(c.doc)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q for\n%s", err, c.want, c.doc)
		}
	}
	for _, doc := range []string{
		entry(), entry("    tags: [\"core\"]", "    prerequisites:\n      - env: [\"A\"]"),
		command("curl {{ a }}", "        parameters:\n          a: {description: \"d\", type: \"string\", required: true}"),
		builtin("grafana/loki", "      url: \"http://l\"\n      headers:\n        Authorization: \"Bearer {{ env.TOKEN }}\""),
	} {
		if err := Check([]byte(doc)); err != nil {
			t.Errorf("%v for\n%s", err, doc)
		}
	}
}

// No file makes Check panic or hang.
func FuzzCheck(f *testing.F) {
	f.Add(Head)
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
