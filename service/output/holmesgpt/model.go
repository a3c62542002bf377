package holmesgpt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Check returns everything for which HolmesGPT, in any of the supported releases, would
// refuse a document or misread it; nil if there is nothing. Check is stricter than
// HolmesGPT, which ignores unknown fields.
func Check(doc []byte) error {
	c := &checker{tools: map[string]string{}}
	c.document(doc)
	return errors.Join(c.found...)
}

// maxFound is the maximal number of errors.
const maxFound = 50

type checker struct {
	found []error
	tools map[string]string // name of a tool -> its toolset
}

func (c *checker) bad(path, format string, args ...any) {
	if len(c.found) < maxFound {
		c.found = append(c.found, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
	}
}

func (c *checker) document(doc []byte) {
	if !readable(doc) {
		c.bad("document", "has bytes that are not UTF-8, or characters that PyYAML refuses")
		return
	}
	d := yaml.NewDecoder(bytes.NewReader(doc))
	var root, more yaml.Node
	if err := d.Decode(&root); err != nil {
		c.bad("document", "is not YAML: %v", err)
		return
	}
	if err := d.Decode(&more); err != io.EOF {
		c.bad("document", "goes on after its first YAML document")
		return
	}
	top := c.mapping(root.Content[0], "document", "toolsets")
	toolsets := top["toolsets"]
	if toolsets == nil {
		c.bad("document", "has no toolsets")
		return
	}
	if toolsets.Kind != yaml.MappingNode || len(toolsets.Content) == 0 {
		c.bad("toolsets", "must be a mapping that is not empty")
		return
	}
	entries := c.anyMapping(toolsets, "toolsets")
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		c.toolset(name, entries[name])
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
func (c *checker) toolset(name string, n *yaml.Node) {
	path := "toolsets." + name
	m := c.mapping(n, path, "enabled", "description", "config", "tools", "prerequisites", "tags", "docs_url", "icon_url", "installation_instructions")
	if m == nil {
		return
	}
	c.boolean(m["enabled"], path+".enabled")
	c.text(m["description"], path+".description", true)
	for _, field := range []string{"docs_url", "icon_url", "installation_instructions"} {
		c.text(m[field], path+"."+field, false)
	}
	for i, tag := range c.list(m["tags"], path+".tags") {
		if s := c.text(tag, fmt.Sprintf("%s.tags[%d]", path, i), true); s != "core" && s != "cluster" && s != "cli" {
			c.bad(path+".tags", "%q is none of core, cluster, cli", s)
		}
	}
	c.prerequisites(m["prerequisites"], path+".prerequisites")
	if m["tools"] == nil {
		c.bad(path, "has no tools, without which it is invalid where nothing of its name is built in")
	}
	tools := c.list(m["tools"], path+".tools")
	schema, isBuiltin := schemas[name]
	switch {
	case isBuiltin && len(tools) > 0:
		c.bad(path+".tools", "would take the place of those of the built-in toolset")
	case isBuiltin && m["config"] == nil:
		c.bad(path, "has no config")
	case isBuiltin:
		c.object(m["config"], path+".config", schema)
	case m["config"] != nil:
		c.bad(path+".config", "is used by nothing")
	}
	for i, tool := range tools {
		c.tool(tool, fmt.Sprintf("%s.tools[%d]", path, i), name)
	}
}

func (c *checker) prerequisites(n *yaml.Node, path string) {
	for i, p := range c.list(n, path) {
		at := fmt.Sprintf("%s[%d]", path, i)
		m := c.mapping(p, at, "command", "expected_output", "env")
		switch {
		case m["env"] != nil && len(m) == 1:
			for _, name := range c.list(m["env"], at+".env") {
				c.text(name, at+".env", true)
			}
		case m["command"] != nil && m["env"] == nil:
			c.text(m["command"], at+".command", true)
			c.text(m["expected_output"], at+".expected_output", false)
		default:
			c.bad(at, "must be one of env and command")
		}
	}
}

// mapping returns the values of a mapping that may have these fields only.
func (c *checker) mapping(n *yaml.Node, path string, fields ...string) map[string]*yaml.Node {
	m := c.anyMapping(n, path)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(fields, name) {
			c.bad(path, "has no field %q; the fields are %s", name, strings.Join(fields, ", "))
		}
	}
	return m
}

// anyMapping returns the values of a mapping by key; nil if n is not a mapping.
func (c *checker) anyMapping(n *yaml.Node, path string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode || n.Anchor != "" || n.ShortTag() != "!!map" {
		c.bad(path, "must be a mapping without anchor, tag or alias")
		return nil
	}
	m := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case !isKey(k):
			c.bad(path, "has the key %q; keys are letters, digits and _ / -, begin with a letter, and mean nothing else in YAML", k.Value)
		case m[k.Value] != nil:
			c.bad(path, "has the key %q twice", k.Value)
		default:
			m[k.Value] = v
		}
	}
	return m
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

func (c *checker) list(n *yaml.Node, path string) []*yaml.Node {
	switch {
	case n == nil:
		return nil
	case n.Kind != yaml.SequenceNode || n.Anchor != "" || n.ShortTag() != "!!seq":
		c.bad(path, "must be a list without anchor, tag or alias")
		return nil
	}
	return n.Content
}

// text checks a string. It must be in double quotes, since other forms mean different
// things to different readers.
func (c *checker) text(n *yaml.Node, path string, required bool) string {
	s, ok := c.quoted(n, path, required)
	if ok && strings.Contains(s, "{{") {
		c.bad(path, "has {{, which HolmesGPT may replace")
	}
	return s
}

func (c *checker) quoted(n *yaml.Node, path string, required bool) (s string, ok bool) {
	switch {
	case n == nil:
		if required {
			c.bad(path, "is missing")
		}
		return "", false
	case n.Kind != yaml.ScalarNode || n.Style != yaml.DoubleQuotedStyle || n.Anchor != "" || n.Tag != "!!str":
		c.bad(path, "must be a text in double quotes")
		return "", false
	case required && n.Value == "":
		c.bad(path, "is empty")
		return "", false
	}
	return n.Value, true
}

func (c *checker) boolean(n *yaml.Node, path string) {
	if n == nil || n.Kind != yaml.ScalarNode || n.Style != 0 || n.Value != "true" && n.Value != "false" {
		c.bad(path, "must be true or false")
	}
}
