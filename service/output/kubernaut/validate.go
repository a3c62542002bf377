package kubernaut

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service"
)

// ErrNotJSON means that a document is not well-formed JSON (RFC 8259).
var ErrNotJSON = errors.New("the body is not well-formed JSON")

const maxDepth = 64 // of nested arrays and objects

// Validate checks a document as agents load it, {"tools":[TOOL,...]}, or a single tool. In
// addition to what this service writes, a tool may have "enabled" and "metadata", as in
// Kubernaut's documents. Validate returns at most service.MaxInvalid mistakes, or an error
// that wraps ErrNotJSON and says where doc is no longer JSON.
func Validate(doc []byte) ([]service.Invalid, error) {
	if err := wellFormed(doc); err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(doc, &members); err != nil || members == nil {
		return []service.Invalid{{Message: `must be an object: {"tools":[...]} or a single tool {"name":...,"type":...,"endpoint":...}`, Pointer: problem.Body}}, nil
	}
	v := &validator{names: map[service.Key]string{}}
	tools, isDocument := members["tools"]
	if !isDocument {
		v.tool(place{"", problem.Body}, members)
		return v.found, nil
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if name != "tools" {
			v.add(place{"", problem.Body}.member(name), `is unknown here; the document has the one member "tools"`)
		}
	}
	var list []json.RawMessage
	if err := json.Unmarshal(tools, &list); err != nil || list == nil {
		v.add(place{"", problem.Body}.member("tools"), "must be an array of tools")
		return v.found, nil
	}
	for i, raw := range list {
		at := place{fmt.Sprintf("tools[%d]", i), problem.Body.Member("tools").Element(i)}
		var tool map[string]json.RawMessage
		if err := json.Unmarshal(raw, &tool); err != nil || tool == nil {
			v.add(at, "must be an object")
			continue
		}
		v.tool(at, tool)
	}
	return v.found, nil
}

// wellFormed returns an error for the first place where doc is not JSON.
func wellFormed(doc []byte) error {
	if len(bytes.TrimSpace(doc)) == 0 {
		return fmt.Errorf("%w: it is empty; send a toolset document", ErrNotJSON)
	}
	if !utf8.Valid(doc) {
		return fmt.Errorf("%w: it is not UTF-8", ErrNotJSON)
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	for depth := 0; ; {
		t, err := d.Token()
		switch {
		case err == io.EOF:
			if depth > 0 || !json.Valid(doc) {
				return fmt.Errorf("%w: it ends too early or goes on after the document, at byte %d", ErrNotJSON, d.InputOffset())
			}
			return nil
		case err != nil:
			return fmt.Errorf("%w: at byte %d", ErrNotJSON, d.InputOffset())
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxDepth {
				return fmt.Errorf("%w that is accepted: nested deeper than %d levels", ErrNotJSON, maxDepth)
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

type validator struct {
	found []service.Invalid
	names map[service.Key]string // where a name was used first
}

func (v *validator) add(at place, message string) {
	if len(v.found) < service.MaxInvalid {
		v.found = append(v.found, service.Invalid{Field: at.path, Message: message, Pointer: at.pointer})
	}
}

// A place is where a value is in the document.
type place struct {
	path    string // for people
	pointer problem.Pointer
}

func (p place) member(name string) place {
	path := service.FieldName(name)
	if p.path != "" {
		path = p.path + "." + path
	}
	return place{path, p.pointer.Member(name)}
}

// tool checks one tool, the object at the place at.
func (v *validator) tool(at place, m map[string]json.RawMessage) {
	name, hasName := v.text(at, m, "name", true)
	if hasName {
		if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
			v.add(at.member("name"), "must be lower case letters, digits, '-' and '.', beginning and ending with a letter or digit, at most 253 characters")
		}
	}
	if kind, ok := v.text(at, m, "type", true); ok && len(validation.IsDNS1123Label(kind)) > 0 {
		v.add(at.member("type"), "must be lower case letters, digits and '-', at most 63 characters, such as \"prometheus\"")
	}
	if endpoint, ok := v.text(at, m, "endpoint", true); ok {
		if problem := endpointProblem(endpoint); problem != "" {
			v.add(at.member("endpoint"), problem)
		}
	}
	namespace, hasNamespace := v.text(at, m, "namespace", false)
	if hasNamespace && len(validation.IsDNS1123Label(namespace)) > 0 {
		v.add(at.member("namespace"), "must be the name of a namespace: lower case letters, digits and '-', at most 63 characters")
	}
	v.text(at, m, "description", false)
	if raw, ok := m["config"]; ok {
		var config map[string]json.RawMessage
		if json.Unmarshal(raw, &config) != nil {
			v.add(at.member("config"), "must be an object")
		}
	}
	if raw, ok := m["metadata"]; ok {
		var metadata map[string]*string
		if json.Unmarshal(raw, &metadata) != nil || hasNull(metadata) {
			v.add(at.member("metadata"), "must be an object whose values are strings")
		}
	}
	if raw, ok := m["enabled"]; ok {
		var enabled *bool
		if json.Unmarshal(raw, &enabled) != nil || enabled == nil {
			v.add(at.member("enabled"), "must be true or false")
		}
	}
	for _, field := range slices.Sorted(maps.Keys(m)) {
		switch field {
		case "name", "type", "endpoint", "namespace", "description", "config", "metadata", "enabled":
		default:
			v.add(at.member(field), "is unknown; a tool has name, type, endpoint, namespace, description, config, metadata, enabled")
		}
	}
	if hasName {
		key := service.Key{Namespace: namespace, Name: name}
		if first, ok := v.names[key]; ok {
			v.add(at.member("name"), fmt.Sprintf("is used by %s as well; names are unique in a namespace", first))
		} else {
			v.names[key] = at.member("name").path
		}
	}
}

func hasNull(m map[string]*string) bool {
	for _, value := range m {
		if value == nil {
			return true
		}
	}
	return false
}

// text returns a member that must be a string. If there is no usable value, ok is false and
// the mistake recorded.
func (v *validator) text(at place, m map[string]json.RawMessage, field string, required bool) (s string, ok bool) {
	raw, present := m[field]
	if !present {
		if required {
			v.add(at.member(field), "is required")
		}
		return "", false
	}
	var p *string
	if json.Unmarshal(raw, &p) != nil || p == nil {
		v.add(at.member(field), "must be a string")
		return "", false
	}
	if required && strings.TrimSpace(*p) == "" {
		v.add(at.member(field), "must not be empty")
		return "", false
	}
	return *p, true
}

// endpointProblem returns why s can't be the endpoint of a tool; empty if it can.
func endpointProblem(s string) string {
	if len(s) > 2048 {
		return "must be at most 2048 characters"
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return "must be an absolute URL with a host, such as http://prometheus.monitoring.svc.cluster.local:9090"
	case u.User != nil:
		return "must not carry a user name or password; give agents credentials by their environment"
	case u.Fragment != "":
		return "must not have a fragment (#...)"
	}
	switch u.Scheme {
	case "http", "https", "tcp", "grpc", "grpcs":
		return ""
	}
	return "must have the scheme http, https, grpc, grpcs or tcp"
}
