// Package stats summarizes what was measured.
package stats

import (
	"encoding/json"
	"math"
	"slices"
	"time"
)

// A Summary is the number of durations, two quantiles and the largest. The zero value
// stands for no durations.
type Summary struct {
	Count         int
	P50, P99, Max time.Duration
}

// Of summarizes samples, which it sorts.
func Of(samples []time.Duration) Summary {
	slices.Sort(samples)
	return Summary{
		Count: len(samples),
		P50:   Quantile(samples, 0.5),
		P99:   Quantile(samples, 0.99),
		Max:   Quantile(samples, 1),
	}
}

// Quantile returns the quantile q (above 0, at most 1) of sorted samples by the nearest
// rank: the smallest sample such that at least the share q of all samples is not larger. It
// returns 0 if there are no samples.
func Quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Median returns the value in the middle of values, or the mean of the two that are. There
// must be one value at least.
func Median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	half := len(v) / 2
	if len(v)%2 == 1 {
		return v[half]
	}
	return (v[half-1] + v[half]) / 2
}

// MarshalJSON writes the durations in milliseconds.
func (s Summary) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Count int     `json:"count"`
		P50   float64 `json:"p50_ms"`
		P99   float64 `json:"p99_ms"`
		Max   float64 `json:"max_ms"`
	}{s.Count, Milliseconds(s.P50), Milliseconds(s.P99), Milliseconds(s.Max)})
}

// Milliseconds returns d in milliseconds, to a thousandth of one.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
