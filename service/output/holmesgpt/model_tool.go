package holmesgpt

import (
	"regexp"
	"strings"

	"kubernaut.io/dynamic-toolset/service/internal/strictyaml"
)

var (
	// toolNames are the names of functions that model APIs accept.
	toolNames = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	// placeholder is the only form of Jinja that a command may have. Other forms might
	// change a quoted value.
	placeholder = regexp.MustCompile(`\{\{ ([a-z][a-z0-9_]*) \}\}`)
)

// tool checks one tool of a toolset (HolmesGPT's YAMLTool).
func (c checker) tool(v strictyaml.Value, toolset string) {
	m, ok := v.Mapping("name", "description", "command", "parameters")
	if !ok {
		return
	}
	name := literal(m.Get("name"), true)
	if first, taken := c.tools[name]; taken {
		m.Get("name").Bad("%q is a tool of %s already, whose place it would take", name, first)
	}
	c.tools[name] = toolset
	if !toolNames.MatchString(name) {
		m.Get("name").Bad("%q must be 1 to 64 letters, digits, _ and -", name)
	}
	literal(m.Get("description"), true)
	line := m.Get("command")
	command, ok := quoted(line, true)
	if !ok {
		return
	}
	used := map[string]bool{}
	for _, p := range placeholder.FindAllStringSubmatch(command, -1) {
		used[p[1]] = true
	}
	rest := placeholder.ReplaceAllString(command, "")
	for _, mark := range []string{"{{", "}}", "{%", "%}", "{#", "#}"} {
		if strings.Contains(rest, mark) {
			line.Bad("has %s outside of a placeholder {{ name }}", mark)
		}
	}
	if strings.ContainsRune(rest, '$') {
		line.Bad("has $, which HolmesGPT replaces by environment variables")
	}
	if used["env"] {
		line.Bad("has a parameter called env, which HolmesGPT takes for the environment")
	}
	parameters(m.Get("parameters"), used)
}

func parameters(v strictyaml.Value, used map[string]bool) {
	var declared strictyaml.Mapping
	if v.Given() {
		declared, _ = keyed(v)
	}
	for _, name := range declared.Keys() {
		if !used[name] {
			v.Bad("%s is not in the command", name)
		}
		m, ok := declared.Get(name).Mapping("description", "type", "required")
		if !ok {
			continue
		}
		literal(m.Get("description"), true)
		switch kind := literal(m.Get("type"), true); kind {
		case "string", "integer", "number", "boolean":
		default:
			m.Get("type").Bad("%q is none of string, integer, number, boolean", kind)
		}
		boolean(m.Get("required"))
	}
	for name := range used {
		if !declared.Has(name) {
			v.Bad("%s is in the command, but not declared", name)
		}
	}
}
