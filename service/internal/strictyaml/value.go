package strictyaml

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"kubernaut.io/dynamic-toolset/internal/suggest"
	"kubernaut.io/dynamic-toolset/service/endpoint"
)

// A Value is a value in a document, or the place of one that is absent. Its methods give
// what it is, and the Reader a problem if it is something else; then, and if it is absent,
// they give a zero value.
type Value struct {
	r     *Reader
	node  *yaml.Node // nil if it is absent
	line  int        // of the mapping around it, if it is absent
	field string
}

// Given reports whether the document has the value.
func (v Value) Given() bool { return v.node != nil }

// Line returns the line that the value begins in; if it is absent, the line of the mapping
// that it is not in.
func (v Value) Line() int { return v.line }

// Field returns where the value is, such as "toolsets[2].name".
func (v Value) Field() string { return v.field }

// Node returns the value as the YAML library has it; nil if it is absent.
func (v Value) Node() *yaml.Node { return v.node }

// Bad adds a problem with the value.
func (v Value) Bad(format string, args ...any) { v.r.Bad(v.line, v.field, format, args...) }

// A Mapping is a Value that is a mapping.
type Mapping struct {
	Value
	values map[string]*yaml.Node
}

// Mapping returns the value as a mapping that has no other fields than these; false if it
// is none.
func (v Value) Mapping(fields ...string) (Mapping, bool) {
	if !v.is(yaml.MappingNode, "!!map") {
		v.Bad("must be a mapping with fields of %s, not %s", strings.Join(fields, ", "), v.describe())
		return Mapping{}, false
	}
	return v.mapping(func(key *yaml.Node) string {
		if key.Kind != yaml.ScalarNode {
			return Unknown("", fields)
		}
		return Unknown(key.Value, fields)
	}), true
}

// Unknown returns what is wrong with a field of this name, where these are known; empty if
// it is one of them.
func Unknown(name string, fields []string) string {
	switch {
	case slices.Contains(fields, name):
		return ""
	case suggest.Of(name, fields) != "":
		return "is unknown; did you mean " + suggest.Of(name, fields) + "?"
	}
	return "is unknown; the fields are " + strings.Join(fields, ", ")
}

// MappingOf returns the value as a mapping with any keys for which problem returns
// nothing; false if it is none. An absent value is none.
func (v Value) MappingOf(problem func(key *yaml.Node) string) (Mapping, bool) {
	if !v.is(yaml.MappingNode, "!!map") {
		v.Bad("must be a mapping, not %s", v.describe())
		return Mapping{}, false
	}
	return v.mapping(problem), true
}

// MappingOfNames is MappingOf for keys that are texts.
func (v Value) MappingOfNames(problem func(name string) string) (Mapping, bool) {
	return v.MappingOf(func(key *yaml.Node) string {
		if key.Kind != yaml.ScalarNode {
			return "must be a text"
		}
		return problem(key.Value)
	})
}

func (v Value) mapping(problem func(key *yaml.Node) string) Mapping {
	m := Mapping{v, make(map[string]*yaml.Node, len(v.node.Content)/2)}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := v.node.Content[i]
		if p := problem(key); p != "" {
			v.r.Bad(key.Line, join(v.field, printable(key.Value)), "%s", p)
		} else if first := m.values[key.Value]; first != nil {
			v.r.Bad(key.Line, join(v.field, printable(key.Value)), "is given twice (first in line %d); keep one", first.Line)
		} else {
			m.values[key.Value] = v.node.Content[i+1]
		}
	}
	return m
}

// Get returns the value of a field.
func (m Mapping) Get(field string) Value {
	v := Value{r: m.r, node: m.values[field], line: m.line, field: join(m.field, field)}
	if v.node != nil {
		v.line = v.node.Line
	}
	return v
}

// Has reports whether the mapping has a field.
func (m Mapping) Has(field string) bool { return m.values[field] != nil }

// Len returns the number of fields.
func (m Mapping) Len() int { return len(m.values) }

// Keys returns the names of the fields, sorted.
func (m Mapping) Keys() []string { return slices.Sorted(maps.Keys(m.values)) }

// Called returns m with its name, such as "kinds[3] (grafana)", in all problems to come.
func (m Mapping) Called(name string) Mapping {
	m.field += " (" + name + ")"
	return m
}

// List returns the entries of a list of at most so many; -1 for any number.
func (v Value) List(most int) []Value {
	switch {
	case v.node == nil:
		return nil
	case !v.is(yaml.SequenceNode, "!!seq"):
		v.Bad("must be a list, such as [a, b] or lines that begin with -, not %s", v.describe())
		return nil
	case most >= 0 && len(v.node.Content) > most:
		v.Bad("has %d entries; at most %d are accepted", len(v.node.Content), most)
		return nil
	}
	all := make([]Value, len(v.node.Content))
	for i, n := range v.node.Content {
		all[i] = Value{r: v.r, node: n, line: n.Line, field: v.field + "[" + strconv.Itoa(i) + "]"}
	}
	return all
}

// Text returns one line of text.
func (v Value) Text() string {
	switch {
	case v.node == nil:
	case v.node.Kind != yaml.ScalarNode:
		v.Bad("must be a text, not %s", v.describe())
	case v.node.ShortTag() != "!!str":
		v.Bad("must be a text, not %s; put it in quotes if it is meant as one", v.describe())
	case v.r.MaxText > 0 && len(v.node.Value) > v.r.MaxText:
		v.Bad("has %d bytes; at most %d are accepted", len(v.node.Value), v.r.MaxText)
	case strings.TrimSpace(v.node.Value) == "":
		v.Bad("must not be empty; leave the field out instead")
	case !endpoint.IsLine(v.node.Value):
		v.Bad("must be one line, without control characters")
	default:
		return v.node.Value
	}
	return ""
}

// IsMapping reports whether the value is a mapping.
func (v Value) IsMapping() bool { return v.is(yaml.MappingNode, "!!map") }

// IsEmptyText reports whether the value is a text of no characters.
func (v Value) IsEmptyText() bool { return v.is(yaml.ScalarNode, "!!str") && v.node.Value == "" }

// Texts returns a list of at most so many different texts, for each of which problem
// returns nothing.
func (v Value) Texts(most int, problem func(string) string) []string {
	var all []string
	for _, item := range v.List(most) {
		s := item.Text()
		if s == "" {
			continue
		}
		if p := problem(s); p != "" {
			item.Bad("%s %s", Quote(s), p)
		} else if slices.Contains(all, s) {
			item.Bad("%s is in the list twice; keep one", Quote(s))
		} else {
			all = append(all, s)
		}
	}
	return all
}

// Number returns a whole number between two, both included.
func (v Value) Number(least, most int32) int32 {
	if v.node == nil {
		return 0
	}
	n, err := strconv.ParseInt(v.node.Value, 10, 32)
	if !v.is(yaml.ScalarNode, "!!int") || err != nil || n < int64(least) || n > int64(most) {
		v.Bad("must be a whole number from %d to %d, not %s", least, most, v.describe())
		return 0
	}
	return int32(n)
}

// Bool returns true or false; nil for neither.
func (v Value) Bool() *bool {
	switch {
	case v.node == nil:
		return nil
	case !v.is(yaml.ScalarNode, "!!bool"):
		v.Bad("must be true or false, not %s", v.describe())
		return nil
	}
	b := strings.EqualFold(v.node.Value, "true")
	return &b
}

// IsTrue is Bool for a value that is false by default.
func (v Value) IsTrue() bool {
	b := v.Bool()
	return b != nil && *b
}

func (v Value) is(kind yaml.Kind, tag string) bool {
	return v.node != nil && v.node.Kind == kind && v.node.ShortTag() == tag
}

// describe says what the value is, for a message about what it should be.
func (v Value) describe() string {
	switch {
	case v.node == nil || v.is(yaml.ScalarNode, "!!null"):
		return "nothing"
	case v.node.Kind == yaml.AliasNode:
		return "an alias (*" + printable(v.node.Value) + "); write the value out, aliases are not accepted"
	case v.is(yaml.MappingNode, "!!map"):
		return "a mapping"
	case v.is(yaml.SequenceNode, "!!seq"):
		return "a list"
	case v.node.Kind != yaml.ScalarNode:
		return "a value with the tag " + printable(v.node.ShortTag())
	}
	return Quote(v.node.Value)
}

// Quote returns s in quotes as part of a message: cut if it is long, and with everything
// escaped that could confuse a terminal or a log.
func Quote(s string) string { return strconv.Quote(cut(s, 80)) }

// printable is Quote for the names of fields, without the quotes.
func printable(name string) string {
	name = cut(name, 64)
	if name == "" {
		return `""`
	}
	if strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) {
		quoted := strconv.Quote(name)
		return quoted[1 : len(quoted)-1]
	}
	return name
}

func cut(s string, most int) string {
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.ToValidUTF8(s, "")
}

func join(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}
