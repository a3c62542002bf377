package report

import (
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/quantile"
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
			P50: quantile.Of(t.latencies, 0.50),
			P99: quantile.Of(t.latencies, 0.99),
			Max: quantile.Of(t.latencies, 1),
		}})
	}
	slices.SortFunc(out, func(a, b ClassNumbers) int { return compareClasses(a.Class, b.Class) })
	return out
}
