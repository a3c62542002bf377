package middleware

import (
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"
)

// A Histogram counts durations in cumulative buckets, in the form of Prometheus ("le").
// The library's histogram takes a lock for every update, which the lookup path must not
// do. This one takes two atomic additions.
type Histogram struct {
	name, labels string // without braces; labels may be empty
	bounds       []time.Duration
	buckets      []atomic.Uint64 // one more than bounds: the last is +Inf
	sum          atomic.Int64    // nanoseconds
}

// NewHistogram returns a histogram whose buckets have these upper bounds, in ascending
// order. labels are in the form they have within braces, and may be empty.
func NewHistogram(name, labels string, bounds []time.Duration) *Histogram {
	return &Histogram{name: name, labels: labels, bounds: bounds, buckets: make([]atomic.Uint64, len(bounds)+1)}
}

// Observe counts d.
func (h *Histogram) Observe(d time.Duration) {
	i := 0
	for i < len(h.bounds) && d > h.bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(int64(d))
}

// Write writes the histogram in the Prometheus text format. It reads buckets and sum one
// after the other, so they may differ by observations in between.
func (h *Histogram) Write(w io.Writer) {
	sep := ""
	if h.labels != "" {
		sep = ","
	}
	var total uint64
	for i := range h.buckets {
		le := "+Inf"
		if i < len(h.bounds) {
			le = strconv.FormatFloat(h.bounds[i].Seconds(), 'g', -1, 64)
		}
		total += h.buckets[i].Load()
		fmt.Fprintf(w, "%s_bucket{%s%sle=%q} %d\n", h.name, h.labels, sep, le, total) //nolint:errcheck // the scrape's buffer
	}
	braced := ""
	if h.labels != "" {
		braced = "{" + h.labels + "}"
	}
	fmt.Fprintf(w, "%s_sum%s %g\n", h.name, braced, time.Duration(h.sum.Load()).Seconds()) //nolint:errcheck // the scrape's buffer
	fmt.Fprintf(w, "%s_count%s %d\n", h.name, braced, total)                               //nolint:errcheck // the scrape's buffer
}
