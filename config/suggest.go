package config

import (
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/internal/suggest"
)

// didYouMean proposes the settings that look most like name; empty if none
// does. With prefix "--" they are written as flags, with "" as environment
// variables, and with any other as the keys of a file.
func (l *loader) didYouMean(prefix, name string) string {
	var names []string
	l.flags.VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
	nearest := suggest.Of(strings.ReplaceAll(name, "_", "-"), names)
	switch {
	case len(name) > suggest.Most:
		return ""
	case nearest == "":
		return "; see --help for those that exist"
	case prefix == "":
		return "; did you mean " + envName(nearest) + "?"
	}
	return "; did you mean " + strings.TrimSpace(prefix) + nearest + "?"
}

// quote shows a value in a message: escaped, and not longer than a line.
func quote(value string) string {
	const most = 80
	if len(value) > most {
		return strconv.Quote(value[:most]) + "..."
	}
	return strconv.Quote(value)
}

// cutLong shows a name in a message, which is a name only if it is short.
func cutLong(name string) string {
	q := quote(name)
	if q == `"`+name+`"` {
		return name
	}
	return q
}
