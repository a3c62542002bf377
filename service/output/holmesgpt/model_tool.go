package holmesgpt

import (
	"regexp"
	"strings"

	"kubernaut.io/dynamic-toolset/service/internal/strictyaml"
)

var (
	// toolNames are the names of functions that model APIs accept.
	toolNames = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	// These are the only forms of Jinja that a command may have: a parameter, and a part that
	// is left out without one. Other forms might change a quoted value.
	conditional = regexp.MustCompile(`\{% if ([a-z][a-z0-9_]*) and ([a-z][a-z0-9_]*) != 'None' %\}([^%]*)\{% endif %\}`)
	placeholder = regexp.MustCompile(`\{\{ ([a-z][a-z0-9_]*) \}\}`)
)

// tool checks one tool of a toolset (HolmesGPT's YAMLTool).
func (c checker) tool(v strictyaml.Value, toolset string) {
	m, ok := v.Mapping("name", "description", "command", "parameters")
	if !ok {
		return
	}
	c.name(m.Get("name"), literal(m.Get("name"), true), toolset)
	literal(m.Get("description"), true)
	line := m.Get("command")
	command, ok := quoted(line, true)
	if !ok {
		return
	}
	used, may := map[string]bool{}, map[string]bool{}
	command = conditional.ReplaceAllStringFunc(command, func(part string) string {
		p := conditional.FindStringSubmatch(part)
		if p[1] != p[2] {
			return part // which the marks below refuse
		}
		may[p[1]] = true
		return p[3]
	})
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
	parameters(m.Get("parameters"), used, may)
}

// parameters checks the parameters of a tool. used are those in its command, may those that
// it does without.
func parameters(v strictyaml.Value, used, may map[string]bool) {
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
		if required := plain(m.Get("required")); may[name] != (required == "false") {
			m.Get("required").Bad("is %s, but the command says the other", required)
		}
	}
	for name := range used {
		if !declared.Has(name) {
			v.Bad("%s is in the command, but not declared", name)
		}
	}
}
