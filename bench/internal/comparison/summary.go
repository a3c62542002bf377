package comparison

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/internal/format"
)

// The summaries are what the table and the charts show: the median, the lowest and the
// highest figure of all rounds.

// A workloadSummary is the throughput of all servers with one workload.
type workloadSummary struct {
	workload Workload
	rows     []throughputSummary
}

type throughputSummary struct {
	server    Server
	perSecond spread // answers per second
	cpu       spread // CPU seconds for a million answers
	ratio     spread // of answers per CPU second to those of the reference
	failed    bool   // whether a request failed in any round
	note      string // see doubts
}

// workloads summarises the throughput, in the order of Result.Workloads.
func (r *Result) workloads() []workloadSummary {
	var all []workloadSummary
	for _, w := range r.workloadsOf(func(yield func(string)) {
		for _, t := range r.Throughput {
			yield(t.Workload)
		}
	}) {
		s := workloadSummary{workload: w}
		var reference []float64
		for _, t := range r.Throughput {
			if t.Workload == w.Name && t.Server == Reference {
				reference = perCPUSecond(t.Rounds)
			}
		}
		for _, t := range r.Throughput {
			if t.Workload != w.Name {
				continue
			}
			perCPU := perCPUSecond(t.Rounds)
			row := throughputSummary{
				server: r.server(t.Server), ratio: spreadOf(ratios(perCPU, reference)),
				failed: slices.ContainsFunc(t.Rounds, func(r Round) bool { return r.Failed > 0 }), note: doubts(t.Rounds),
			}
			perSecond, cpu := make([]float64, len(t.Rounds)), make([]float64, len(t.Rounds))
			for i, one := range t.Rounds {
				perSecond[i], cpu[i] = one.PerSecond(), 1e6/perCPU[i]
			}
			row.perSecond, row.cpu = spreadOf(perSecond), spreadOf(cpu)
			s.rows = append(s.rows, row)
		}
		slices.SortStableFunc(s.rows, func(a, b throughputSummary) int { return r.order(a.server.Name, b.server.Name) })
		all = append(all, s)
	}
	return all
}

func perCPUSecond(rounds []Round) []float64 {
	all := make([]float64, len(rounds))
	for i, r := range rounds {
		all[i] = r.PerCPUSecond()
	}
	return all
}

// doubts returns why the figures of these rounds are less reliable than others, or "".
func doubts(rounds []Round) string {
	failed, requests, in := 0, 0, 0
	var busy []float64
	for _, r := range rounds {
		requests += r.Requests
		busy = append(busy, r.ClientBusy)
		if r.Failed > 0 {
			failed += r.Failed
			in++
		}
	}
	var all []string
	if failed > 0 {
		all = append(all, fmt.Sprintf("FAILED: %s of %s, in %d of %d rounds", format.Grouped(failed), format.Grouped(requests), in, len(rounds)))
	}
	if b := spreadOf(busy).median; b > clientLimit {
		all = append(all, "the client had work "+percent(b)+" of the time: more answers per second than it can take were possible")
	}
	return strings.Join(all, "; ")
}

// clientLimit is the value of Round.ClientBusy above which the client, and not the server,
// may limit the answers per second.
const clientLimit = 0.9

// A latencySummary is the latency of all servers with one workload.
type latencySummary struct {
	workload Workload
	rates    []rateSummary
}

// A rateSummary is the latency of all servers at one rate of requests.
type rateSummary struct {
	rate, share float64 // see Latency
	rows        []latencyRow
	late        float64 // largest median of LatencyRound.ClientLate, in microseconds
}

func (s *rateSummary) title() string {
	title := fmt.Sprintf("%s of saturation, %s/s", percent(s.share), count(s.rate))
	if s.late > 0 {
		title += ", the client's own lateness: p99 " + micros(s.late)
	}
	return title
}

// A latencyRow is the latency of one server at one rate. Times are in microseconds.
type latencyRow struct {
	server         Server
	p50, p99, p999 spread // of the rounds without overload
	busy           spread // server's CPU time, as a share of the window
	answered       spread // share of the requests that were due
	// overload is not empty if the server did not keep up in at least half of the rounds.
	// There are no times then: they would only depend on the length of the window.
	overload string
	note     string // what else is wrong with the figures
}

// overloaded reports whether some requests were neither answered nor failed, because the
// server did not keep up.
func (r LatencyRound) overloaded() bool { return r.Answered+r.Failed < r.Due }

func (r *Result) latencies() []latencySummary {
	var all []latencySummary
	for _, w := range r.workloadsOf(func(yield func(string)) {
		for _, l := range r.Latency {
			yield(l.Workload)
		}
	}) {
		s := latencySummary{workload: w}
		for _, l := range r.Latency {
			if l.Workload != w.Name {
				continue
			}
			i := slices.IndexFunc(s.rates, func(o rateSummary) bool { return o.rate == l.Rate })
			if i < 0 {
				i = len(s.rates)
				s.rates = append(s.rates, rateSummary{rate: l.Rate, share: l.Share})
			}
			var late []float64
			for _, one := range l.Rounds {
				late = append(late, one.ClientLate)
			}
			s.rates[i].late = max(s.rates[i].late, spreadOf(late).median)
			s.rates[i].rows = append(s.rates[i].rows, r.latencyRow(&l))
		}
		slices.SortStableFunc(s.rates, func(a, b rateSummary) int { return cmp.Compare(a.rate, b.rate) })
		for i := range s.rates {
			slices.SortStableFunc(s.rates[i].rows, func(a, b latencyRow) int { return r.order(a.server.Name, b.server.Name) })
		}
		all = append(all, s)
	}
	return all
}

func (r *Result) latencyRow(l *Latency) latencyRow {
	row := latencyRow{server: r.server(l.Server)}
	var p50, p99, p999, busy, answered []float64
	failed, due, overloaded := 0, 0, 0
	for _, one := range l.Rounds {
		failed, due = failed+one.Failed, due+one.Due
		busy = append(busy, one.CPU/r.Window)
		answered = append(answered, float64(one.Answered)/float64(one.Due))
		if one.overloaded() {
			overloaded++
			continue
		}
		p50, p99, p999 = append(p50, one.P50), append(p99, one.P99), append(p999, one.P999)
	}
	row.busy, row.answered = spreadOf(busy), spreadOf(answered)
	switch {
	case overloaded > 0 && 2*overloaded >= len(l.Rounds):
		row.overload = "overload: " + share(row.answered.median) + " of the requests answered"
	default:
		row.p50, row.p99, row.p999 = spreadOf(p50), spreadOf(p99), spreadOf(p999)
		if overloaded > 0 {
			row.note = fmt.Sprintf("without %d of %d rounds, which were an overload", overloaded, len(l.Rounds))
		}
	}
	if failed > 0 {
		if row.note != "" {
			row.note += "; "
		}
		row.note += fmt.Sprintf("FAILED: %s of %s", format.Grouped(failed), format.Grouped(due))
	}
	return row
}

// share writes a share in percent. A share below 1 is never written as 100.0 %.
func share(v float64) string {
	if v < 1 && v >= 0.9995 {
		return "99.9 %"
	}
	return fmt.Sprintf("%.1f %%", 100*v)
}

// An idleSummary is the memory of idle connections of one server, in megabytes (10^6 bytes).
type idleSummary struct {
	server      Server
	connections int
	before      spread // MB without the connections
	per         spread // MB per 10,000 connections
	ratio       spread // to the reference's
}

func (r *Result) idles() []idleSummary {
	var reference []float64
	for _, i := range r.Idle {
		if i.Server == Reference {
			reference = i.perTenThousand()
		}
	}
	all := make([]idleSummary, 0, len(r.Idle))
	for _, i := range r.Idle {
		per := i.perTenThousand()
		before := make([]float64, len(i.Rounds))
		for n, one := range i.Rounds {
			before[n] = float64(one.Before) / 1e6
		}
		all = append(all, idleSummary{r.server(i.Server), i.Connections, spreadOf(before), spreadOf(per), spreadOf(ratios(per, reference))})
	}
	slices.SortStableFunc(all, func(a, b idleSummary) int { return r.order(a.server.Name, b.server.Name) })
	return all
}

func (i *Idle) perTenThousand() []float64 {
	all := make([]float64, len(i.Rounds))
	for n, one := range i.Rounds {
		all[n] = float64(one.After-one.Before) / 1e6 * 10_000 / float64(i.Connections)
	}
	return all
}

// server returns the server of this name. If it is unknown, only Name is set.
func (r *Result) server(name string) Server {
	for _, c := range r.Servers {
		if c.Name == name {
			return c
		}
	}
	return Server{Name: name}
}

// called returns the server's title, or its name if it has none.
func (c Server) called() string { return cmp.Or(c.Title, c.Name, "?") }

// reference returns the title of the reference.
func (r *Result) reference() string { return format.Cut(r.server(Reference).called(), nameWidth) }

// order compares two servers by their places in Result.Servers. Unknown servers come last.
func (r *Result) order(a, b string) int {
	place := func(name string) int {
		if i := slices.IndexFunc(r.Servers, func(c Server) bool { return c.Name == name }); i >= 0 {
			return i
		}
		return len(r.Servers)
	}
	return cmp.Compare(place(a), place(b))
}

// workloadsOf returns the workloads whose names measured yields: those in Result.Workloads
// in their order, and then others, of which only Name is set.
func (r *Result) workloadsOf(measured func(yield func(string))) []Workload {
	names := map[string]bool{}
	var unknown []Workload
	measured(func(name string) {
		if names[name] {
			return
		}
		names[name] = true
		if !slices.ContainsFunc(r.Workloads, func(w Workload) bool { return w.Name == name }) {
			unknown = append(unknown, Workload{Name: name})
		}
	})
	var all []Workload
	for _, w := range r.Workloads {
		if names[w.Name] {
			all = append(all, w)
		}
	}
	return append(all, unknown...)
}

// called returns the workload's title, or its name if it has none.
func (w Workload) called() string { return cmp.Or(w.Title, w.Name, "?") }

// details describes the workload: "status 200, 402 B of body, 690 B in all".
func (w Workload) details() string {
	if w.Status == 0 {
		return ""
	}
	text := fmt.Sprintf("status %d, %s B of body, %s B in all", w.Status, format.Grouped(w.Body), format.Grouped(w.Response))
	if w.Pipelined > 1 {
		text += fmt.Sprintf(", %d requests at once", w.Pipelined)
	}
	if w.NewConnections {
		text += ", each on a new connection"
	}
	return text
}

// heading returns the title with the details.
func (w Workload) heading() string {
	title := format.Cut(w.called(), 60)
	if d := w.details(); d != "" {
		title += " (" + d + ")"
	}
	return title
}

// verdict returns a sentence with the number of targets that were met or missed.
func (r *Result) verdict() string {
	missed := 0
	for _, t := range r.Targets {
		if !t.Met() {
			missed++
		}
	}
	switch {
	case len(r.Targets) == 0:
		return "No targets were judged"
	case missed == 0 && len(r.Targets) == 1:
		return "The one target is met"
	case missed == 0:
		return fmt.Sprintf("All %d targets are met", len(r.Targets))
	}
	return fmt.Sprintf("%d of %d targets MISSED", missed, len(r.Targets))
}

// want returns the target's limit as text.
func (t *Target) want() string {
	if t.AtMost {
		return fmt.Sprintf("<= %.2f", t.Want)
	}
	return fmt.Sprintf(">= %.2f", t.Want)
}

// figures returns as text the target's median ratio, and the lowest and the highest.
func (t *Target) figures() (got, between string) {
	if len(t.Ratios) == 0 {
		return "not measured", ""
	}
	return spread{t.Got, t.Low, t.High, len(t.Ratios)}.text(ratio)
}

func (t *Target) result() string {
	if t.Met() {
		return "ok"
	}
	return "MISSED"
}
