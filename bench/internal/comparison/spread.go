package comparison

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/bench/internal/stats"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// A spread summarises a figure that was measured in several rounds. The zero value stands
// for no rounds.
type spread struct {
	median, low, high float64
	rounds            int
}

// spreadOf returns the spread of values. It leaves out NaN and infinite values, which are
// ratios to 0. The median of an even number of values is the mean of the two in the middle.
func spreadOf(values []float64) spread {
	known := slices.DeleteFunc(slices.Clone(values), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	if len(known) == 0 {
		return spread{}
	}
	return spread{median: stats.Median(known), low: slices.Min(known), high: slices.Max(known), rounds: len(known)}
}

// text formats the median, and the lowest and the highest value as "low - high", which is
// empty unless there are several rounds.
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

// ratios divides the figures of two servers round by round. In a round their windows followed
// one another, so that other work on the machine affects both alike.
func ratios(of, to []float64) []float64 {
	all := make([]float64, 0, len(of))
	for i := range min(len(of), len(to)) {
		all = append(all, of[i]/to[i])
	}
	return all
}

// The functions below format figures, in ASCII, for the table and the charts.

func count(v float64) string {
	if math.Abs(v) >= 1e15 { // too large for the precision of a float64 and for a column
		return fmt.Sprintf("%.2e", v)
	}
	return format.Grouped(int(math.Round(v)))
}

// three writes at least three significant digits, and no more decimals than needed for them.
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
