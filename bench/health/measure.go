package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"kubernaut.io/dynamic-toolset/bench/internal/backends"
	"kubernaut.io/dynamic-toolset/bench/internal/stats"
	"kubernaut.io/dynamic-toolset/bench/internal/sut"
	"kubernaut.io/dynamic-toolset/internal/host"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/health"
)

// A Measurement is what was measured with one mixture of endpoints.
type Measurement struct {
	Well int `json:"well"`
	Slow int `json:"slow"`
	Hang int `json:"hang"`

	// Starts has the number of requests that all endpoints received in each second of the
	// warm-up, including repeated attempts. Steady has those after the warm-up.
	Starts []int `json:"starts_per_second"`
	Steady []int `json:"steady_per_second"`
	// Ticks has the requests of Steady by tenth of a second.
	Ticks []int `json:"steady_per_100ms"`

	// Late is how long after their due time the checks started, after the warm-up, by how
	// the endpoint had behaved until then.
	Late map[health.Class]stats.Summary `json:"late"`
	// Gaps are the times between two requests to the same healthy endpoint after the
	// warm-up. Checked is how many healthy endpoints had a request at all.
	Gaps    stats.Summary `json:"gaps"`
	Checked int           `json:"well_checked"`
	// Wrong counts the checks that reported a healthy endpoint as unhealthy.
	Wrong int `json:"wrong"`

	UnderWay int     `json:"most_under_way"` // requests at once
	Open     int     `json:"most_open"`      // connections at once, as the endpoints see them
	Opened   int     `json:"opened"`         // connections opened after the warm-up
	Files    int     `json:"most_open_files"`
	CPU      float64 `json:"cpu_cores"`
	PeakMB   float64 `json:"peak_memory_mb"`
}

// measure measures once with healthy endpoints only, and once with slow and hanging ones.
func (s *settings) measure(ctx context.Context) (*result, error) {
	r := &result{
		Date: time.Now().UTC().Truncate(time.Second), Host: host.Describe(), Version: sut.Version(ctx), Load: host.Load(),
		Endpoints: s.endpoints, Interval: s.interval.String(), Timeout: s.timeout.String(), Seconds: s.duration.Seconds(),
		Concurrency: s.concurrency, MaxIdle: health.DefaultMaxIdle,
	}
	for _, bad := range []bool{false, true} {
		m, err := s.once(ctx, bad)
		if err != nil {
			return nil, err
		}
		r.Measurements = append(r.Measurements, *m)
	}
	id, err := s.identified(ctx)
	if err != nil {
		return nil, err
	}
	r.Identification = *id
	return r, nil
}

// class returns how endpoint i behaves. The classes are mixed, as in a cluster.
func (s *settings) class(i int, bad bool) backends.Class {
	// The multiplication spreads each class evenly, independently of the order in which
	// the checker spreads the endpoints over the interval.
	percent := float64(i*3779%10_000) / 100
	switch {
	case bad && percent < s.hang:
		return backends.Hang
	case bad && percent < s.hang+s.slow:
		return backends.Slow
	}
	return backends.OK
}

// observer collects what a Checker reports.
type observer struct {
	mu    sync.Mutex
	late  map[health.Class][]time.Duration
	wrong int
}

func (o *observer) started(class health.Class, late time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.late[class] = append(o.late[class], late)
}

func (o *observer) finished(key service.Key, h service.Health) {
	if key.Namespace != string(backends.OK) || h.Healthy {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.wrong++; o.wrong <= 5 {
		say("%s is well, but: %s", key, h.Reason)
	}
}

func (o *observer) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.late = map[health.Class][]time.Duration{}
}

// once measures one mixture of endpoints: with bad, some are slow and some hang.
func (s *settings) once(ctx context.Context, bad bool) (m *Measurement, err error) {
	f, err := backends.Start(s.slowAfter, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	watch := &observer{}
	watch.reset()
	checker, err := health.New(health.Options{
		Interval: s.interval, Timeout: s.timeout, Concurrency: s.concurrency,
		AllowCIDRs: []netip.Prefix{netip.MustParsePrefix(backends.CIDR)},
		OnStart:    watch.started, Report: watch.finished,
	})
	if err != nil {
		return nil, err
	}
	m = &Measurement{}
	for i := range s.endpoints {
		c := s.class(i, bad)
		*map[backends.Class]*int{backends.OK: &m.Well, backends.Slow: &m.Slow, backends.Hang: &m.Hang}[c]++
		checker.Set(service.Key{Namespace: string(c), Name: fmt.Sprint(i)}, service.Probe{Kind: service.ProbeHTTP, URL: f.URL(c, i)})
	}
	say("%d endpoints, %d of them slow, %d hanging: %v from the start, then %v", s.endpoints, m.Slow, m.Hang, s.warmUp, s.duration)
	if err := f.Reset(); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() { checker.Run(running) })
	defer func() { stop(); ended.Wait() }()

	if err := m.watch(ctx, s.warmUp); err != nil {
		return nil, err
	}
	first, err := f.Stats()
	if err != nil {
		return nil, err
	}
	if err := f.Reset(); err != nil {
		return nil, err
	}
	watch.reset()
	before, err := host.Of(os.Getpid())
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := m.watch(ctx, s.duration); err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := host.Of(os.Getpid())
	if err != nil {
		return nil, err
	}
	then, err := f.Stats()
	if err != nil {
		return nil, err
	}
	m.CPU, m.PeakMB = (after.CPU-before.CPU).Seconds()/took.Seconds(), float64(after.Peak)/1e6
	m.sumUp(first, then, watch)
	return m, nil
}

// watch waits for d and records the largest number of open files.
func (m *Measurement) watch(ctx context.Context, d time.Duration) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); {
		select {
		case <-tick.C:
			u, err := host.Of(os.Getpid())
			if err != nil {
				return err
			}
			m.Files = max(m.Files, u.Files)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// sumUp fills in m from what the endpoints received during the warm-up (first) and after
// it (then).
func (m *Measurement) sumUp(first, then backends.Stats, watch *observer) {
	m.Starts = perSecond(ticks(first))
	m.Ticks = ticks(then)
	m.Steady = perSecond(m.Ticks)
	well := then.Classes[backends.OK]
	m.Gaps, m.Checked = stats.Of(well.Gaps), well.Endpoints
	m.UnderWay, m.Open, m.Opened = max(first.MostWaiting, then.MostWaiting), max(first.Most, then.Most), then.Opened
	watch.mu.Lock()
	defer watch.mu.Unlock()
	m.Wrong, m.Late = watch.wrong, map[health.Class]stats.Summary{}
	for class, late := range watch.late {
		m.Late[class] = stats.Of(late)
	}
}

// ticks returns the number of requests in each tick, of all classes together.
func ticks(s backends.Stats) []int {
	var all []int
	for _, c := range s.Classes {
		for i, n := range c.PerTick {
			for len(all) <= i {
				all = append(all, 0)
			}
			all[i] += n
		}
	}
	return all
}

// perSecond adds up ticks to seconds. It drops an incomplete second at the end.
func perSecond(ticks []int) []int {
	seconds := []int{}
	for second := range slices.Chunk(ticks, int(time.Second/backends.Tick)) {
		if len(second) < int(time.Second/backends.Tick) {
			break
		}
		sum := 0
		for _, n := range second {
			sum += n
		}
		seconds = append(seconds, sum)
	}
	return seconds
}
