package detect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits of a rules file, far above what anyone needs. They keep a wrong file from using
// much memory.
const (
	maxFileBytes = 256 << 10
	maxKinds     = 200 // built-in ones included
	maxListItems = 200
	maxTextBytes = 300
	maxErrors    = 100 // nobody reads more
)

// A reader reads values from YAML nodes and collects all mistakes. With nodes instead of
// structs, each error has its line, unknown fields are refused, and aliases are never
// expanded.
type reader struct {
	file string
	errs []error
}

func (r *reader) bad(n *yaml.Node, path, format string, args ...any) {
	if len(r.errs) > maxErrors {
		return
	}
	if len(r.errs) == maxErrors {
		r.errs = append(r.errs, fmt.Errorf("%s: more errors follow; put these right first", r.file))
		return
	}
	where := r.file
	if n != nil && n.Line > 0 {
		where += ":" + strconv.Itoa(n.Line)
	}
	if path != "" {
		where += ": " + path
	}
	r.errs = append(r.errs, fmt.Errorf("%s: %s", where, fmt.Sprintf(format, args...)))
}

func (r *reader) err() error { return errors.Join(r.errs...) }

// document returns the root node of the only document; nil if there is none.
func (r *reader) document(data []byte) *yaml.Node {
	if len(data) > maxFileBytes {
		r.bad(nil, "", "has %d bytes; at most %d are accepted. Remove kinds that you don't need", len(data), maxFileBytes)
		return nil
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case err == io.EOF:
		r.bad(nil, "", `is empty; write "kinds: []" for no rules of your own`)
		return nil
	case err != nil:
		r.bad(nil, "", "is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return nil
	}
	if err := d.Decode(&more); err != io.EOF {
		r.bad(&more, "", "holds more than one YAML document; put all kinds into one list and remove the ---")
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		r.bad(&doc, "", "must be a mapping with the field kinds")
		return nil
	}
	return doc.Content[0]
}

// mapping returns the values of a mapping by field; nil if n is not a mapping.
func (r *reader) mapping(n *yaml.Node, path string, fields ...string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		r.bad(n, path, "must be a mapping with fields of %s, not %s", strings.Join(fields, ", "), describe(n))
		return nil
	}
	m := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case k.Kind != yaml.ScalarNode || !slices.Contains(fields, k.Value):
			r.bad(k, path, "has no field %s; the fields are %s", quoted(k.Value), strings.Join(fields, ", "))
		case m[k.Value] != nil:
			r.bad(k, join(path, k.Value), "is given twice (first in line %d); keep one", m[k.Value].Line)
		default:
			m[k.Value] = v
		}
	}
	return m
}

func (r *reader) list(n *yaml.Node, path string, most int) []*yaml.Node {
	switch {
	case n == nil:
		return nil
	case n.Kind != yaml.SequenceNode:
		r.bad(n, path, "must be a list, such as [a, b], not %s", describe(n))
		return nil
	case len(n.Content) > most:
		r.bad(n, path, "has %d entries; at most %d are accepted", len(n.Content), most)
		return nil
	}
	return n.Content
}

func (r *reader) text(n *yaml.Node, path string) string {
	switch {
	case n == nil:
		return ""
	case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str":
		r.bad(n, path, "must be a text, not %s; put it in quotes if it is meant as a text", describe(n))
	case len(n.Value) > maxTextBytes:
		r.bad(n, path, "has %d bytes; at most %d are accepted", len(n.Value), maxTextBytes)
	case n.Value == "":
		r.bad(n, path, "must not be empty; leave the field out instead")
	case hasControl(n.Value):
		r.bad(n, path, "must not hold control characters or invalid UTF-8")
	default:
		return n.Value
	}
	return ""
}

// texts returns a list of strings for which problem returns an empty string.
func (r *reader) texts(n *yaml.Node, path string, problem func(string) string) []string {
	var out []string
	for i, item := range r.list(n, path, maxListItems) {
		at := fmt.Sprintf("%s[%d]", path, i)
		s := r.text(item, at)
		if s == "" {
			continue
		}
		if p := problem(s); p != "" {
			r.bad(item, at, "%s %s", quoted(s), p)
			continue
		}
		if slices.Contains(out, s) {
			r.bad(item, at, "%s is in the list twice; keep one", quoted(s))
			continue
		}
		out = append(out, s)
	}
	return out
}

func (r *reader) number(n *yaml.Node, path string, least, most int) int32 {
	if n == nil {
		return 0
	}
	v, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil || v < least || v > most {
		r.bad(n, path, "must be a whole number from %d to %d, not %s", least, most, describe(n))
		return 0
	}
	return int32(v) //nolint:gosec // most is at most 65535
}

func (r *reader) boolean(n *yaml.Node, path string) bool {
	if n == nil {
		return false
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
		r.bad(n, path, "must be true or false, not %s", describe(n))
		return false
	}
	return strings.EqualFold(n.Value, "true")
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias (*" + n.Value + "); write the value out, aliases are not accepted"
	}
	if n.ShortTag() == "!!null" {
		return "nothing"
	}
	return quoted(n.Value)
}

func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}
