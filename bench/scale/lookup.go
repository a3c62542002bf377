package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/bench/internal/fixtures"
	"kubernaut.io/dynamic-toolset/bench/internal/stats"
	"kubernaut.io/dynamic-toolset/bench/internal/sut"
)

// clients is the number of clients, each of which sends the next request as soon as it has
// its answer.
const clients = 4

// Rate is how many lookups of one kind are answered and how fast.
type Rate struct {
	PerSecond float64       `json:"per_second"` // the median of the rounds
	Latency   stats.Summary `json:"latency"`    // of all rounds together
}

// Comparison compares one kind of lookup with all Services and with 100.
type Comparison struct {
	What  string  `json:"what"`
	Path  string  `json:"path"`
	All   Rate    `json:"all"`
	Small Rate    `json:"small"`
	Ratio float64 `json:"ratio"` // of the lookups per second: all / small
}

// kindsOfLookup returns the lookups to compare. Both services answer them with the same
// bytes, except for times.
func kindsOfLookup(p *fixtures.Plan) []Comparison {
	in := "?namespace=" + fixtures.SmallNamespace
	return []Comparison{
		{What: "by name", Path: "/api/v1/toolsets/" + p.Toolset(1).Name + in},
		{What: "list of one namespace", Path: "/api/v1/toolsets" + in},
	}
}

// compare measures lookups in rounds. In each round it measures one service after the other,
// so that other work on the machine affects both alike.
func (s *settings) compare(ctx context.Context, plan *fixtures.Plan, all, small *sut.Process) ([]Comparison, error) {
	list := kindsOfLookup(plan)
	for i := range list {
		c := &list[i]
		var rates [2][]float64
		var latencies [2][]time.Duration
		for range s.rounds {
			for which, p := range []*sut.Process{all, small} {
				samples, err := lookups(ctx, p.API+c.Path, s.round)
				if err != nil {
					return nil, err
				}
				rates[which] = append(rates[which], float64(len(samples))/s.round.Seconds())
				latencies[which] = append(latencies[which], samples...)
			}
		}
		c.All = Rate{stats.Median(rates[0]), stats.Of(latencies[0])}
		c.Small = Rate{stats.Median(rates[1]), stats.Of(latencies[1])}
		c.Ratio = c.All.PerSecond / c.Small.PerSecond
	}
	return list, nil
}

// lookups requests url for the time d and returns how long each answer took.
func lookups(ctx context.Context, url string, d time.Duration) ([]time.Duration, error) {
	client := &fasthttp.Client{MaxConnsPerHost: clients, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var done sync.WaitGroup
	end := time.Now().Add(d)
	for range clients {
		done.Go(func() {
			var samples []time.Duration
			var body []byte
			for time.Now().Before(end) && ctx.Err() == nil {
				began := time.Now()
				status, b, err := client.Get(body[:0], url)
				if err == nil && status != fasthttp.StatusOK {
					err = fmt.Errorf("%s answered %d: %.200s", url, status, b)
				}
				if err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					return
				}
				body = b
				samples = append(samples, time.Since(began))
			}
			mu.Lock()
			all = append(all, samples...)
			mu.Unlock()
		})
	}
	done.Wait()
	if ctx.Err() != nil {
		failed = context.Cause(ctx)
	}
	return all, failed
}
