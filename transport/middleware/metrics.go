package middleware

import (
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// requestBounds are the histogram buckets of request durations, from a lookup to a
// discovery that is waited for.
var requestBounds = []time.Duration{
	10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond,
	500 * time.Microsecond, time.Millisecond, 5 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond,
	500 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second,
}

// Metrics counts the requests of all ports. All series are known when the service starts:
// nothing that a client sends becomes a label.
type Metrics struct {
	panics *metrics.Counter

	mu     sync.Mutex // guards the list of routes
	routes map[string]*routeMetrics
}

// NewMetrics returns Metrics that are written together with set.
func NewMetrics(set *metrics.Set) *Metrics {
	m := &Metrics{
		panics: set.NewCounter("toolset_handler_panics_total"),
		routes: map[string]*routeMetrics{},
	}
	set.RegisterMetricsWriter(m.write)
	return m
}

// route returns the metrics of the route with this pattern.
func (m *Metrics) route(pattern string) *routeMetrics {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.routes[pattern]
	if r == nil {
		r = &routeMetrics{duration: NewHistogram("toolset_http_request_duration_seconds", "route="+strconv.Quote(pattern), requestBounds)}
		m.routes[pattern] = r
	}
	return r
}

func (m *Metrics) write(w io.Writer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for pattern, r := range m.routes {
		total := false
		for mi := range r.requests {
			for si := range r.requests[mi] {
				if n := r.requests[mi][si].Load(); n > 0 {
					total = true
					fmt.Fprintf(w, "toolset_http_requests_total{route=%q,method=%q,code=\"%d\"} %d\n", pattern, methods[mi], codes[si], n) //nolint:errcheck // the scrape's buffer
				}
			}
		}
		if total {
			r.duration.Write(w)
		}
	}
}

// Methods and status codes with series of their own. Any other method counts as "other",
// so that clients can't create series.
var (
	methods = [...]string{"GET", "HEAD", "POST", "other"}
	codes   = [...]int{200, 202, 204, 304, 400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 429, 431, 500, 503, 505, 0}
	codeAt  = func() (at [600]uint8) {
		for i := range at {
			at[i] = uint8(len(codes) - 1)
		}
		for i, c := range codes {
			at[c] = uint8(i) // #nosec G115 -- a handful
		}
		return at
	}()
)

func methodIndex(method []byte) int {
	switch string(method) {
	case "GET":
		return 0
	case "HEAD":
		return 1
	case "POST":
		return 2
	}
	return 3
}

type routeMetrics struct {
	duration *Histogram
	requests [len(methods)][len(codes)]atomic.Uint64
}

func (r *routeMetrics) observe(method []byte, status int, d time.Duration) {
	if status >= len(codeAt) || status < 0 {
		status = 0
	}
	r.requests[methodIndex(method)][codeAt[status]].Add(1)
	r.duration.Observe(d)
}
