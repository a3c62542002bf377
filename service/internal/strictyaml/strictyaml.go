// Package strictyaml reads YAML that people write, so that a mistake is told and never
// guessed at. It refuses fields that are not known, fields that are given twice, aliases,
// values of another type, and more than one document. It finds all mistakes at once, and
// says of each in which line and field it is, and what to write instead:
//
//	r := &strictyaml.Reader{MaxBytes: 1 << 20}
//	m, _ := r.Read(data).Mapping("name", "ports")
//	name := m.Get("name").Text()
//	for _, port := range m.Get("ports").List(10) {
//		ports = append(ports, port.Number(1, 65535))
//	}
//	if err := r.Err("ports.yaml"); err != nil { // ports.yaml:3: ports[0]: must be a whole number ...
//
// It takes values out of the tree of nodes and does not decode into structs. So an alias
// is never expanded, and nothing is read that lies deeper than the fields that are asked
// for. How deep a document may be the YAML library bounds, at 10,000 levels.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A Reader reads one document, and collects what is wrong with it. The zero value is a
// Reader without bounds.
type Reader struct {
	MaxBytes    int // of the document; 0 for any number
	MaxText     int // bytes of one text; 0 for any number
	MaxProblems int // that are collected; 0 for any number

	problems []Problem
	more     bool // there were more problems than MaxProblems
}

// A Problem is one thing that is wrong with a document.
type Problem struct {
	Line  int    // from 1; 0 if it is in no line
	Field string // where it is, such as "toolsets[2].name"; empty for the document itself
	Text  string // what is wrong and what to write instead; it goes on from the name of the field
}

// Bad adds a problem.
func (r *Reader) Bad(line int, field, format string, args ...any) {
	if r.MaxProblems > 0 && len(r.problems) >= r.MaxProblems {
		r.more = true
		return
	}
	r.problems = append(r.problems, Problem{line, field, fmt.Sprintf(format, args...)})
}

// Problems returns what is wrong with the document, as far as it was read.
func (r *Reader) Problems() []Problem { return r.problems }

// Err returns the problems as an error with a line "file:line: field: text" for each; nil
// if there are none.
func (r *Reader) Err(file string) error {
	var errs []error
	for _, p := range r.problems {
		where := file
		if p.Line > 0 {
			where = fmt.Sprintf("%s:%d", file, p.Line)
		}
		if p.Field != "" {
			where += ": " + p.Field
		}
		errs = append(errs, fmt.Errorf("%s: %s", where, p.Text))
	}
	if r.more {
		errs = append(errs, fmt.Errorf("%s: more errors follow; put these right first", file))
	}
	return errors.Join(errs...)
}

// Read returns the value of the only document in data. It is absent if there is none, or
// if the Reader has a problem with the document as a whole.
func (r *Reader) Read(data []byte) Value {
	root := Value{r: r}
	switch {
	case r.MaxBytes > 0 && len(data) > r.MaxBytes:
		root.Bad("has %d bytes; at most %d are accepted", len(data), r.MaxBytes)
		return root
	case !utf8.Valid(data):
		root.Bad("is not UTF-8")
		return root
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case err == io.EOF:
		return root
	case err != nil:
		root.Bad("is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return root
	}
	if err := d.Decode(&more); err != io.EOF {
		root.line = more.Line
		root.Bad("holds more than one YAML document; put everything into one, and remove the ---")
		return root
	}
	if len(doc.Content) == 1 {
		root.node, root.line = doc.Content[0], doc.Content[0].Line
	}
	return root
}
