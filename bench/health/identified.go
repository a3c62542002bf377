package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"kubernaut.io/dynamic-toolset/bench/internal/backends"
	"kubernaut.io/dynamic-toolset/internal/host"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/identify"
	"kubernaut.io/dynamic-toolset/service/identity"
)

// An Identification is what was measured while all endpoints were asked who they are, with
// three requests each, as most products need: two prove it, one shows the credentials.
type Identification struct {
	Well    int           `json:"well"`
	Slow    int           `json:"slow"`
	Hang    int           `json:"hang"`
	Took    time.Duration `json:"took_ns"`     // until the last of those that are well
	All     time.Duration `json:"all_took_ns"` // until the last of all
	Wrong   int           `json:"wrong"`       // those that are well, and were not verified
	Sent    int           `json:"requests"`
	MostAt  int           `json:"most_under_way"`
	Files   int           `json:"most_open_files"`
	CPU     float64       `json:"cpu_seconds"`
	PerEach float64       `json:"cpu_ms_per_endpoint"`
}

// identified asks all endpoints once, some of which are slow or hang.
func (s *settings) identified(ctx context.Context) (m *Identification, err error) {
	f, err := backends.Start(s.slowAfter, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	m = &Identification{}
	var sent atomic.Int64
	var mu sync.Mutex
	began := time.Now()
	left, well := s.endpoints, 0
	done := make(chan struct{})
	prober, err := identify.New(identify.Options{
		Rules: identity.NewRules([]*identity.Rule{{
			Type: "prometheus", Product: "Prometheus", Use: "/query",
			Proofs: [][]identity.Ask{{{Get: "/info"}, {Get: "/stores"}}},
		}}),
		// The short times of a small run are for health checks.
		Timeout: max(s.timeout, 3*time.Second), AllowCIDRs: []netip.Prefix{netip.MustParsePrefix(backends.CIDR)},
		OnRequest: func(string, string) { sent.Add(1) },
		Report: func(key service.Key, id service.Identity) {
			mu.Lock()
			defer mu.Unlock()
			if key.Namespace == string(backends.OK) {
				if well++; well == m.Well {
					m.Took = time.Since(began)
				}
				if id.Verdict != service.Verified {
					m.Wrong++
				}
			}
			if left--; left == 0 {
				m.All = time.Since(began)
				close(done)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	mu.Lock()
	for i := range s.endpoints {
		c := s.class(i, true)
		*map[backends.Class]*int{backends.OK: &m.Well, backends.Slow: &m.Slow, backends.Hang: &m.Hang}[c]++
		prober.Set(service.Key{Namespace: string(c), Name: fmt.Sprint(i)}, service.Question{Type: "prometheus", URLs: []string{f.URL(c, i)}})
	}
	mu.Unlock()
	say("identifying %d endpoints, %d of them slow, %d hanging", s.endpoints, m.Slow, m.Hang)
	before, err := host.Of(os.Getpid())
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() { prober.Run(running) })
	defer func() { stop(); ended.Wait() }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			u, err := host.Of(os.Getpid())
			if err != nil {
				return nil, err
			}
			m.Files = max(m.Files, u.Files)
			continue
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-done:
		}
		break
	}
	after, err := host.Of(os.Getpid())
	if err != nil {
		return nil, err
	}
	seen, err := f.Stats()
	if err != nil {
		return nil, err
	}
	m.CPU, m.MostAt, m.Sent = (after.CPU - before.CPU).Seconds(), seen.MostWaiting, int(sent.Load())
	m.PerEach = 1000 * m.CPU / float64(s.endpoints)
	return m, nil
}
