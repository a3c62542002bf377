package main

import (
	"context"
	"fmt"
	"time"

	"kubernaut.io/dynamic-toolset/bench/internal/client"
	"kubernaut.io/dynamic-toolset/bench/internal/comparison"
	"kubernaut.io/dynamic-toolset/bench/internal/report"
	"kubernaut.io/dynamic-toolset/bench/internal/stats"
)

// shares are the rates at which latency is measured, as shares of the reference's saturation.
var shares = []float64{0.1, 0.25, halfOfSaturation, 0.75, 0.9, 1, 1.1}

// grace is how long after a window to wait for answers. It is enough after a short stall, but
// not for a queue that has grown during the whole window.
const grace = 250 * time.Millisecond

// latencies measures the latency of GET by name in open loops.
func (m *session) latencies(ctx context.Context) error {
	if !m.latency {
		return nil
	}
	saturation := m.saturation()
	if !(saturation > 0) { // or not a number
		return fmt.Errorf("bare fasthttp has not answered once within %v: %w; wait, or use a longer --window", m.window, report.ErrTooBusy)
	}
	say("bare fasthttp answers %.0f requests a second", saturation)
	w := &workloads[0]
	found := map[string][]comparison.LatencyRound{}
	key := func(name string, share float64) string { return fmt.Sprintf("%s %v", name, share) }
	for round := range m.rounds {
		for i, share := range shares {
			say("round %d of %d: latency at %.0f requests a second", round+1, m.rounds, share*saturation)
			// All servers get the same schedule.
			s := client.Schedule{Rate: share * saturation, Seed: m.seed + uint64(round*len(shares)+i), Grace: min(grace, m.window)} // #nosec G115 -- positive
			for _, name := range turns(m.names, round) {
				r, err := m.open(ctx, m.entries[name], w, s)
				if err != nil {
					return err
				}
				found[key(name, share)] = append(found[key(name, share)], r)
			}
		}
	}
	for _, share := range shares {
		for _, name := range m.names {
			m.result.Latency = append(m.result.Latency, comparison.Latency{
				Server: name, Workload: w.name, Rate: share * saturation, Share: share, Rounds: found[key(name, share)],
			})
		}
	}
	return nil
}

// saturation returns how many requests a second the reference can answer. If the client has
// another CPU, these are its answers per second of CPU time: this is right even if other
// programs used some of its CPU.
func (m *session) saturation() float64 {
	of := comparison.Round.PerSecond
	if m.spin {
		of = comparison.Round.PerCPUSecond
	}
	return stats.Median(each(rounds(m.result, comparison.Reference, comparison.ByName), of))
}

// open measures one window of an open loop with one server.
func (m *session) open(ctx context.Context, e *entrant, w *workload, s client.Schedule) (comparison.LatencyRound, error) {
	l, err := client.Open(ctx, m.options(e, w), s)
	switch {
	case err != nil:
		return comparison.LatencyRound{}, fmt.Errorf("%s, %s at %.0f requests a second: %w", e.name, w.name, s.Rate, err)
	case l.Failed > 0:
		return comparison.LatencyRound{}, fmt.Errorf("%s, %s at %.0f requests a second: %d of %d failed; the first: %s", e.name, w.name, s.Rate, l.Failed, l.Due, l.Failure)
	}
	return comparison.LatencyRound{
		Due: l.Due, Answered: l.Answered, Failed: l.Failed,
		P50: microseconds(l.P50), P99: microseconds(l.P99), P999: microseconds(l.P999), Max: microseconds(l.Max),
		CPU: l.CPU.Seconds(), ClientLate: microseconds(l.Late99),
	}, nil
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
