package holmesgpt

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"kubernaut.io/dynamic-toolset/service/internal/strictyaml"
)

// Check returns everything for which HolmesGPT, in any of the supported releases, would
// refuse a document or misread it; nil if there is nothing. Check is stricter than
// HolmesGPT, which ignores unknown fields.
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
	top, ok := root.Mapping("toolsets")
	if !ok {
		return
	}
	toolsets := top.Get("toolsets")
	if !toolsets.Given() {
		top.Bad("has no toolsets")
		return
	}
	entries, ok := keyed(toolsets)
	if ok && len(toolsets.Node().Content) == 0 {
		toolsets.Bad("must be a mapping that is not empty")
	}
	for _, name := range entries.Keys() {
		c.toolset(name, entries.Get(name))
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

// toolset checks one entry, both as a change of a built-in toolset, as in releases that
// have one of this name, and as a definition, as in all others.
func (c checker) toolset(name string, v strictyaml.Value) {
	m, ok := v.Mapping("enabled", "description", "config", "tools", "prerequisites", "tags", "docs_url", "icon_url", "installation_instructions")
	if !ok {
		return
	}
	boolean(m.Get("enabled"))
	literal(m.Get("description"), true)
	for _, field := range []string{"docs_url", "icon_url", "installation_instructions"} {
		literal(m.Get(field), false)
	}
	for _, tag := range m.Get("tags").List(-1) {
		if s := literal(tag, true); s != "core" && s != "cluster" && s != "cli" {
			tag.Bad("%q is none of core, cluster, cli", s)
		}
	}
	prerequisites(m.Get("prerequisites"))
	if !m.Has("tools") {
		m.Bad("has no tools, without which it is invalid where nothing of its name is built in")
	}
	config, tools := m.Get("config"), m.Get("tools").List(-1)
	schema, isBuiltin := schemas[name]
	switch {
	case isBuiltin && len(tools) > 0:
		m.Get("tools").Bad("would take the place of those of the built-in toolset")
	case isBuiltin && !config.Given():
		m.Bad("has no config")
	case isBuiltin:
		object(config, schema)
	case config.Given():
		config.Bad("is used by nothing")
	}
	for _, tool := range tools {
		c.tool(tool, name)
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
