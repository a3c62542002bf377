package backends

import (
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// Tick is the length of time of one element of ClassStats.PerTick.
	Tick = 100 * time.Millisecond
	// maxTicks bounds what is recorded after a reset: one hour.
	maxTicks = int(time.Hour / Tick)
)

// A Class says how an endpoint behaves.
type Class string

// The classes of endpoints.
const (
	OK   Class = "ok"   // answers at once
	Slow Class = "slow" // answers after the delay
	Hang Class = "hang" // accepts the request and never answers
)

// ClassStats are the requests to one class of endpoints since the last reset.
type ClassStats struct {
	Requests  int   `json:"requests"`
	Endpoints int   `json:"endpoints"` // with at least one request
	PerTick   []int `json:"per_tick"`  // requests in each Tick since the reset
	// Gaps are the times between two successive requests to the same endpoint.
	Gaps []time.Duration `json:"gaps"`
}

// Stats are the requests to all back ends and their connections since the last reset.
type Stats struct {
	Classes map[Class]ClassStats `json:"classes"`
	Opened  int                  `json:"opened"` // connections opened since the reset
	Open    int                  `json:"open"`   // open connections
	Most    int                  `json:"most"`   // largest Open since the reset
	// Waiting is the number of requests that are not answered yet, MostWaiting the largest
	// since the reset.
	Waiting     int `json:"waiting"`
	MostWaiting int `json:"most_waiting"`
}

// A recorder counts requests and connections.
type recorder struct {
	mu      sync.Mutex
	began   time.Time
	stats   Stats
	classes map[Class]*class
}

type class struct {
	ClassStats
	last map[string]time.Time // time of the last request, by path
}

func newRecorder() *recorder {
	r := &recorder{}
	r.reset()
	return r
}

func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began = time.Now()
	r.stats = Stats{Open: r.stats.Open, Most: r.stats.Open, Waiting: r.stats.Waiting, MostWaiting: r.stats.Waiting}
	r.classes = map[Class]*class{}
	for _, c := range []Class{OK, Slow, Hang} {
		r.classes[c] = &class{last: map[string]time.Time{}}
	}
}

// request records that a request has arrived.
func (r *recorder) request(c Class, path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Waiting++
	r.stats.MostWaiting = max(r.stats.MostWaiting, r.stats.Waiting)
	now, k := time.Now(), r.classes[c]
	k.Requests++
	if i := int(now.Sub(r.began) / Tick); i < maxTicks {
		for len(k.PerTick) <= i {
			k.PerTick = append(k.PerTick, 0)
		}
		k.PerTick[i]++
		if last, ok := k.last[path]; ok {
			k.Gaps = append(k.Gaps, now.Sub(last))
		}
	}
	k.last[path] = now
}

func (r *recorder) answered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Waiting--
}

// connection counts connections. It is the ConnState of an http.Server.
func (r *recorder) connection(_ net.Conn, s http.ConnState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch s {
	case http.StateNew:
		r.stats.Opened++
		r.stats.Open++
		r.stats.Most = max(r.stats.Most, r.stats.Open)
	case http.StateClosed, http.StateHijacked:
		r.stats.Open--
	}
}

// snapshot returns a copy of the statistics.
func (r *recorder) snapshot() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Classes = map[Class]ClassStats{}
	for name, k := range r.classes {
		c := k.ClassStats
		c.Endpoints = len(k.last)
		c.PerTick = append([]int{}, c.PerTick...)
		c.Gaps = append([]time.Duration{}, c.Gaps...)
		s.Classes[name] = c
	}
	return s
}
