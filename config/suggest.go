package config

import (
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/internal/suggest"
)

// didYouMean suggests the settings with the names most like name, or returns "". prefix
// says how to write them: "--" as flags, "" as environment variables, anything else as
// keys of a file.
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

// quote returns a value for a message: escaped, and cut to the length of a line.
func quote(value string) string {
	const most = 80
	if len(value) > most {
		return strconv.Quote(value[:most]) + "..."
	}
	return strconv.Quote(value)
}

// cutLong cuts a name for a message.
func cutLong(name string) string {
	q := quote(name)
	if q == `"`+name+`"` {
		return name
	}
	return q
}
