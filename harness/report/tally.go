package report

import (
	"math"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// tally counts requests of one class in one stretch of time.
type tally struct {
	sent, failed int
	latencies    []time.Duration // of those that did not fail
}

func count(by map[record.Class]*tally, q *record.Request) {
	t := by[q.Class]
	if t == nil {
		t = &tally{}
		by[q.Class] = t
	}
	t.sent++
	if q.Failed() {
		t.failed++
		return
	}
	t.latencies = append(t.latencies, q.Latency())
}

// numbers gives the counts in the order of the classes.
func numbers(by map[record.Class]*tally) []ClassNumbers {
	out := make([]ClassNumbers, 0, len(by))
	for class, t := range by {
		slices.Sort(t.latencies)
		out = append(out, ClassNumbers{class, Numbers{
			Sent: t.sent, Failed: t.failed,
			P50: percentile(t.latencies, 0.50),
			P99: percentile(t.latencies, 0.99),
			Max: percentile(t.latencies, 1),
		}})
	}
	slices.SortFunc(out, func(a, b ClassNumbers) int { return compareClasses(a.Class, b.Class) })
	return out
}

// percentile is the nearest-rank one: the smallest value that at least the
// share q of all values doesn't exceed, so always a latency that was measured.
func percentile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}
