package report

import (
	"fmt"
	"math"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/chart"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// The dimensions of the timeline. Units are pixels if it is shown 1160 wide.
const (
	chartWidth  = 1160
	plotLeft    = 136
	plotRight   = 1060 // names of layers and lines are to the right
	headHeight  = 18   // title of a panel
	panelGap    = 16
	rateHeight  = 110
	lostHeight  = 36
	latHeight   = 110
	labelHeight = 14
	// maxColumns bounds the points of a line. In a longer run, a point is several
	// seconds.
	maxColumns = 240
)

// A timeline is the picture of a run: requests, losses and latencies, and below them,
// on the same axis, the life of each pod.
type timeline struct {
	chart.SVG
	run  *record.Run
	s    *Summary
	axis timeAxis
	y    float64 // top of the next panel

	columns []column
	perCol  int // seconds per column

	// How much is shown and how much left out, for the notes.
	marks, marksBeyond int
	rows, rowsBeyond   int
}

func newTimeline(run *record.Run, s *Summary) *timeline {
	t := &timeline{run: run, s: s}
	t.axis = timeAxis{from: s.From, length: s.To.Sub(s.From), left: plotLeft, width: plotRight - plotLeft}
	t.columns, t.perCol = columnsOf(s)

	names := t.layoutPhases()
	t.y = float64(names.levels)*labelHeight + 4
	top := t.y
	t.axisLabels(t.y + 10)
	t.y += 16
	t.rates()
	t.losses()
	t.latencies()
	t.pods()
	bottom := t.y
	t.axisLabels(bottom + 14)
	t.y = bottom + 22

	// Bands and grid are behind everything, and as high as all of it.
	var back chart.SVG
	for _, clip := range []struct {
		id     string
		beyond float64
	}{{"plot", 0}, {"marks", 7}} { // so that a mark at the edge is not cut
		back.Open("clipPath", "id", clip.id)
		back.Leaf("rect", "x", plotLeft-clip.beyond, "y", 0, "width", plotRight-plotLeft+2*clip.beyond, "height", t.y)
		back.Close("clipPath")
	}
	markShapes(&back)
	t.background(&back, names, top, bottom)
	front := t.Buffer
	t.Buffer = back.Buffer
	t.Write(front.Bytes())
	return t
}

func (t *timeline) height() float64 { return t.y }

// zoomed begins a group of elements that move when the reader zooms in on a period.
func (t *timeline) zoomed() { t.zoomedIn("plot") }

func (t *timeline) zoomedIn(clip string) {
	t.Open("g", "clip-path", "url(#"+clip+")")
	t.Open("g", "class", "tz")
}

func (t *timeline) unzoomed() { t.Close("g"); t.Close("g") }

// panel writes the title of a panel and returns the top of its plot.
func (t *timeline) panel(title, class string) float64 {
	t.y += panelGap
	t.Text(plotLeft, t.y+11, "panel "+class, title)
	t.y += headHeight
	return t.y
}

func (t *timeline) axisLabels(y float64) {
	t.Open("g", "class", "ticks", "data-y", y) // when zooming, the script writes others
	for _, at := range t.axis.ticks(12) {
		t.Text(t.axis.at(at), y, "tick mid", seconds(at))
	}
	t.Close("g")
}

// phaseNames says where the phases' names are, above the picture.
type phaseNames struct {
	levels int
	level  []int // of each phase; -1: no room, it is in the tooltip only
	text   []string
}

// layoutPhases finds a level for each phase's name at which it covers no other. It goes
// from right to left, so that the line from the left end of a name down to its band
// never crosses a name below it.
func (t *timeline) layoutPhases() phaseNames {
	const maxLevels = 4
	names := phaseNames{level: make([]int, len(t.run.Phases)), text: make([]string, len(t.run.Phases))}
	begins := slices.Repeat([]float64{chartWidth}, maxLevels)
	for i, p := range slices.Backward(t.run.Phases) {
		names.level[i] = -1
		names.text[i] = format.Cut(p.Name, 40)
		x := t.axis.x(p.Began)
		end := x + 6.6*float64(len(names.text[i])) + 12
		levels := maxLevels
		if p.Kind != record.Action {
			levels = 1 // its name is not worth a level of its own
		}
		for level := range levels {
			if end <= begins[level] {
				begins[level] = x
				names.level[i] = level
				names.levels = max(names.levels, level+1)
				break
			}
		}
	}
	return names
}

// background draws the phases as bands, with their names, and the grid.
func (t *timeline) background(d *chart.SVG, names phaseNames, top, bottom float64) {
	d.Open("g", "clip-path", "url(#plot)")
	d.Open("g", "class", "tz")
	for i, p := range t.run.Phases {
		x, end := t.axis.x(p.Began), t.axis.x(p.Ended)
		tip := fmt.Sprintf("%s (%s): %s to %s, %s, %s lost", format.Cut(p.Name, 200), p.Kind,
			offset(t.s.From, p.Began), offset(t.s.From, p.Ended), plural(t.s.Phases[i].Sent, "request"), format.Grouped(t.s.Phases[i].Failed))
		d.Titled("rect", tip, "class", "band "+word(string(p.Kind)), "x", x, "y", top, "width", max(end-x, 1), "height", bottom-top)
		if level := names.level[i]; level >= 0 {
			y := top - 4 - float64(level)*labelHeight
			d.Leaf("line", "class", "leader "+word(string(p.Kind)), "x1", x, "x2", x, "y1", y-9, "y2", bottom)
			d.Text(x, y, "phase "+word(string(p.Kind)), names.text[i], "dx", 4)
		}
	}
	d.Close("g")
	d.Open("g", "class", "gridx", "data-top", top+14, "data-bottom", bottom)
	for _, at := range t.axis.ticks(12) {
		x := t.axis.at(at)
		d.Leaf("line", "class", "grid", "x1", x, "x2", x, "y1", top+14, "y2", bottom)
	}
	d.Close("g")
	d.Close("g")
}

// word turns a text, which should be one word, into a CSS class.
func word(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s) && i < 32; i++ {
		if c := s[i] | 0x20; c >= 'a' && c <= 'z' {
			out = append(out, c)
		}
	}
	return string(out)
}

// A column is one second, or several in a long run.
type column struct {
	at      int // seconds since the beginning
	classes map[record.Class]Numbers
}

// columnsOf joins seconds if there are too many to draw. It keeps the highest
// percentiles of those that it joins.
func columnsOf(s *Summary) (columns []column, perCol int) {
	length := int(math.Ceil(s.To.Sub(s.From).Seconds()))
	perCol = max((length+maxColumns-1)/maxColumns, 1)
	n := max((length+perCol-1)/perCol, 1)
	columns = make([]column, n)
	for i := range columns {
		columns[i] = column{at: i * perCol, classes: map[record.Class]Numbers{}}
	}
	for _, second := range s.Seconds {
		c := columns[min(max(second.Second/perCol, 0), n-1)]
		for _, one := range second.Classes {
			sum := c.classes[one.Class]
			sum.Sent += one.Sent
			sum.Failed += one.Failed
			sum.P50 = max(sum.P50, one.P50)
			sum.P99 = max(sum.P99, one.P99)
			sum.Max = max(sum.Max, one.Max)
			c.classes[one.Class] = sum
		}
	}
	return columns, perCol
}

// edges returns where a column begins and ends in the picture.
func (t *timeline) edges(c column) (x, end float64) {
	from := time.Duration(c.at) * time.Second
	return t.axis.at(from), t.axis.at(from + time.Duration(t.perCol)*time.Second)
}

// length returns the number of seconds of the run in a column. The last column may be
// shorter, which must not look like a drop in the rate.
func (t *timeline) length(c column) float64 {
	return min(float64(t.perCol), max(t.axis.length.Seconds()-float64(c.at), 0.05))
}
