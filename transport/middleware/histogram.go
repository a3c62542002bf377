package middleware

import (
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"
)

// A Histogram counts durations in cumulative buckets, in the form that
// Prometheus queries ("le"). The library's own takes a lock on every update,
// which the lookup path must not do; this one costs two atomic additions.
type Histogram struct {
	name, labels string // labels without braces, may be empty
	bounds       []time.Duration
	buckets      []atomic.Uint64 // one more than bounds: the last is +Inf
	sum          atomic.Int64    // nanoseconds
}

// NewHistogram returns a histogram with these upper bounds of its buckets. Labels are as they
// are within braces, and may be empty.
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

// Write prints the histogram in the Prometheus text format. Buckets and sum
// are read one after the other, as in any lock-free histogram.
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
	fmt.Fprintf(w, "%s_sum%s %g\n", h.name, braced, time.Duration(h.sum.Load()).Seconds()) //nolint:errcheck
	fmt.Fprintf(w, "%s_count%s %d\n", h.name, braced, total)                               //nolint:errcheck
}
