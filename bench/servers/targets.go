package main

import (
	"math"
	"slices"

	"kubernaut.io/dynamic-toolset/bench/internal/comparison"
	"kubernaut.io/dynamic-toolset/bench/internal/server"
	"kubernaut.io/dynamic-toolset/bench/internal/stats"
)

// halfOfSaturation is the share of saturation at which latency has a target.
const halfOfSaturation = 0.5

// memoryTarget is the title of the target for the memory of idle connections.
const memoryTarget = "memory of idle connections"

// setTargets adds the targets, which the project promises, to the result. Measurements that
// the flags have switched off have no target.
func (s *settings) setTargets(r *comparison.Result) {
	perCPUTo := func(to, title, workload, name string, want float64) {
		if to != comparison.Reference && len(rounds(r, to, workload)) == 0 {
			return // it was not measured
		}
		r.Targets = append(r.Targets, target(title+": answers per CPU second", want, false, ratios(
			each(rounds(r, name, workload), comparison.Round.PerCPUSecond),
			each(rounds(r, to, workload), comparison.Round.PerCPUSecond))))
	}
	perCPU := func(title, workload, name string, want float64) {
		perCPUTo(comparison.Reference, title, workload, name, want)
	}
	perCPU("GET by name", comparison.ByName, comparison.Ours, 1.20)
	perCPU("unchanged (304)", comparison.NotModified, comparison.Ours, 1.20)
	perCPU("list of 4 KB", comparison.List4K, comparison.Ours, 0.97)
	perCPU("list of 400 KB", comparison.List400K, comparison.Ours, 0.97)
	perCPU("GET by name, 16 at once", comparison.ByNamePipelined, comparison.Ours, 1.30)
	perCPU("GET by name, new connections", comparison.ByNameNew, comparison.Ours, 1.30)
	perCPUTo(server.Nginx, "GET by name, to nginx", comparison.ByName, comparison.Ours, 1.00)
	perCPUTo(server.Nginx, "list of 4 KB, to nginx", comparison.List4K, comparison.Ours, 1.00)
	perCPUTo(server.Nginx, "list of 400 KB, to nginx", comparison.List400K, comparison.Ours, 1.00)
	perCPUTo(server.Nginx, "GET by name, new connections, to nginx", comparison.ByNameNew, comparison.Ours, 0.85)
	if s.tls {
		perCPUTo(server.Nginx, "GET by name over TLS, to nginx", comparison.ByNameTLS, comparison.Ours, 0.95)
	}
	if s.auth {
		perCPU("GET by name, authenticated", comparison.ByNameAuthenticated, comparison.OursAuthenticated, 1.15)
	}
	if s.latency {
		for _, q := range []struct {
			title string
			of    func(comparison.LatencyRound) float64
		}{
			{"p99", func(l comparison.LatencyRound) float64 { return l.P99 }},
			{"p99.9", func(l comparison.LatencyRound) float64 { return l.P999 }},
		} {
			r.Targets = append(r.Targets, target(q.title+" at half of saturation", 1.1, true,
				ratios(each(latencyRounds(r, comparison.Ours), q.of), each(latencyRounds(r, comparison.Reference), q.of))))
		}
	}
	if s.idle > 0 {
		r.Targets = append(r.Targets, target(memoryTarget, 0.15, true,
			ratios(each(idleRounds(r, comparison.Ours), perConnections), each(idleRounds(r, comparison.Reference), perConnections))))
	}
}

func perConnections(i comparison.IdleRound) float64 { return float64(i.After - i.Before) }

func target(title string, want float64, atMost bool, ratios []float64) comparison.Target {
	t := comparison.Target{Title: title, Want: want, AtMost: atMost, Ratios: ratios}
	if len(ratios) > 0 {
		t.Got, t.Low, t.High = stats.Median(ratios), slices.Min(ratios), slices.Max(ratios)
	}
	return t
}

func each[R any](rounds []R, value func(R) float64) []float64 {
	var all []float64
	for _, r := range rounds {
		all = append(all, value(r))
	}
	return all
}

// ratios divides two figures round by round. It leaves out rounds without a finite ratio.
func ratios(of, to []float64) []float64 {
	var all []float64
	for i := range min(len(of), len(to)) {
		if q := of[i] / to[i]; !math.IsNaN(q) && !math.IsInf(q, 0) {
			all = append(all, q)
		}
	}
	return all
}

func rounds(r *comparison.Result, name, workload string) []comparison.Round {
	for _, t := range r.Throughput {
		if t.Server == name && t.Workload == workload {
			return t.Rounds
		}
	}
	return nil
}

func latencyRounds(r *comparison.Result, name string) []comparison.LatencyRound {
	for _, l := range r.Latency {
		if l.Server == name && l.Share == halfOfSaturation {
			return l.Rounds
		}
	}
	return nil
}

func idleRounds(r *comparison.Result, name string) []comparison.IdleRound {
	for _, i := range r.Idle {
		if i.Server == name {
			return i.Rounds
		}
	}
	return nil
}
