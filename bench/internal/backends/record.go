package backends

import (
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// Tick is the width of a bucket of Stats.PerTick.
	Tick = 100 * time.Millisecond
	// maxTicks bounds what is recorded: an hour.
	maxTicks = int(time.Hour / Tick)
)

// A Class is how endpoints behave.
type Class string

// The classes of endpoints.
const (
	OK   Class = "ok"   // answers at once
	Slow Class = "slow" // answers after the delay
	Hang Class = "hang" // takes the request and never answers
)

// ClassStats are what one class of endpoints saw since the last reset.
type ClassStats struct {
	Requests  int   `json:"requests"`
	Endpoints int   `json:"endpoints"` // that were asked at all
	PerTick   []int `json:"per_tick"`  // requests per Tick since the reset
	// Gaps are all the times between two requests to one endpoint.
	Gaps []time.Duration `json:"gaps"`
}

// Stats are what the back ends saw since the last reset.
type Stats struct {
	Classes map[Class]ClassStats `json:"classes"`
	Opened  int                  `json:"opened"` // connections since the reset
	Open    int                  `json:"open"`   // connections now
	Most    int                  `json:"most"`   // most connections at once since the reset
	// Waiting and MostWaiting count requests that are not answered yet.
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
	last map[string]time.Time // the last request by path
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

// request records one that has just come.
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

// connection is a http.Server's ConnState.
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

// snapshot returns the statistics so far; they share nothing that changes.
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
