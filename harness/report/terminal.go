package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/cause"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/format"
)

const (
	widest    = 80 // longer lines are hard to read
	narrowest = 32
	// maxEvidence bounds the lines of evidence of a failed check. It is above verdict's
	// bound, whose last line says how many more cases there are.
	maxEvidence = 10
	// maxLostLines bounds the table of lost requests.
	maxLostLines = 20
)

// Terminal prints the verdict for people: a sentence, the causes and what to change, the
// checks, the classes, what was lost, and where the reports are. No line but those of a
// command to copy is longer than width, which is forced into 32 to 80 columns; 0 means 80. All of it is ASCII, so that it reads the same in a log.
// Colours add no meaning.
func Terminal(w io.Writer, run *record.Run, s *Summary, width int, colour bool, files ...string) error {
	if width <= 0 {
		width = widest
	}
	p := &printer{width: min(max(width, narrowest), widest), colour: colour}
	style := green
	switch {
	case !s.Passed:
		style = red
	case len(warnings(run)) > 0:
		style = yellow
	}
	p.line("")
	p.wrap(s.Verdict, "", "", style)
	p.line("")
	p.wrap(strings.Join([]string{run.Target.Name, where(run)}, ", "), "", "  ", plain)
	p.line("")
	p.causes(run)
	p.fixed(run, s)
	p.checks(asked(run.Checks))
	p.classes(s)
	p.lost(s)
	for _, note := range run.Notes {
		p.wrap(note, "note: ", "      ", plain)
	}
	if len(run.Notes) > 0 {
		p.line("")
	}
	if len(files) > 0 {
		p.line("reports:")
		for _, f := range files {
			p.line("  " + format.Printable(format.Cut(f, 1000))) // never wrapped, since people copy it
		}
	}
	_, err := w.Write(p.out.Bytes())
	return err
}

// where describes the cluster and the number of replicas.
func where(run *record.Run) string {
	var parts []string
	if run.Target.Replicas > 0 {
		parts = append(parts, plural(run.Target.Replicas, "replica"))
	}
	if run.Cluster.Driver != "" {
		parts = append(parts, "cluster "+run.Cluster.Driver)
	}
	if run.Cluster.Kubernetes != "" {
		parts = append(parts, "Kubernetes "+run.Cluster.Kubernetes)
	}
	if n := len(run.Cluster.Nodes); n > 0 {
		parts = append(parts, plural(n, "node"))
	}
	return strings.Join(parts, ", ")
}

type style string

const (
	plain style = ""
	red   style = "1;31"
	green style = "1;32"
	// yellow is for warnings.
	yellow style = "1;33"
)

type printer struct {
	out    bytes.Buffer
	width  int
	colour bool
}

// causes prints why requests were lost, and what to change.
func (p *printer) causes(run *record.Run) {
	if len(run.Causes) == 0 {
		return
	}
	p.line("why, and what to change:")
	p.line("")
	for i := range run.Causes {
		c := &run.Causes[i]
		const indent = "   "
		p.wrapMarked(fmt.Sprintf("%-3d", i+1), plain, titleOf(c)+": "+lostBy(c), indent)
		for _, e := range c.Evidence {
			p.wrap(e, indent+"- ", indent+"  ", plain)
		}
		if c.InServer != "" {
			p.wrap("in "+serverName(c)+": "+c.InServer, indent+"> ", indent+"  ", plain)
		}
		if c.InKubernetes != "" {
			p.wrap("in "+manifestOf(c)+": "+c.InKubernetes, indent+"> ", indent+"  ", plain)
		}
		if c.InProxy != "" {
			p.wrap("in the proxy's configuration: "+c.InProxy, indent+"> ", indent+"  ", plain)
		}
		p.line("")
	}
	if command := cause.Command(run, cause.Patch(run)); command != "" {
		p.line("what can be changed in the manifest, at once:")
		p.line("")
		for line := range strings.Lines(command) {
			p.line(format.Printable(format.Cut(strings.TrimSuffix(line, "\n"), 1000))) // never wrapped, since people copy it
		}
		p.line("")
	}
}

// serverName returns the name of the server in which something is to be changed.
func serverName(c *record.Cause) string { return cmp.Or(c.Server, "the server") }

func (p *printer) checks(checks []record.Check) {
	const indent = "      "
	for i := range checks {
		c := &checks[i]
		word, st := "FAIL  ", red
		text := c.Name + ": " + c.Measured
		switch c.Result {
		case record.Pass:
			word, st = "ok    ", green
		case record.NotChecked:
			word, st = "-     ", plain
			text = c.Name + ": not checked: " + c.Measured
		case record.Reported:
			word, st = "info  ", plain
		case record.Warning:
			word, st = "warn  ", yellow
			text += " (should be: " + c.Bound + ")"
		default:
			text += " (must be: " + c.Bound + ")"
		}
		p.wrapMarked(word, st, text, indent)
		if st != red && st != yellow {
			continue // evidence is for failures and warnings
		}
		for _, e := range c.Evidence[:min(len(c.Evidence), maxEvidence)] {
			p.wrap(e, indent+"- ", indent+"  ", plain)
		}
		if more := len(c.Evidence) - maxEvidence; more > 0 {
			p.wrap("the other "+plural(more, "line")+" of evidence: report.json", indent+"- ", indent+"  ", plain)
		}
	}
	if len(checks) > 0 {
		p.line("")
	}
}

// classes prints the table of the client classes. If it is too wide, columns on the
// right are left out.
func (p *printer) classes(s *Summary) {
	if len(s.Classes) == 0 {
		return
	}
	rows := [][]string{{"class", "requests", "lost", "p50", "p99", "max", "rate", "asked"}}
	for _, c := range s.Classes {
		row := []string{format.Printable(format.Cut(string(c.Class), 1000)), format.Grouped(c.Sent), format.Grouped(c.Failed), format.Duration(c.P50), format.Duration(c.P99), format.Duration(c.Max), digitsPerSecond(c.Rate), askedRate(c)}
		if c.Class == record.Stream {
			row[3], row[4], row[5] = "-", "-", "-" // how long a stream was held is not a latency
		}
		rows = append(rows, row)
	}
	p.table(rows)
	p.line("")
}

func (p *printer) lost(s *Summary) {
	if s.Failed == 0 {
		return
	}
	rows := [][]string{{"lost as", "requests", "class", "first at"}}
	for _, o := range s.Outcomes[:min(len(s.Outcomes), maxLostLines)] {
		rows = append(rows, []string{format.Printable(format.Cut(string(o.Outcome), 1000)), format.Grouped(o.Count), format.Printable(format.Cut(string(o.Class), 1000)), offset(s.From, o.First)})
	}
	p.table(rows)
	if more := len(s.Outcomes) - maxLostLines; more > 0 {
		p.line("  and " + format.Grouped(more) + " kinds more")
	}
	p.line("")
}

// table prints columns, the first aligned to the left, the others to the right.
func (p *printer) table(rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = format.Cut(cell, 32)
			widths[i] = max(widths[i], len(row[i]))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		fmt.Fprintf(&b, "  %-*s", widths[0], row[0])
		for i := 1; i < len(row) && b.Len()+2+widths[i] <= p.width; i++ {
			fmt.Fprintf(&b, "  %*s", widths[i], row[i])
		}
		line := b.String()
		p.line(line[:min(len(line), p.width)])
	}
}

// wrap prints a text in lines that fit. The first line has one prefix, the others
// another.
func (p *printer) wrap(text, first, rest string, st style) {
	for i, line := range fill(format.Printable(format.Cut(text, 1000)), p.width-max(len(first), len(rest))) {
		prefix := rest
		if i == 0 {
			prefix = first
		}
		p.line(prefix + p.styled(line, st))
	}
}

func (p *printer) wrapMarked(mark string, st style, text, rest string) {
	for i, line := range fill(format.Printable(format.Cut(text, 1000)), p.width-max(len(mark), len(rest))) {
		if i == 0 {
			p.line(p.styled(mark, st) + line)
		} else {
			p.line(rest + line)
		}
	}
}

func (p *printer) styled(text string, st style) string {
	if !p.colour || st == plain {
		return text
	}
	return "\x1b[" + string(st) + "m" + text + "\x1b[0m"
}

func (p *printer) line(s string) {
	p.out.WriteString(strings.TrimRight(s, " "))
	p.out.WriteByte('\n')
}

// fill breaks printable ASCII into lines of at most n characters, at spaces, and within
// words that are longer.
func fill(text string, n int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		for {
			if line == "" && len(word) <= n {
				line = word
				break
			}
			if line != "" && len(line)+1+len(word) <= n {
				line += " " + word
				break
			}
			if line != "" {
				lines = append(lines, line)
				line = ""
				continue
			}
			lines = append(lines, word[:n])
			word = word[n:]
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// askedRate returns the rate that a class was told to send at.
func askedRate(c ClassSummary) string {
	if c.AskedRate <= 0 {
		return "-"
	}
	return digitsPerSecond(c.AskedRate)
}

func digitsPerSecond(rate float64) string {
	if rate < 1 {
		return fmt.Sprintf("%.2f/s", rate)
	}
	return format.Digits(rate) + "/s"
}
