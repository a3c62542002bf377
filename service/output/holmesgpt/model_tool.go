package holmesgpt

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	// toolNames are the names of functions that model APIs accept.
	toolNames = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	// placeholder is the only form of Jinja that a command may have. Other forms might
	// change a quoted value.
	placeholder = regexp.MustCompile(`\{\{ ([a-z][a-z0-9_]*) \}\}`)
)

// tool checks one tool of a toolset (HolmesGPT's YAMLTool).
func (c *checker) tool(n *yaml.Node, path, toolset string) {
	m := c.mapping(n, path, "name", "description", "command", "parameters")
	if m == nil {
		return
	}
	name := c.text(m["name"], path+".name", true)
	if first, taken := c.tools[name]; taken {
		c.bad(path+".name", "%q is a tool of %s already, whose place it would take", name, first)
	}
	c.tools[name] = toolset
	if !toolNames.MatchString(name) {
		c.bad(path+".name", "%q must be 1 to 64 letters, digits, _ and -", name)
	}
	c.text(m["description"], path+".description", true)
	command, ok := c.quoted(m["command"], path+".command", true)
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
			c.bad(path+".command", "has %s outside of a placeholder {{ name }}", mark)
		}
	}
	if strings.ContainsRune(rest, '$') {
		c.bad(path+".command", "has $, which HolmesGPT replaces by environment variables")
	}
	if used["env"] {
		c.bad(path+".command", "has a parameter called env, which HolmesGPT takes for the environment")
	}
	c.parameters(m["parameters"], path+".parameters", used)
}

func (c *checker) parameters(n *yaml.Node, path string, used map[string]bool) {
	var declared map[string]*yaml.Node
	if n != nil {
		declared = c.anyMapping(n, path)
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		if !used[name] {
			c.bad(path, "%s is not in the command", name)
		}
		m := c.mapping(declared[name], path+"."+name, "description", "type", "required")
		c.text(m["description"], path+"."+name+".description", true)
		switch kind := c.text(m["type"], path+"."+name+".type", true); kind {
		case "string", "integer", "number", "boolean":
		default:
			c.bad(path+"."+name+".type", "%q is none of string, integer, number, boolean", kind)
		}
		c.boolean(m["required"], path+"."+name+".required")
	}
	for name := range used {
		if declared[name] == nil {
			c.bad(path, "%s is in the command, but not declared", name)
		}
	}
}
