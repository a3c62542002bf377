// Package stats summarizes what was measured.
package stats

import (
	"encoding/json"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/internal/quantile"
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
		P50:   quantile.Of(samples, 0.5),
		P99:   quantile.Of(samples, 0.99),
		Max:   quantile.Of(samples, 1),
	}
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
