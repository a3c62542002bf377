package report

import (
	"io"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/chart"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// writePicture writes the timeline alone as an SVG file, for documentation.
func writePicture(w io.Writer, run *record.Run, s *Summary) error {
	t := newTimeline(run, s)
	var d chart.SVG
	const head = 44
	class := "verdict failed"
	if s.Passed {
		class = "verdict passed"
	}
	d.Text(12, 24, class, format.Cut(s.Verdict, 140))
	d.Open("g", "transform", "translate(0 "+chart.Coordinate(head)+")")
	d.Write(t.Bytes())
	d.Close("g")
	foot := head + t.height()
	d.Open("g", "transform", "translate(0 "+chart.Coordinate(foot)+")")
	height := legend(&d)
	d.Close("g")
	_, err := w.Write(chart.Standalone(chartWidth, foot+height, chartStyle, s.Verdict, d.Bytes()))
	return err
}

// legend draws what the marks and bars mean. It returns its height.
func legend(d *chart.SVG) float64 {
	const y = 14
	x := float64(plotLeft)
	for _, e := range []struct{ shape, class, text string }{
		{"", "starting", "starting"}, {"", "ready", "ready"}, {"", "terminating", "terminating"}, {"", "gone", "ended"},
		{"prestop", "term", "preStop"}, {"term", "term", "SIGTERM"}, {"readiness", "probe readiness", "readiness changed"},
		{"liveness", "probe liveness", "liveness changed"}, {"endpoint", "endpoint", "left the endpoints"},
		{"exit", "exit", "exit"}, {"lost", "x", "lost request"},
	} {
		if e.shape == "" {
			h := float64(barHeight)
			if e.class == "gone" {
				h = 3
			}
			d.Leaf("rect", "class", e.class, "x", x, "y", y-h/2, "width", 18, "height", h)
			x += 24
		} else {
			at := float64(y)
			switch e.shape {
			case "term", "prestop":
				at += 8
			case "endpoint":
				at -= 8
			}
			d.Leaf("use", "href", "#m-"+e.shape, "class", e.class, "x", x+5, "y", at)
			x += 15
		}
		d.Text(x, y+4, "key", e.text)
		x += 6.1*float64(len(e.text)) + 16
	}
	return 30
}
