package tools

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kubernaut.io/dynamic-toolset/internal/jsonobject"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// arguments reads the arguments of a call. Each of its methods takes the argument of a name;
// the first mistake is kept, and end returns it.
type arguments struct {
	values map[string][]byte
	known  []string
	wrong  error
}

// maxText bounds arguments that are texts, in bytes. A continue token is the longest.
const maxText = 640

func read(object []byte) *arguments {
	a := &arguments{values: map[string][]byte{}}
	for name, value := range jsonobject.Members(object) {
		if _, twice := a.values[string(name)]; twice {
			a.bad("The argument %s is there twice.", quoted(string(name)))
		}
		a.values[string(name)] = value
	}
	return a
}

func (a *arguments) bad(format string, args ...any) {
	if a.wrong == nil {
		a.wrong = refuse(format, args...)
	}
}

// take returns an argument; nil if there is none, or null.
func (a *arguments) take(name string) []byte {
	a.known = append(a.known, name)
	v := a.values[name]
	if jsonobject.Kind(v) == 'n' {
		return nil
	}
	return v
}

func (a *arguments) text(name string) string {
	v := a.take(name)
	if v == nil {
		return ""
	}
	s, ok := jsonobject.Text(v)
	switch {
	case !ok:
		a.bad("The argument %s must be a string.", name)
	case len(s) > maxText:
		a.bad("The argument %s is longer than %d bytes.", name, maxText)
		return ""
	}
	return s
}

// required is text for an argument that must be there.
func (a *arguments) required(name, what string) string {
	s := a.text(name)
	if s == "" {
		a.bad("The argument %s is missing: %s.", name, what)
	}
	return s
}

func (a *arguments) flag(name string) snapshot.Tri {
	switch v := a.take(name); {
	case v == nil:
	case string(v) == "true":
		return snapshot.Yes
	case string(v) == "false":
		return snapshot.No
	default:
		a.bad("The argument %s must be true or false.", name)
	}
	return snapshot.Any
}

func (a *arguments) number(name string, or, most int) int {
	v := a.take(name)
	if v == nil {
		return or
	}
	n, err := strconv.Atoi(string(v))
	if err != nil || n < 1 || n > most {
		a.bad("The argument %s must be an integer between 1 and %d.", name, most)
		return or
	}
	return n
}

// end returns the first mistake, which may be an argument that nobody has taken.
func (a *arguments) end() error {
	var unknown []string
	for name := range a.values {
		if !slices.Contains(a.known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		a.bad("There is no argument %s; there are %s.", quoted(slices.Min(unknown)), strings.Join(a.known, ", "))
	}
	return a.wrong
}

// quoted quotes what an agent has sent, for a sentence.
func quoted(s string) string { return fmt.Sprintf("%q", cut(s, 64)) }
