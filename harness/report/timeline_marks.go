package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/chart"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// maxMarks bounds the lost requests that are drawn, so that browsers show the page
// without delay.
const maxMarks = 2_000

// markShapes defines the marks. Each has its own shape and height, so that they can be
// told apart without colour, and at the same moment.
func markShapes(d *chart.SVG) {
	d.Open("defs")
	d.Open("pattern", "id", "hatch", "width", 6, "height", 6, "patternUnits", "userSpaceOnUse", "patternTransform", "rotate(45)")
	d.Leaf("rect", "width", 6, "height", 6, "class", "hatchpaper")
	d.Leaf("rect", "width", 2.5, "height", 6, "class", "hatchline")
	d.Close("pattern")
	d.Leaf("path", "id", "m-lost", "d", "M-3.5-3.5L3.5 3.5M-3.5 3.5L3.5-3.5")
	d.Leaf("path", "id", "m-term", "d", "M-4-11.5H4L0-5Z")
	d.Leaf("path", "id", "m-prestop", "d", "M-4-11.5H4V-9.5H1V-5H-1V-9.5H-4Z")
	d.Leaf("path", "id", "m-endpoint", "d", "M-4 11.5H4L0 5Z")
	d.Leaf("path", "id", "m-exit", "d", "M-1.25-8H1.25V8H-1.25Z")
	d.Leaf("circle", "id", "m-readiness", "r", 3.2)
	d.Leaf("rect", "id", "m-liveness", "x", -3, "y", -3, "width", 6, "height", 6)
	d.Close("defs")
}

// mark draws a shape with a tooltip.
func (t *timeline) mark(shape, class string, x, y float64, tip string) {
	t.Titled("use", tip, "href", "#m-"+shape, "class", class, "x", x, "y", y)
}

// podMarks draws the events at the end of a pod's life.
func (t *timeline) podMarks(p *record.Pod, y float64) {
	from := t.s.From
	term := p.TermBegan()
	for _, c := range probeChanges(p.Probes) {
		text := fmt.Sprintf("%s: %s answers %s (before: %s)", offset(from, c.At), c.Kind, probeAnswer(&c.Probe), c.before)
		if c.Detail != "" {
			text += "\n" + format.Cut(c.Detail, 200)
		}
		t.mark(word(string(c.Kind)), "probe "+word(string(c.Kind)), t.axis.x(c.At), y, text)
	}
	t.stopMarks(p, y)
	if !p.EndpointGone.IsZero() {
		t.mark("endpoint", "endpoint", t.axis.x(p.EndpointGone), y,
			offset(from, p.EndpointGone)+": no EndpointSlice lists it as ready any more"+afterDeletion(p))
	}
	if !p.Exited.IsZero() {
		code, class := "exit code not seen", "exit"
		bad := ""
		if p.ExitCode != nil {
			code = "exit code " + strconv.Itoa(*p.ExitCode)
			if *p.ExitCode != 0 {
				bad = "exit " + strconv.Itoa(*p.ExitCode)
				class = "exit bad"
			}
		}
		if p.Reason != "" {
			code += " (" + format.Cut(p.Reason, 60) + ")"
		}
		x := t.axis.x(p.Exited)
		t.mark("exit", class, x, y, offset(from, p.Exited)+": "+code+", "+after(term, p.Exited)+" after it was told to stop")
		if bad != "" {
			t.exitLabel(x, y, bad)
		}
	} else if p.Lost && !p.Gone.IsZero() {
		t.exitLabel(t.axis.x(p.Gone), y, "cut off")
	}
}

// stopMarks draws when a pod was told to stop: when its preStop hook began, if it has
// one, and when SIGTERM came, as far as that is known. Without either, it is when its
// deletion was seen.
func (t *timeline) stopMarks(p *record.Pod, y float64) {
	from := t.s.From
	signal, by := p.SIGTERM()
	var lines []string
	for _, one := range []struct {
		at   time.Time
		what string
	}{
		{p.Deleted, "deletion was seen"},
		{p.Killing, "the kubelet began to end it"},
		{signal, "SIGTERM, " + by},
	} {
		if !one.at.IsZero() {
			lines = append(lines, offset(from, one.at)+": "+one.what)
		}
	}
	tip := strings.Join(lines, "\n")
	hook := p.PreStop != nil && !p.Killing.IsZero()
	if hook {
		if signal.IsZero() {
			tip += "\nwhen SIGTERM followed its preStop hook is not known"
		}
		t.mark("prestop", "term", t.axis.x(p.Killing), y, tip)
	}
	switch term := p.TermBegan(); {
	case !signal.IsZero():
		t.mark("term", "term", t.axis.x(signal), y, tip)
	case !hook && !term.IsZero():
		t.mark("term", "term", t.axis.x(term), y, tip)
	}
}

// afterDeletion says how long after its deletion a pod left the endpoints. When the
// kubelet told it to stop says less, as that may be before or after.
func afterDeletion(p *record.Pod) string {
	if p.Deleted.IsZero() {
		return ""
	}
	if d := p.EndpointGone.Sub(p.Deleted); d < 0 {
		return " (" + format.Duration(-d) + " before its deletion was seen)"
	}
	return " (" + format.Duration(p.EndpointGone.Sub(p.Deleted)) + " after its deletion was seen)"
}

// exitLabel writes a text at the end of a pod. It is above the marks of lost requests,
// which are often there.
func (t *timeline) exitLabel(x, y float64, text string) {
	if x > plotRight-60 {
		t.Text(x, y-5, "exitcode end", text, "dx", -5)
	} else {
		t.Text(x, y-5, "exitcode", text, "dx", 5)
	}
}

// A probeChange is a probe with another answer than the one before it.
type probeChange struct {
	record.Probe
	before string
}

// probeChanges finds the first probes with another answer, for each kind of probe.
// Before the first probe, the pod is taken to have answered 200.
func probeChanges(probes []record.Probe) []probeChange {
	const maxChanges = 20 // report.json has all probes of a pod that flaps
	last := map[record.ProbeKind]string{record.Readiness: "200", record.Liveness: "200"}
	var out []probeChange
	for _, p := range probes {
		answer := probeAnswer(&p)
		if before := last[p.Kind]; answer != before && len(out) < maxChanges {
			out = append(out, probeChange{p, before})
		}
		last[p.Kind] = answer
	}
	return out
}

func probeAnswer(p *record.Probe) string {
	switch {
	case p.Refused:
		return "nothing: no connection"
	case p.Status == 0:
		return "nothing"
	}
	return strconv.Itoa(p.Status)
}

// lostMarks draws the lost requests, each in its pod's row. If there are too many, each
// row shows a share of its own, evenly spread over time, so that no pod looks better
// than it was.
func (t *timeline) lostMarks(rows map[string]float64) {
	byRow := map[string][]int{}
	known := map[string]bool{}
	for i := range t.run.Pods {
		known[t.run.Pods[i].Name] = true
	}
	for i := range t.run.Requests {
		q := &t.run.Requests[i]
		if !q.Failed() {
			continue
		}
		row := q.Pod
		if _, ok := rows[row]; !ok {
			if known[row] {
				t.marksBeyond++ // its row is not drawn
				continue
			}
			row = ""
		}
		byRow[row] = append(byRow[row], i)
	}
	total := 0
	names := make([]string, 0, len(byRow))
	for name, of := range byRow {
		total += len(of)
		names = append(names, name)
	}
	slices.Sort(names)
	t.zoomedIn("marks")
	for _, name := range names {
		of := byRow[name]
		slices.SortStableFunc(of, func(a, b int) int {
			return lostAt(&t.run.Requests[a]).Compare(lostAt(&t.run.Requests[b]))
		})
		share := len(of)
		if total > maxMarks {
			share = max(len(of)*maxMarks/total, 1)
		}
		for k := range share {
			q := &t.run.Requests[of[k*len(of)/share]]
			x, y := t.axis.x(lostAt(q)), rows[name]
			if begin := t.axis.x(sentAt(q)); x-begin > 4 {
				t.Leaf("line", "class", "tail", "x1", begin, "x2", x, "y1", y, "y2", y)
			}
			t.mark("lost", "x", x, y, t.lostTip(q))
		}
		t.marks += share
		t.marksBeyond += len(of) - share
	}
	t.unzoomed()
}

// lostTip returns the tooltip of a lost request.
func (t *timeline) lostTip(q *record.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %s", offset(t.s.From, lostAt(q)), q.Class, q.Outcome)
	if q.Status != 0 {
		fmt.Fprintf(&b, " (%d)", q.Status)
	}
	fmt.Fprintf(&b, "\n%s %s, sent at %s", q.Method, format.Cut(q.Path, 80), offset(t.s.From, sentAt(q)))
	if q.Detail != "" {
		b.WriteString("\n" + format.Cut(q.Detail, 160))
	}
	if q.Pod != "" || len(q.Suspects) > 0 {
		b.WriteString("\npod: " + format.Cut(q.Whose(), 300))
	}
	return b.String()
}
