package config

import (
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// didYouMean proposes the settings that look most like name; empty if none
// does. With prefix "--" they are written as flags, with "" as environment
// variables, and with any other as the keys of a file.
func (l *loader) didYouMean(prefix, name string) string {
	const enough = 64 // no name of ours is as long
	if len(name) > enough {
		return ""
	}
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	best, nearest := max(2, len(name)/3)+1, ""
	l.flags.VisitAll(func(flag *pflag.Flag) {
		if d := distance(name, flag.Name); d < best {
			best, nearest = d, flag.Name
		}
	})
	switch {
	case nearest == "":
		return "; see --help for those that exist"
	case prefix == "":
		return "; did you mean " + envName(nearest) + "?"
	}
	return "; did you mean " + strings.TrimSpace(prefix) + nearest + "?"
}

// distance is the number of letters to insert, remove, replace or swap with
// their neighbour that turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
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
