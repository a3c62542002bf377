package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"kubernaut.io/dynamic-toolset/bench/internal/stats"
)

// targets are the upper limits that the service must not exceed.
type targets struct {
	Ready    time.Duration `json:"ready"` // in nanoseconds
	MemoryMB int64         `json:"memory_mb"`
	Visible  time.Duration `json:"visible_p99_ns"`
}

// Memory is the resident memory of the service in megabytes (10^6 bytes).
type Memory struct {
	StartMB  float64 `json:"peak_until_ready"`
	SteadyMB float64 `json:"steady"`  // while nothing changed
	AfterMB  float64 `json:"changed"` // after the changes
	PeakMB   float64 `json:"peak"`    // largest until after the changes
}

type result struct {
	Date       time.Time `json:"date"`
	Host       string    `json:"machine"`
	Version    string    `json:"version"`
	Kubernetes string    `json:"kubernetes"`

	Services int  `json:"services"`
	Toolsets int  `json:"toolsets"`
	Health   bool `json:"health_checks"`
	// Workloads means that there was a Deployment for each Service, and that the service knew.
	Workloads bool    `json:"workload_evidence"`
	Targets   targets `json:"targets"`

	FillSeconds float64      `json:"fill_seconds"`
	Ready       []float64    `json:"ready_seconds"`
	Evidence    []float64    `json:"evidence_seconds,omitempty"` // until all images are known
	SmallReady  float64      `json:"ready_seconds_100_services"`
	StartCPU    float64      `json:"cpu_seconds_until_ready"`
	IdleCPU     float64      `json:"idle_cpu_cores"`
	Files       int          `json:"open_files"`
	Memory      Memory       `json:"memory_mb"`
	Churn       *Churn       `json:"changes"`
	Lookups     []Comparison `json:"lookups"`
}

// A check compares a figure with its target.
type check struct {
	what, target, got string
	ok                bool
}

func (r *result) checks() []check {
	t := r.Targets
	ready := slices.Max(r.Ready)
	list := []check{
		{"ready", "<= " + t.Ready.String(), fmt.Sprintf("%.2f s", ready), ready <= t.Ready.Seconds()},
		{"memory, peak", fmt.Sprintf("<= %d MB", t.MemoryMB), fmt.Sprintf("%.0f MB", r.Memory.PeakMB), r.Memory.PeakMB <= float64(t.MemoryMB)},
	}
	for _, v := range []struct {
		where string
		s     stats.Summary
	}{{"by name", r.Churn.Name}, {"in a list", r.Churn.List}, {"as an event", r.Churn.Stream}} {
		list = append(list, check{"visible " + v.where + ", p99", "<= " + t.Visible.String(), milliseconds(v.s.P99), v.s.P99 <= t.Visible})
	}
	never, failed := r.Churn.NeverHad, r.Churn.Failed
	return append(list,
		check{"changes never visible", "0", fmt.Sprint(never), never == 0},
		check{"lookups failed", "0", fmt.Sprint(failed), failed == 0})
}

// Missed reports whether a target is missed.
func (r *result) Missed() bool {
	return slices.ContainsFunc(r.checks(), func(c check) bool { return !c.ok })
}

// Print writes the results for people.
func (r *result) Print(w io.Writer) {
	health := "with health checks"
	if !r.Health {
		health = "without health checks"
	}
	if r.Workloads {
		health += " and workload evidence"
	}
	fmt.Fprintf(w, "%d Services, %d toolsets, %s; version %s, Kubernetes %s\n%s\n\n", r.Services, r.Toolsets, health, r.Version, r.Kubernetes, r.Host)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range r.checks() {
		verdict := "ok"
		if !c.ok {
			verdict = "MISSED"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", verdict, c.what, c.got, c.target)
	}
	_ = t.Flush() // an error would be that of standard output, as for Fprintf

	c := r.Churn
	fmt.Fprintf(w, "\nready after       %s s (%.2f s with 100 Services); %.1f s of CPU time\n", seconds(r.Ready), r.SmallReady, r.StartCPU)
	if r.Workloads {
		fmt.Fprintf(w, "images known      after %s s\n", seconds(r.Evidence))
	}
	fmt.Fprintf(w, "memory            %.0f MB at most until ready, %.0f MB steady, %.0f MB after the changes, %.0f MB at most\n", r.Memory.StartMB, r.Memory.SteadyMB, r.Memory.AfterMB, r.Memory.PeakMB)
	fmt.Fprintf(w, "CPU               %.2f cores when nothing changes, %.2f at %.0f changes/s\n", r.IdleCPU, c.CPU, c.Rate)
	fmt.Fprintf(w, "filled in         %.0f s\n\n", r.FillSeconds)

	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%d changes\tcount\tp50\tp99\tmax\t\n", c.Changes)
	row := func(what string, s stats.Summary) {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t\n", what, s.Count, milliseconds(s.P50), milliseconds(s.P99), milliseconds(s.Max))
	}
	row("the API server's answer", c.API)
	row("told to a plain watch", c.Watch)
	row("visible by name", c.Name)
	for _, kind := range []changeKind{annotate, rePort, add, remove, reimage} {
		if s, ok := c.Kinds[kind]; ok {
			row("  "+string(kind), s)
		}
	}
	row("visible in a list", c.List)
	if s, ok := c.Kinds[relabel]; ok {
		row("  "+string(relabel), s)
	}
	row("visible as an event", c.Stream)
	row("lookups meanwhile", c.Lookup)
	_ = t.Flush()

	fmt.Fprintln(w)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "lookups\tall: per second\tp50\tp99\t100: per second\tp50\tp99\tratio\t\n")
	for _, l := range r.Lookups {
		fmt.Fprintf(t, "%s\t%.0f\t%s\t%s\t%.0f\t%s\t%s\t%.2f\t\n", l.What,
			l.All.PerSecond, milliseconds(l.All.Latency.P50), milliseconds(l.All.Latency.P99),
			l.Small.PerSecond, milliseconds(l.Small.Latency.P50), milliseconds(l.Small.Latency.P99), l.Ratio)
	}
	_ = t.Flush()
}

func seconds(all []float64) string {
	text := ""
	for i, s := range all {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%.2f", s)
	}
	return text
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f ms", stats.Milliseconds(d)) }
