package transport

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"
)

// serverMetrics registers the series whose values are read at each scrape.
func (s *Server) serverMetrics() {
	s.set.NewGauge("toolset_in_flight_requests", func() float64 {
		_, inFlight := s.count()
		return float64(inFlight)
	})
	s.set.NewGauge("toolset_open_connections", func() float64 {
		open, _ := s.count()
		return float64(open)
	})
	s.set.NewGauge("toolset_watchers", func() float64 { return float64(s.api.Watchers()) })
	s.set.NewGauge("toolset_rejected_connections_total", func() float64 {
		if l := s.apiPort.listener; l != nil {
			return float64(l.Rejected())
		}
		return 0
	})
	s.set.NewGauge("toolset_ready", func() float64 {
		if s.api.IsReady() {
			return 1
		}
		return 0
	})
	s.set.NewGauge("toolset_kubernetes_unreachable_seconds", func() float64 {
		since := s.api.StaleSince()
		if since.IsZero() {
			return 0
		}
		return time.Since(since).Seconds()
	})
	s.set.NewGauge("toolset_snapshot_age_seconds", func() float64 {
		if snap := s.opts.Catalogue.Snapshot(); snap != nil {
			return time.Since(snap.BuiltAt).Seconds()
		}
		return 0
	})
	s.set.RegisterMetricsWriter(func(w io.Writer) {
		s.shutdownH.Write(w)
		snap := s.opts.Catalogue.Snapshot()
		if snap == nil {
			return
		}
		type count struct {
			kind string
			n    int
		}
		var counts []count
		for kind, n := range snap.CountByType() {
			counts = append(counts, count{kind, n})
		}
		slices.SortFunc(counts, func(a, b count) int { return cmp.Compare(a.kind, b.kind) })
		for _, c := range counts {
			fmt.Fprintf(w, "toolset_services_discovered{service_type=%q} %d\n", c.kind, c.n) //nolint:errcheck // the scrape's buffer
		}
	})
}

// count returns the numbers of open connections and of requests in flight on the API
// port.
func (s *Server) count() (open, inFlight int) {
	if s.apiPort.listener == nil {
		return 0, 0
	}
	return s.apiPort.listener.Count()
}
