package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"kubernaut.io/dynamic-toolset/bench/internal/stats"
	"kubernaut.io/dynamic-toolset/service/health"
)

// The budget for 10,000 endpoints every 30 s; see docs/scale.md.
const (
	budgetCores = 0.25
	budgetMB    = 200
	// budgetIdentified is the time for each endpoint in which those that are well are
	// identified: 10,000 in a minute. budgetIdentityCPU is CPU time for each, in
	// milliseconds; an identification is repeated each hour.
	budgetIdentified  = 6 * time.Millisecond
	budgetIdentityCPU = 5.0
	// otherFiles bounds the open files that are not connections to endpoints.
	otherFiles = 32
)

type result struct {
	Date    time.Time `json:"date"`
	Host    string    `json:"machine"`
	Load    float64   `json:"load_average_before"`
	Version string    `json:"version"`

	Endpoints   int     `json:"endpoints"`
	Interval    string  `json:"interval"`
	Timeout     string  `json:"timeout"`
	Seconds     float64 `json:"seconds"`
	Concurrency int     `json:"concurrency"`
	MaxIdle     int     `json:"max_idle_connections"`

	Measurements   []Measurement  `json:"measurements"`
	Identification Identification `json:"identification"`
}

// A check is one part of the budget.
type check struct {
	what, budget, got string
	ok                bool
}

func (r *result) checks() []check {
	var list []check
	for i := range r.Measurements {
		m := &r.Measurements[i]
		name := "all well: "
		if m.Hang+m.Slow > 0 {
			name = "some hang: "
		}
		atMost := func(what string, got, budget int) {
			list = append(list, check{name + what, fmt.Sprintf("<= %d", budget), fmt.Sprint(got), got <= budget})
		}
		atMost("requests under way", m.UnderWay, r.Concurrency)
		// Open files and not m.Open: the endpoints see the end of a connection a little late.
		atMost("open files", m.Files, r.Concurrency+r.MaxIdle+otherFiles)
		atMost("well, not checked", m.Well-m.Checked, 0)
		atMost("well, called unhealthy", m.Wrong, 0)
		list = append(list,
			check{name + "CPU", fmt.Sprintf("<= %.2f cores", budgetCores), fmt.Sprintf("%.3f cores", m.CPU), m.CPU <= budgetCores},
			check{name + "memory", fmt.Sprintf("<= %d MB", budgetMB), fmt.Sprintf("%.0f MB", m.PeakMB), m.PeakMB <= budgetMB})
	}
	id := &r.Identification
	most := time.Duration(r.Endpoints) * budgetIdentified
	return append(list,
		check{"identified: well, not verified", "<= 0", fmt.Sprint(id.Wrong), id.Wrong <= 0},
		check{"identified: those that are well", "<= " + seconds(most), seconds(id.Took), id.Took <= most},
		check{"identified: CPU for each", fmt.Sprintf("<= %.1f ms", budgetIdentityCPU), fmt.Sprintf("%.2f ms", id.PerEach), id.PerEach <= budgetIdentityCPU})
}

// Missed reports whether any part of the budget is exceeded.
func (r *result) Missed() bool {
	return slices.ContainsFunc(r.checks(), func(c check) bool { return !c.ok })
}

// Print writes the results for people.
func (r *result) Print(w io.Writer) {
	fmt.Fprintf(w, "%d endpoints every %s, timeout %s, %d attempts at once; version %s\n%s; load average before: %.1f\n\n",
		r.Endpoints, r.Interval, r.Timeout, r.Concurrency, r.Version, r.Host, r.Load)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range r.checks() {
		verdict := "ok"
		if !c.ok {
			verdict = "EXCEEDED"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", verdict, c.what, c.got, c.budget)
	}
	_ = t.Flush() // an error would be that of standard output, as for Fprintf

	fmt.Fprintln(w)
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns := func(what string, value func(m *Measurement) string) {
		fmt.Fprint(t, what+"\t")
		for i := range r.Measurements {
			fmt.Fprint(t, value(&r.Measurements[i])+"\t")
		}
		fmt.Fprintln(t)
	}
	columns("well, slow, hanging", func(m *Measurement) string { return fmt.Sprintf("%d, %d, %d", m.Well, m.Slow, m.Hang) })
	columns("requests/s during the warm-up, most", func(m *Measurement) string { return fmt.Sprint(slices.Max(append(m.Starts, 0))) })
	columns("requests/s after it, least - most", func(m *Measurement) string { return span(m.Steady) })
	columns("requests per 100 ms, least - most", func(m *Measurement) string { return span(m.Ticks) })
	columns("interval of those that are well, p50", func(m *Measurement) string { return seconds(m.Gaps.P50) })
	columns("p99", func(m *Measurement) string { return seconds(m.Gaps.P99) })
	columns("max", func(m *Measurement) string { return seconds(m.Gaps.Max) })
	columns("their checks' lateness, p50", func(m *Measurement) string { return late(m, health.ClassPrompt).P50.Round(time.Microsecond).String() })
	columns("p99", func(m *Measurement) string { return late(m, health.ClassPrompt).P99.Round(time.Microsecond).String() })
	columns("max", func(m *Measurement) string { return late(m, health.ClassPrompt).Max.Round(time.Microsecond).String() })
	columns("lateness of slow and hanging, p99", func(m *Measurement) string { return late(m, health.ClassSlow).P99.Round(time.Microsecond).String() })
	columns("requests under way, most", func(m *Measurement) string { return fmt.Sprint(m.UnderWay) })
	columns("open connections, most", func(m *Measurement) string { return fmt.Sprint(m.Open) })
	columns("connections opened per second", func(m *Measurement) string { return fmt.Sprintf("%.0f", float64(m.Opened)/r.Seconds) })
	columns("open files, most", func(m *Measurement) string { return fmt.Sprint(m.Files) })
	columns("CPU, cores", func(m *Measurement) string { return fmt.Sprintf("%.3f", m.CPU) })
	columns("memory, MB", func(m *Measurement) string { return fmt.Sprintf("%.0f", m.PeakMB) })
	_ = t.Flush()

	id := &r.Identification
	fmt.Fprintf(w, "\nIdentified %d endpoints (%d slow, %d hanging) in %s, those that are well in %s: %d requests, at most %d at once, %d open files, %.1f s of CPU time.\n",
		r.Endpoints, id.Slow, id.Hang, seconds(id.All), seconds(id.Took), id.Sent, id.MostAt, id.Files, id.CPU)
}

func late(m *Measurement, class health.Class) stats.Summary { return m.Late[class] }

func span(v []int) string {
	if len(v) == 0 {
		return "-"
	}
	return fmt.Sprintf("%d - %d", slices.Min(v), slices.Max(v))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
