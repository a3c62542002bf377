package comparison

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/internal/format"
)

// A spread is what a figure was in several rounds. That of no round is the zero
// value.
type spread struct {
	median, low, high float64
	rounds            int
}

// spreadOf leaves out what is no number: a ratio to nothing. The median of an even
// count is the mean of the two in the middle.
func spreadOf(values []float64) spread {
	known := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	if len(known) == 0 {
		return spread{}
	}
	slices.Sort(known)
	half := len(known) / 2
	s := spread{median: known[half], low: known[0], high: known[len(known)-1], rounds: len(known)}
	if len(known)%2 == 0 {
		s.median = (known[half-1] + known[half]) / 2
	}
	return s
}

// text writes the median, between the lowest and the highest.
func (s spread) text(number func(float64) string) (median, between string) {
	switch s.rounds {
	case 0:
		return "-", ""
	case 1:
		return number(s.median), ""
	}
	low, high := number(s.low), number(s.high)
	if value, unit, ok := strings.Cut(low, " "); ok && strings.HasSuffix(high, " "+unit) {
		low = value // "46 - 49.5 us"
	}
	return number(s.median), low + " - " + high
}

// ratios divides what two servers had in the same rounds, the windows of which
// followed one another, so that what else the machine did met both alike.
func ratios(of, to []float64) []float64 {
	all := make([]float64, 0, len(of))
	for i := range min(len(of), len(to)) {
		all = append(all, of[i]/to[i])
	}
	return all
}

// The ways to write figures. All are ASCII, and the same in the table and in the charts.

func count(v float64) string {
	if math.Abs(v) >= 1e15 { // more than a float64 or a column can tell
		return fmt.Sprintf("%.2e", v)
	}
	return format.Grouped(int(math.Round(v)))
}

// three writes three digits that matter, so that columns line up.
func three(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95:
		return count(v)
	case a >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case a >= 0.9995:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func ratio(v float64) string { return fmt.Sprintf("%.3f", v) }

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// micros writes microseconds as a duration.
func micros(v float64) string {
	return format.Duration(time.Duration(min(v*float64(time.Microsecond), math.MaxInt64/2)))
}
