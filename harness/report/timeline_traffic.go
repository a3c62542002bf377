package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/chart"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// rates draws the requests per second: a layer for each class, with the lost ones on
// top.
func (t *timeline) rates() {
	top := t.panel("requests per second, by when they were due"+t.joined(), "")
	most := 0.0
	for _, c := range t.columns {
		sum := 0.0
		for _, n := range c.classes {
			sum += float64(n.Sent)
		}
		most = max(most, sum/t.length(c))
	}
	scale := chart.RoundUp(most)
	t.gridline(top, format.Grouped(int(scale)))
	t.gridline(top+rateHeight, "0")
	if scale >= 4 {
		t.gridline(top+rateHeight/2, halfOf(scale))
	}

	below := make([]float64, len(t.columns))
	var labels []lineLabel
	t.zoomed()
	layer := func(class string, height func(column) float64) {
		above := make([]float64, len(below))
		for i, c := range t.columns {
			above[i] = below[i] + height(c)/t.length(c)
		}
		t.Leaf("path", "class", "layer "+class, "d", t.area(below, above, func(v float64) float64 {
			return top + rateHeight*(1-v/scale)
		}))
		below = above
	}
	for _, class := range t.classes() {
		before := below[len(below)/2]
		layer(classStyle(class), func(c column) float64 { return float64(c.classes[class].Sent - c.classes[class].Failed) })
		middle := (before + below[len(below)/2]) / 2
		labels = append(labels, lineLabel{top + rateHeight*(1-middle/scale), format.Cut(string(class), 14), classStyle(class)})
	}
	layer("lost", func(c column) float64 {
		sum := 0
		for _, n := range c.classes {
			sum += n.Failed
		}
		return float64(sum)
	})
	t.unzoomed()
	t.lineLabels(labels, top, rateHeight)
	t.y = top + rateHeight
}

func halfOf(scale float64) string {
	if half := scale / 2; half == math.Trunc(half) {
		return format.Grouped(int(half))
	}
	return format.Digits(scale / 2)
}

// losses draws the lost requests again, with a scale of their own: few of them could
// not be seen among all requests.
func (t *timeline) losses() {
	most := 0
	for _, c := range t.columns {
		most = max(most, c.lost())
	}
	class := ""
	if most > 0 {
		class = "lost"
	}
	top := t.panel("lost, by when they were due", class)
	t.gridline(top+lostHeight, "0")
	if most == 0 {
		t.Text(plotLeft+8, top+lostHeight/2+5, "quiet", "none lost")
		t.y = top + lostHeight
		return
	}
	t.gridline(top, format.Grouped(most))
	t.zoomed()
	for _, c := range t.columns {
		n := c.lost()
		if n == 0 {
			continue
		}
		x, end := t.edges(c)
		h := max(lostHeight*float64(n)/float64(most), 2)
		t.Titled("rect", fmt.Sprintf("due in second %d: %s lost", c.at, format.Grouped(n)), "class", "lostbar", "x", x, "y", top+lostHeight-h, "width", max(end-x-0.4, 1.5), "height", h)
	}
	t.unzoomed()
	t.y = top + lostHeight
}

func (c column) lost() int {
	n := 0
	for _, one := range c.classes {
		n += one.Failed
	}
	return n
}

// latencies draws p50 and p99 of each class but streams, on a logarithmic scale.
func (t *timeline) latencies() {
	top := t.panel("latency of the answered: p99 (line) and p50 (dotted)"+t.joined(), "")
	least, most := time.Duration(0), time.Duration(0)
	for _, c := range t.columns {
		for class, n := range c.classes {
			if class == record.Stream || n.P50 == 0 {
				continue
			}
			if least == 0 || n.P50 < least {
				least = n.P50
			}
			most = max(most, n.P99)
		}
	}
	if most == 0 { // nothing was measured
		least, most = 100*time.Microsecond, 100*time.Millisecond
	}
	scale := chart.NewLogScale(float64(least), float64(most), top, latHeight)
	for _, power := range scale.Powers() {
		t.gridline(scale.Y(power), format.Duration(time.Duration(power)))
	}
	var labels []lineLabel
	t.zoomed()
	for _, class := range t.classes() {
		if class == record.Stream {
			continue
		}
		p50 := t.line(class, func(n Numbers) time.Duration { return n.P50 }, scale)
		p99 := t.line(class, func(n Numbers) time.Duration { return n.P99 }, scale)
		if p99 == "" {
			continue
		}
		t.Leaf("path", "class", "line p50 "+classStyle(class), "d", p50)
		t.Leaf("path", "class", "line p99 "+classStyle(class), "d", p99)
		labels = append(labels, lineLabel{t.lastY(class, scale), format.Cut(string(class), 14), classStyle(class)})
	}
	t.unzoomed()
	t.lineLabels(labels, top, latHeight)
	t.y = top + latHeight
}

// lastY returns the height at which the p99 line of a class ends.
func (t *timeline) lastY(class record.Class, scale chart.LogScale) float64 {
	for _, c := range slices.Backward(t.columns) {
		if n := c.classes[class]; n.P99 > 0 {
			return scale.Y(float64(n.P99))
		}
	}
	return scale.Y(math.Inf(1))
}

// line joins the middles of the columns. It has a gap where a class has no value.
func (t *timeline) line(class record.Class, value func(Numbers) time.Duration, scale chart.LogScale) string {
	var b strings.Builder
	drawing := false
	for _, c := range t.columns {
		v := value(c.classes[class])
		if v == 0 {
			drawing = false
			continue
		}
		x, end := t.edges(c)
		if !drawing {
			b.WriteString("M")
		} else {
			b.WriteString("L")
		}
		if !drawing && t.alone(c, class) {
			b.WriteString(chart.Coordinate(x) + " " + chart.Coordinate(scale.Y(float64(v))) + "L" + chart.Coordinate(end) + " " + chart.Coordinate(scale.Y(float64(v))))
		} else {
			b.WriteString(chart.Coordinate((x+end)/2) + " " + chart.Coordinate(scale.Y(float64(v))))
		}
		drawing = true
	}
	return b.String()
}

// alone reports whether a class has no value in the next column, so that a line from
// this one would be an invisible point.
func (t *timeline) alone(c column, class record.Class) bool {
	next := c.at/t.perCol + 1
	return next >= len(t.columns) || t.columns[next].classes[class].P99 == 0
}

// area returns the outline of a layer. It is in steps, as a column has one rate.
func (t *timeline) area(below, above []float64, y func(float64) float64) string {
	var b strings.Builder
	for i, c := range t.columns {
		x, end := t.edges(c)
		if i == 0 {
			b.WriteString("M" + chart.Coordinate(x) + " " + chart.Coordinate(y(above[i])))
		} else if above[i] != above[i-1] {
			b.WriteString("V" + chart.Coordinate(y(above[i])))
		}
		b.WriteString("H" + chart.Coordinate(end))
	}
	for i := len(t.columns) - 1; i >= 0; i-- {
		x, _ := t.edges(t.columns[i])
		b.WriteString("V" + chart.Coordinate(y(below[i])) + "H" + chart.Coordinate(x))
	}
	return b.String() + "Z"
}

func (t *timeline) gridline(y float64, label string) {
	t.Leaf("line", "class", "grid", "x1", plotLeft, "x2", plotRight, "y1", y, "y2", y)
	t.Text(plotLeft-8, y+4, "tick end", label)
}

func (t *timeline) joined() string {
	if t.perCol == 1 {
		return ""
	}
	return fmt.Sprintf(" (of each %d s; percentiles: of the worst second)", t.perCol)
}

// classes returns the classes that sent anything.
func (t *timeline) classes() []record.Class {
	var out []record.Class
	for _, c := range t.s.Classes {
		if c.Sent > 0 {
			out = append(out, c.Class)
		}
	}
	return out
}

// classStyle returns the CSS class of a client class. Unknown ones share one.
func classStyle(c record.Class) string {
	if slices.Contains(record.Classes, c) {
		return "c-" + string(c)
	}
	return "c-other"
}

// A lineLabel is the name of a layer or a line, at its right end.
type lineLabel struct {
	y     float64
	text  string
	class string
}

// lineLabels writes the names beside the plot, moved apart so that none covers another.
func (t *timeline) lineLabels(labels []lineLabel, top, height float64) {
	const apart = 14
	slices.SortStableFunc(labels, func(a, b lineLabel) int { return int(a.y*10) - int(b.y*10) })
	place := make([]float64, len(labels))
	for i, l := range labels {
		place[i] = l.y
		if i > 0 {
			place[i] = max(place[i], place[i-1]+apart)
		}
	}
	low := top + height
	for i := len(place) - 1; i >= 0; i-- {
		place[i] = min(place[i], low)
		low = place[i] - apart
	}
	for i, l := range labels {
		t.Leaf("path", "class", "lead "+l.class, "d", "M"+chart.Coordinate(plotRight+2)+" "+chart.Coordinate(l.y)+"L"+chart.Coordinate(plotRight+10)+" "+chart.Coordinate(place[i])+"h4")
		t.Text(plotRight+18, place[i]+4, "name "+l.class, l.text)
	}
}
