package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/chart"
	"kubernaut.io/dynamic-toolset/internal/format"
)

var (
	//go:embed page.gohtml
	pageText string
	//go:embed page.css
	pageStyle string
	// chartStyle is the style of the timeline and the comparison, in addition to
	// chart.Style.
	//go:embed chart.css
	chartStyle string
	//go:embed page.js
	pageScript string

	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"grouped": format.Grouped}).Parse(pageText))
)

// writePage writes report.html, one page that needs no network and no script. See
// policy for what it allows.
func writePage(w io.Writer, run *record.Run, s *Summary) error {
	t := newTimeline(run, s)
	style := pageStyle + chart.Style + chartStyle
	view := pageView{
		Policy: policy(style, pageScript),
		Style:  template.CSS(style),     // from the files embedded above
		Script: template.JS(pageScript), // likewise
		Run:    run, S: s,
		Began:    s.From.UTC().Format("2006-01-02 15:04:05 UTC"),
		Where:    where(run),
		Causes:   causeViews(run),
		Fixed:    fixedRows(run, s),
		Patch:    patchCommand(run),
		Checks:   checkViews(asked(run.Checks)),
		Result:   result(run, s),
		Lost:     lostOutcomes(s),
		First:    firstFailures(s),
		Classes:  classViews(s),
		Pods:     podViews(run, s),
		Events:   eventViews(run, s),
		Notes:    notes(run, s, t),
		Command:  commandLine(run.Command),
		Timeline: drawn(t, s),
		Legend:   drawnLegend(),
		Hover:    hoverData(t),
		Tiles:    tiles(run, s),
	}
	if run.Fixed != nil {
		after := Aggregate(run.Fixed)
		view.FixedVerdict, view.FixedResult = after.Verdict, result(run.Fixed, after)
		view.FixedTimeline = still(newTimeline(run.Fixed, after), after)
	}
	view.Phases, view.PhasesBeyond = phaseViews(s)
	view.Logs, view.LogsBeyond = logViews(run, s)
	view.EventsBeyond = len(run.Events) - len(view.Events)
	view.FailuresBeyond = s.Failed - len(view.First)
	return writeTemplate(w, pageTemplate, view)
}

// pageView is the data of the template. The template escapes strings. Values of the
// types of html/template are trusted, and contain nothing that was not escaped.
type pageView struct {
	Policy, Began, Where, Command, Patch string
	// Result is passed, warned or failed.
	Result string

	Style    template.CSS
	Script   template.JS
	Timeline template.HTML
	Legend   template.HTML
	Hover    hover

	Run    *record.Run
	S      *Summary
	Tiles  []tile
	Causes []causeView
	Fixed  []fixedRow
	// FixedVerdict and FixedTimeline are those of the run with the changed manifest.
	FixedVerdict, FixedResult string
	FixedTimeline             template.HTML
	Checks                    []checkView
	Lost                      lostTable
	First                     []failureView
	Classes                   []classView
	Phases                    []phaseView
	Pods                      []podView
	Logs                      []logView
	Events                    []eventView
	Notes                     []string

	EventsBeyond, FailuresBeyond, LogsBeyond, PhasesBeyond int
}

func result(run *record.Run, s *Summary) string {
	switch {
	case !s.Passed:
		return "failed"
	case len(warnings(run)) > 0:
		return "warned"
	}
	return "passed"
}

// drawn returns the timeline as an element of the page. chart.SVG has escaped every
// text in it.
func drawn(t *timeline, s *Summary) template.HTML {
	var d chart.SVG
	d.Open("svg", "class", "chart timeline", "id", "timeline", "viewBox", "0 0 "+chart.Coordinate(chartWidth)+" "+chart.Coordinate(t.height()),
		"role", "img", "aria-label", "Timeline: "+s.Verdict,
		"data-left", plotLeft, "data-right", plotRight, "data-seconds", fmt.Sprintf("%.3f", t.axis.length.Seconds()))
	d.Write(t.Bytes())
	d.Close("svg")
	return template.HTML(d.String())
}

// still returns a timeline that the page's script leaves alone. Its identifiers are not
// those of the other on the page.
func still(t *timeline, s *Summary) template.HTML {
	var d chart.SVG
	d.Open("svg", "class", "chart timeline", "viewBox", "0 0 "+chart.Coordinate(chartWidth)+" "+chart.Coordinate(t.height()), "role", "img", "aria-label", "Timeline: "+s.Verdict)
	d.Write(t.Bytes())
	d.Close("svg")
	// In texts quotes are escaped, so that these are attributes.
	return template.HTML(strings.NewReplacer(` id="`, ` id="after-`, `"url(#`, `"url(#after-`, ` href="#`, ` href="#after-`).Replace(d.String()))
}

func drawnLegend() template.HTML {
	var inside chart.SVG
	height := legend(&inside)
	var d chart.SVG
	d.Open("svg", "class", "chart legend", "viewBox", "0 0 "+chart.Coordinate(chartWidth)+" "+chart.Coordinate(height), "role", "img", "aria-label", "What the marks mean")
	d.Write(inside.Bytes())
	d.Close("svg")
	return template.HTML(d.String())
}

// hover has what the page's script shows about the column under the pointer.
type hover struct {
	PerColumn int      `json:"perColumn"` // seconds
	Classes   []string `json:"classes"`
	Zooms     []zoom   `json:"zooms"`
	// Columns have four values for each class: sent, lost, p50 and p99 in microseconds.
	Columns [][][4]int64 `json:"columns"`
}

// A zoom is a part of the run, in seconds, that is worth a closer look.
type zoom struct {
	Name string  `json:"name"`
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

// zooms returns the action phases, each with its consequences: it lasts until the last
// pod that was told to stop in it has ended.
func zooms(t *timeline) []zoom {
	const most, margin = 12, time.Second
	out := []zoom{}
	for _, p := range t.run.Phases {
		if p.Kind != record.Action || len(out) == most {
			continue
		}
		end := p.Ended
		for i := range t.run.Pods {
			pod := &t.run.Pods[i]
			if term := pod.TermBegan(); !term.Before(p.Began) && !term.After(p.Ended) && pod.Exited.After(end) {
				end = pod.Exited
			}
		}
		from := max(p.Began.Add(-margin).Sub(t.s.From), 0)
		to := min(end.Add(margin).Sub(t.s.From), t.axis.length)
		if to > from {
			out = append(out, zoom{format.Cut(p.Name, 60), from.Seconds(), to.Seconds()})
		}
	}
	return out
}

func hoverData(t *timeline) hover {
	h := hover{PerColumn: t.perCol, Zooms: zooms(t), Classes: []string{}}
	classes := t.classes()
	for _, c := range classes {
		h.Classes = append(h.Classes, format.Cut(string(c), 30))
	}
	for _, c := range t.columns {
		values := make([][4]int64, len(classes))
		for i, class := range classes {
			n := c.classes[class]
			if class == record.Stream {
				n.P50, n.P99 = 0, 0
			}
			values[i] = [4]int64{int64(n.Sent), int64(n.Failed), int64(n.P50 / time.Microsecond), int64(n.P99 / time.Microsecond)}
		}
		h.Columns = append(h.Columns, values)
	}
	return h
}

// notes returns the notes of the run, and what the page leaves out.
func notes(run *record.Run, s *Summary, t *timeline) []string {
	out := make([]string, 0, len(run.Notes)+3)
	for _, n := range run.Notes {
		out = append(out, format.Cut(n, 1000))
	}
	if t.marksBeyond > 0 {
		out = append(out, fmt.Sprintf("The timeline marks %s of %s lost requests, each pod's evenly spread over time. All are in requests.ndjson.gz.",
			format.Grouped(t.marks), format.Grouped(t.marks+t.marksBeyond)))
	}
	if t.rowsBeyond > 0 {
		out = append(out, fmt.Sprintf("The timeline and the table show %s of %s pods, first those with losses, failed exits or restarts. All are in report.json.",
			format.Grouped(t.rows), format.Grouped(t.rows+t.rowsBeyond)))
	}
	if s.FailuresBeyond > 0 {
		out = append(out, fmt.Sprintf("report.json has the first %s lost requests in full; %s more are in requests.ndjson.gz.",
			format.Grouped(len(s.Failures)), format.Grouped(s.FailuresBeyond)))
	}
	return out
}
