package holmesgpt

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"kubernaut.io/dynamic-toolset/service/internal/strictyaml"
)

// Check returns everything for which HolmesGPT, in any of the supported releases (0.25 and
// later), would refuse a document or misread it; nil if there is nothing. Check is stricter
// than HolmesGPT, which ignores unknown fields of configurations. It knows only what this
// package writes.
//
// Releases from 0.18 to 0.24 are not supported: they take most of a document, but want the
// former names of keys (url for api_url, headers for additional_headers, management_url,
// kafka_clusters, kafka_broker), send references to the environment inside of lists as they
// are, and know no instances, no victorialogs and, before February 2026, no type http.
func Check(doc []byte) error {
	r := &strictyaml.Reader{MaxProblems: maxFound}
	if readable(doc) {
		c := checker{tools: map[string]string{}}
		c.document(r.Read(doc), r)
	} else {
		r.Bad(0, "", "has bytes that are not UTF-8, or characters that PyYAML refuses")
	}
	return r.Err(Key)
}

// maxFound is the maximal number of errors.
const maxFound = 50

type checker struct {
	tools map[string]string // name of a tool -> its toolset
}

func (c checker) document(root strictyaml.Value, r *strictyaml.Reader) {
	if !root.Given() {
		if len(r.Problems()) == 0 {
			root.Bad("is empty")
		}
		return
	}
	top, ok := root.Mapping("toolsets", "mcp_servers")
	if !ok {
		return
	}
	toolsets, servers := top.Get("toolsets"), top.Get("mcp_servers")
	if !toolsets.Given() {
		top.Bad("has no toolsets")
		return
	}
	entries, ok := keyed(toolsets)
	if ok && len(toolsets.Node().Content) == 0 && !servers.Given() {
		toolsets.Bad("must be a mapping that is not empty")
	}
	for _, name := range entries.Keys() {
		c.toolset(name, entries.Get(name))
	}
	if !servers.Given() {
		return
	}
	all, ok := keyed(servers)
	if ok && len(servers.Node().Content) == 0 {
		servers.Bad("is empty")
	}
	for _, name := range all.Keys() {
		if entries.Has(name) {
			all.Get(name).Bad("has the name of a toolset, whose place it would take")
		}
		server(all.Get(name))
	}
}

// readable reports whether PyYAML reads doc at all (its Reader.NON_PRINTABLE).
func readable(doc []byte) bool {
	for _, r := range string(doc) {
		switch {
		case r == utf8.RuneError, r == 0x7F, r == 0xFEFF, r >= 0xD800 && r < 0xE000, r == 0xFFFE, r == 0xFFFF:
			return false
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r >= 0x80 && r < 0xA0 && r != 0x85:
			return false
		}
	}
	return utf8.Valid(doc)
}

// toolset checks one entry.
func (c checker) toolset(name string, v strictyaml.Value) {
	m, ok := v.Mapping("enabled", "type", "description", "llm_instructions", "config", "tools", "prerequisites")
	if !ok {
		return
	}
	enabled := plain(m.Get("enabled"))
	boolean(m.Get("enabled"))
	literal(m.Get("description"), true)
	if m.Has("type") {
		c.typed(name, m)
		return
	}
	template(m.Get("llm_instructions"))
	prerequisites(m.Get("prerequisites"))
	if !m.Has("tools") {
		m.Bad("has no tools, without which it is invalid where nothing of its name is built in")
	}
	config, tools := m.Get("config"), m.Get("tools").List(-1)
	schema, isBuiltin := schemas[name]
	switch {
	case isBuiltin && len(tools) > 0:
		m.Get("tools").Bad("would take the place of those of the built-in toolset")
	case isBuiltin && m.Has("llm_instructions"):
		m.Get("llm_instructions").Bad("would take the place of those of the built-in toolset")
	case isBuiltin && !config.Given():
		m.Bad("has no config")
	case isBuiltin:
		object(config, schema)
		instances(config)
	case config.Given():
		config.Bad("is used by nothing")
	case len(tools) == 0 && !m.Has("llm_instructions") && enabled != "false":
		m.Bad("has neither tools nor instructions")
	}
	for _, tool := range tools {
		c.tool(tool, name)
	}
}

// notInToolNames is what HolmesGPT replaces in the name of a toolset for those of tools.
var notInToolNames = regexp.MustCompile(`[^a-zA-Z0-9]+`)

// typed checks an entry with a type, of which HolmesGPT makes the tools. A list of tools, or
// prerequisites, would be a second value for the same parameter in Python.
func (c checker) typed(name string, m strictyaml.Mapping) {
	kind := literal(m.Get("type"), true)
	schema, known := types[kind]
	if !known {
		m.Get("type").Bad("%q is none of http, database, mongodb", kind)
		return
	}
	for _, field := range []string{"tools", "prerequisites"} {
		if m.Has(field) {
			m.Get(field).Bad("can't be given for the type %s", kind)
		}
	}
	template(m.Get("llm_instructions"))
	if config := m.Get("config"); config.Given() {
		object(config, schema.config)
	} else {
		m.Bad("has no config")
	}
	for _, verb := range schema.tools {
		c.name(m.Value, strings.Trim(notInToolNames.ReplaceAllString(name, "_"), "_")+"_"+verb, name)
	}
}

// name takes the name of a tool.
func (c checker) name(v strictyaml.Value, name, toolset string) {
	if first, taken := c.tools[name]; taken {
		v.Bad("%q is a tool of %s already, whose place it would take", name, first)
	}
	c.tools[name] = toolset
	if !toolNames.MatchString(name) {
		v.Bad("%q must be 1 to 64 letters, digits, _ and -", name)
	}
}

// server checks an entry of mcp_servers.
func server(v strictyaml.Value) {
	m, ok := v.Mapping("enabled", "description", "llm_instructions", "config")
	if !ok {
		return
	}
	boolean(m.Get("enabled"))
	literal(m.Get("description"), true)
	template(m.Get("llm_instructions"))
	object(m.Get("config"), mcpSchema)
}

// instances checks what must be true of the list of instances, if there is one.
func instances(config strictyaml.Value) {
	names := slices.Sorted(maps.Keys(allFields))
	m, ok := config.Mapping(names...)
	if !ok || !m.Has("instances") {
		return
	}
	for _, field := range names {
		if m.Has(field) && field != "instances" && field != "api_url" && field != "prometheus_url" {
			m.Get(field).Bad("is inherited by all instances; give it to each that needs it")
		}
	}
	seen := map[string]bool{}
	for _, item := range m.Get("instances").List(-1) {
		fields, _ := item.Mapping(names...)
		name, _ := quoted(fields.Get("name"), true)
		if seen[name] {
			item.Bad("has the name of another, for which HolmesGPT refuses all of them")
		}
		seen[name] = true
	}
}

// template checks a text that HolmesGPT renders as a Jinja template, or uses as it is.
func template(v strictyaml.Value) {
	s, _ := quoted(v, false)
	for _, mark := range []string{"{{", "{%", "{#"} {
		if strings.Contains(s, mark) {
			v.Bad("has %s, which means something to Jinja", mark)
		}
	}
}

func prerequisites(v strictyaml.Value) {
	for _, p := range v.List(-1) {
		m, ok := p.Mapping("command", "expected_output", "env")
		switch {
		case !ok:
		case m.Has("env") && m.Len() == 1:
			for _, name := range m.Get("env").List(-1) {
				literal(name, true)
			}
		case m.Has("command") && !m.Has("env"):
			literal(m.Get("command"), true)
			literal(m.Get("expected_output"), false)
		default:
			m.Bad("must be one of env and command")
		}
	}
}

// keyed returns a mapping with keys that are not known.
func keyed(v strictyaml.Value) (strictyaml.Mapping, bool) {
	return v.MappingOf(func(key *yaml.Node) string {
		if isKey(key) {
			return ""
		}
		return "must be a key of letters, digits and _ / - that begins with a letter, without quotes, and means nothing else in YAML"
	})
}

// isKey reports whether k can be read only as the key that it is, by YAML 1.1 (PyYAML) and
// by benedict, which refuses dots.
func isKey(k *yaml.Node) bool {
	if k.Kind != yaml.ScalarNode || k.Anchor != "" || k.Style != 0 || k.Value == "" {
		return false
	}
	switch strings.ToLower(k.Value) {
	case "yes", "no", "on", "off", "y", "n", "true", "false", "null":
		return false
	}
	for i := range len(k.Value) {
		b := k.Value[i]
		letter := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
		if !letter && (i == 0 || !isAlnum(b) && b != '_' && b != '/' && b != '-') {
			return false
		}
	}
	return true
}

// literal checks a string without placeholders.
func literal(v strictyaml.Value, required bool) string {
	s, ok := quoted(v, required)
	if ok && strings.Contains(s, "{{") {
		v.Bad("has {{, which HolmesGPT may replace")
	}
	return s
}

// quoted checks a string. It must be in double quotes, since other forms mean different
// things to different readers.
func quoted(v strictyaml.Value, required bool) (s string, ok bool) {
	n := v.Node()
	switch {
	case n == nil:
		if required {
			v.Bad("is missing")
		}
		return "", false
	case n.Kind != yaml.ScalarNode || n.Style != yaml.DoubleQuotedStyle || n.Anchor != "" || n.Tag != "!!str":
		v.Bad("must be a text in double quotes")
		return "", false
	case required && n.Value == "":
		v.Bad("is empty")
		return "", false
	}
	return n.Value, true
}

// plain returns a value that is written without quotes; empty if it is not.
func plain(v strictyaml.Value) string {
	if n := v.Node(); n != nil && n.Kind == yaml.ScalarNode && n.Style == 0 {
		return n.Value
	}
	return ""
}

func boolean(v strictyaml.Value) {
	if s := plain(v); s != "true" && s != "false" {
		v.Bad("must be true or false")
	}
}
