package report

import (
	"math"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// A tally counts the requests of one class in a period.
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

// numbers returns the counts in the order of compareClasses.
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

// percentile returns the nearest-rank percentile: the smallest value that at least the
// share q of all values does not exceed, which is always a measured one.
func percentile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}
