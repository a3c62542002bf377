package comparison

import (
	_ "embed"
	"html/template"
	"io"
	"strings"

	"kubernaut.io/dynamic-toolset/internal/chart"
	"kubernaut.io/dynamic-toolset/internal/format"
	"kubernaut.io/dynamic-toolset/internal/htmlreport"
)

var (
	//go:embed page.gohtml
	pageText string
	//go:embed page.css
	pageStyle string

	pageTemplate = template.Must(template.New("page").Parse(pageText))
)

// A pageView is what the template shows. Its strings are escaped by the template; only
// the typed ones are trusted, and they hold nothing that was not escaped.
type pageView struct {
	Policy string
	Style  template.CSS

	Verdict    string
	Missed     bool
	Reference  string
	Conditions []string
	Command    string

	Ratios, CPU, Memory template.HTML

	Targets   []targetView
	Workloads []workloadView
	Latencies []latencyView
	Idles     []rowView
	Servers   []Server
	Missing   []string
}

type targetView struct {
	Met                                       bool
	Result, Title, Want, Got, Between, Rounds string
}

type workloadView struct {
	Title, Details string
	Rows           []rowView
}

type latencyView struct {
	Title string
	Chart template.HTML
	Rates []workloadView
}

// A rowView is a server's line in one of the tables.
type rowView struct {
	Name     string
	Ours     bool
	CPU      string // or how many connections were opened
	Spreads  []spreadView
	Max      string
	Overload string
	Note     string
}

type spreadView struct{ Median, Between string }

// maxText bounds each text of a result on the page.
const maxText = 300

// HTML writes the result as one page that needs no network and no script.
func (r *Result) HTML(w io.Writer) error {
	style := htmlreport.Style + pageStyle + chart.Style + chartStyle
	view := pageView{
		Policy: htmlreport.Policy(style, ""), Style: template.CSS(style), // #nosec G203 -- ours, from embedded files
		Verdict: r.verdict(), Missed: r.Missed(), Reference: r.reference(), Command: format.Cut(r.Command, 4*maxText),
		Ratios: r.ratioPicture().inPage(), CPU: r.cpuPicture().inPage(), Memory: r.memoryPicture().inPage(),
		Targets: r.targetViews(), Workloads: r.workloadViews(), Latencies: r.latencyViews(),
	}
	conditions := r.conditions()
	for _, line := range conditions {
		view.Conditions = append(view.Conditions, format.Cut(line, maxText))
	}
	for _, i := range r.idles() {
		view.Idles = append(view.Idles, rowView{
			Name: format.Cut(i.server.called(), maxText), Ours: i.server.isOurs(), CPU: format.Grouped(i.connections),
			Spreads: []spreadView{i.before.view(three), i.per.view(three), i.ratio.view(ratio)},
		})
	}
	for _, c := range r.Servers {
		view.Servers = append(view.Servers, Server{Title: format.Cut(c.called(), maxText), Version: format.Cut(c.Version, maxText), Note: format.Cut(c.Note, maxText)})
	}
	for _, m := range r.Missing {
		view.Missing = append(view.Missing, format.Cut(m, maxText))
	}
	return htmlreport.Write(w, pageTemplate, view)
}

func (c Server) isOurs() bool { return c.Name == Ours || c.Name == OursAuthenticated }

func (s spread) view(number func(float64) string) spreadView {
	median, between := s.text(number)
	return spreadView{median, between}
}

func (r *Result) targetViews() []targetView {
	var all []targetView
	for i := range r.Targets {
		t := &r.Targets[i]
		v := targetView{Met: t.Met(), Result: t.result(), Title: format.Cut(t.Title, maxText), Want: t.want()}
		v.Got, v.Between = t.figures()
		var rounds []string
		for _, one := range t.Ratios {
			rounds = append(rounds, ratio(one))
		}
		v.Rounds = strings.Join(rounds, " ")
		all = append(all, v)
	}
	return all
}

func (r *Result) workloadViews() []workloadView {
	var all []workloadView
	for _, w := range r.workloads() {
		v := workloadView{Title: format.Cut(w.workload.called(), maxText), Details: w.workload.details()}
		for _, t := range w.rows {
			v.Rows = append(v.Rows, rowView{
				Name: format.Cut(t.server.called(), maxText), Ours: t.server.isOurs(), Note: t.note,
				Spreads: []spreadView{t.perSecond.view(count), t.cpu.view(three), t.ratio.view(ratio)},
			})
		}
		all = append(all, v)
	}
	return all
}

func (r *Result) latencyViews() []latencyView {
	var all []latencyView
	for _, l := range r.latencies() {
		v := latencyView{Title: format.Cut(l.workload.called(), maxText), Chart: r.latencyPicture(&l).inPage()}
		for _, rate := range l.rates {
			one := workloadView{Title: rate.title()}
			for _, t := range rate.rows {
				busy, _ := t.busy.text(percent)
				most, _ := spread{t.max.high, t.max.high, t.max.high, min(t.max.rounds, 1)}.text(micros)
				one.Rows = append(one.Rows, rowView{
					Name: format.Cut(t.server.called(), maxText), Ours: t.server.isOurs(), CPU: busy, Max: most,
					Overload: t.overload, Note: t.note, Spreads: []spreadView{t.p50.view(micros), t.p99.view(micros), t.p999.view(micros)},
				})
			}
			v.Rates = append(v.Rates, one)
		}
		all = append(all, v)
	}
	return all
}
