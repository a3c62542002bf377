package comparison

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"kubernaut.io/dynamic-toolset/internal/format"
)

// nameWidth bounds the names of the servers, so that lines have at most 120 columns.
const nameWidth = 30

// Print writes the result as tables for a terminal, in ASCII and at most 120 columns wide.
func (r *Result) Print(w io.Writer) {
	p := &printer{}
	p.line("%s", r.verdict())
	for _, line := range r.conditions() {
		p.line("%s", line)
	}
	p.targets(r)
	p.throughput(r)
	p.latency(r)
	p.idle(r)
	if len(r.Missing) > 0 {
		p.heading("NOT MEASURED", "")
		for _, m := range r.Missing {
			p.line("  %s", m)
		}
	}
	_, _ = w.Write(p.out.Bytes()) // w is standard output
}

// conditions describes the machine, the versions and the settings of the run.
func (r *Result) conditions() []string {
	where := fmt.Sprintf("server and client share CPU %d, so the client's work is in the answers per second", r.ServerCPU)
	if r.ServerCPU != r.ClientCPU {
		where = fmt.Sprintf("server on CPU %d, client on CPU %d", r.ServerCPU, r.ClientCPU)
	}
	lines := []string{
		fmt.Sprintf("version %s, %s, load average before: %.1f", r.Version, r.At.UTC().Format("2006-01-02 15:04 UTC"), r.Load),
		r.Host,
		fmt.Sprintf("%s; windows of %s s, %s connections", where, format.Digits(max(r.Window, 0)), format.Grouped(r.Connections)),
	}
	if r.Command != "" {
		lines = append(lines, r.Command)
	}
	return lines
}

type printer struct{ out bytes.Buffer }

func (p *printer) line(layout string, arguments ...any) {
	text := format.Printable(format.Cut(fmt.Sprintf(layout, arguments...), 1000))
	p.out.WriteString(strings.TrimRight(text, " ") + "\n")
}

// heading begins a section of the output. about explains its figures.
func (p *printer) heading(title, about string) {
	p.line("")
	p.line("%s", title)
	if about != "" {
		for line := range strings.Lines(about) {
			p.line("%s", strings.TrimSuffix(line, "\n"))
		}
	}
}

func (p *printer) targets(r *Result) {
	if len(r.Targets) == 0 {
		return
	}
	p.heading("TARGETS", "Ratios to "+r.reference()+": the median of the rounds, the lowest and the highest.")
	var rows []row
	for _, t := range r.Targets {
		got, between := t.figures()
		rows = append(rows, row{cells: []string{fmt.Sprintf("  %-6s  %s", t.result(), format.Cut(t.Title, 60)), got, between}, tail: t.want()})
	}
	p.table(rows)
}

func (p *printer) throughput(r *Result) {
	workloads := r.workloads()
	if len(workloads) == 0 {
		return
	}
	p.heading("THROUGHPUT", "Of clients that ask again as soon as they have their answer. CPU s/million: the server's CPU time for a million\n"+
		"answers. Ratio: answers per CPU second, to those of "+r.reference()+" in the same round.")
	rows := []row{{cells: []string{"", "answers/s", "low - high", "CPU s/million", "low - high", "ratio", "low - high"}}}
	for _, w := range workloads {
		rows = append(rows, row{}, row{note: w.workload.heading()})
		for _, t := range w.rows {
			rows = append(rows, row{cells: append(append(append(name(t.server), cells(t.perSecond, count)...), cells(t.cpu, three)...), cells(t.ratio, ratio)...), note: t.note})
		}
	}
	p.table(rows)
}

func (p *printer) latency(r *Result) {
	for _, l := range r.latencies() {
		p.heading("LATENCY: "+format.Cut(l.workload.called(), 60), "At fixed rates, from when each request was due. CPU: share of the server's CPU that was used. Saturation: that of\n"+
			r.reference()+".")
		rows := []row{{cells: []string{"", "CPU", "p50", "low - high", "p99", "low - high", "p99.9", "low - high"}}}
		for _, rate := range l.rates {
			rows = append(rows, row{}, row{note: rate.title()})
			for _, t := range rate.rows {
				busy, _ := t.busy.text(percent)
				one := row{cells: append(name(t.server), busy), tail: t.overload, note: t.note}
				if t.overload == "" {
					one.cells = append(append(append(one.cells, cells(t.p50, micros)...), cells(t.p99, micros)...), cells(t.p999, micros)...)
				}
				rows = append(rows, one)
			}
		}
		p.table(rows)
	}
}

func (p *printer) idle(r *Result) {
	idles := r.idles()
	if len(idles) == 0 {
		return
	}
	p.heading("MEMORY OF IDLE CONNECTIONS", "MB (10^6 bytes) of the resident set, of connections that were used for one request each.")
	rows := []row{{cells: []string{"", "opened", "MB before", "MB per 10,000", "low - high", "ratio", "low - high"}}}
	for _, i := range idles {
		before, _ := i.before.text(three)
		rows = append(rows, row{cells: append(append(append(name(i.server), format.Grouped(i.connections), before), cells(i.per, three)...), cells(i.ratio, ratio)...)})
	}
	p.table(rows)
}

func name(c Server) []string { return []string{"  " + format.Cut(c.called(), nameWidth)} }

func cells(s spread, number func(float64) string) []string {
	median, between := s.text(number)
	return []string{median, between}
}

// A row is a line of a table. Without cells it is a line with a note, or an empty line.
type row struct {
	cells []string // all but the first are aligned at the right
	tail  string   // follows the cells
	note  string   // on a line of its own below
}

func (p *printer) table(rows []row) {
	var widths []int
	for _, r := range rows {
		for i, cell := range r.cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, r := range rows {
		if len(r.cells) == 0 {
			p.line("%s", r.note)
			continue
		}
		var line strings.Builder
		for i, cell := range r.cells {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line.WriteString(cell + gap)
			} else {
				line.WriteString("  " + gap + cell)
			}
		}
		p.line("%s  %s", line.String(), r.tail)
		if r.note != "" {
			p.line("      %s", r.note)
		}
	}
}
