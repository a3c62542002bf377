// Package quantile finds quantiles of measured durations.
package quantile

import (
	"math"
	"time"
)

// Of returns the quantile q (above 0, at most 1) of sorted durations by the nearest rank: the
// smallest duration such that at least the share q of all is not larger, which is always one
// that was measured. It returns 0 if there are none.
func Of(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
