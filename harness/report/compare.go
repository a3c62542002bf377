package report

import (
	"errors"
	"io"
	"slices"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/chart"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// ComparisonRow is one of the runs that Compare draws.
type ComparisonRow struct {
	Name     string // such as "readiness only"
	Requests int
	Lost     map[record.Outcome]int
}

// CompareRun returns the row for a run.
func CompareRun(name string, s *Summary) ComparisonRow {
	row := ComparisonRow{Name: name, Requests: s.Sent, Lost: map[record.Outcome]int{}}
	for _, o := range s.Outcomes {
		row.Lost[o.Outcome] += o.Count
	}
	return row
}

func (r ComparisonRow) lost() int {
	n := 0
	for _, one := range r.Lost {
		n += one
	}
	return n
}

// Compare writes an SVG file that shows how many requests each run lost, by outcome.
func Compare(w io.Writer, rows []ComparisonRow) error {
	if len(rows) == 0 {
		return errors.New("nothing to compare: give at least one run")
	}
	const (
		width, left, right  = 860, 170, 690
		rowHeight, barThick = 46, 24
		top                 = 34
	)
	most := 1
	var outcomes []record.Outcome
	for _, r := range rows {
		most = max(most, r.lost())
		for o, n := range r.Lost {
			if n > 0 && !slices.Contains(outcomes, o) {
				outcomes = append(outcomes, o)
			}
		}
	}
	slices.SortFunc(outcomes, compareOutcomes)

	var d chart.SVG
	comparePatterns(&d)
	d.Text(left, 18, "panel", "requests lost, by how they were lost")
	y := float64(top)
	for _, r := range rows {
		middle := y + barThick/2
		d.Text(left-12, middle+4, "rowname end", format.Cut(r.Name, 24))
		x := float64(left)
		for i, o := range outcomes {
			n := r.Lost[o]
			if n <= 0 {
				continue
			}
			w := float64(right-left) * float64(n) / float64(most)
			d.Open("g")
			d.Title(r.Name + ": " + format.Grouped(n) + " " + string(o))
			d.Leaf("rect", "class", segmentClass(i), "x", x, "y", y, "width", max(w, 1), "height", barThick)
			d.Leaf("rect", "fill", "url(#cmp"+string(rune('0'+i%4))+")", "x", x, "y", y, "width", max(w, 1), "height", barThick)
			d.Close("g")
			x += w
		}
		d.Text(x+8, middle+4, "value", format.Grouped(r.lost())+" of "+format.Grouped(r.Requests))
		y += rowHeight
	}
	d.Leaf("line", "class", "axis", "x1", left, "x2", left, "y1", top-8, "y2", y-rowHeight+barThick+8)

	x := float64(left)
	y += 4
	for i, o := range outcomes {
		length := 24 + 6.4*float64(len(o)) + 18
		if x > left && x+length > width-10 {
			x, y = left, y+20
		}
		d.Leaf("rect", "class", segmentClass(i), "x", x, "y", y-9, "width", 16, "height", 12)
		d.Leaf("rect", "fill", "url(#cmp"+string(rune('0'+i%4))+")", "x", x, "y", y-9, "width", 16, "height", 12)
		d.Text(x+22, y+2, "key", string(o))
		x += length
	}
	_, err := w.Write(chart.Standalone(width, y+18, chartStyle, "requests lost, by how they were lost", d.Bytes()))
	return err
}

// compareOutcomes orders the known outcomes as in record.Failures, and others after
// them.
func compareOutcomes(a, b record.Outcome) int {
	place := func(o record.Outcome) int {
		if i := slices.Index(record.Failures, o); i >= 0 {
			return i
		}
		return len(record.Failures)
	}
	if c := place(a) - place(b); c != 0 {
		return c
	}
	if a < b {
		return -1
	}
	return 1
}

// segmentClass gives neighbouring segments different colours. The four patterns tell
// them apart without colour.
func segmentClass(i int) string { return "seg" + string(rune('0'+i%7)) }

func comparePatterns(d *chart.SVG) {
	d.Open("defs")
	for i, path := range []string{"", "M0 8L8 0M-2 2L2-2M6 10L10 6", "M0 4H8", "M2 2h2v2h-2zM6 6h2v2h-2z"} {
		d.Open("pattern", "id", "cmp"+string(rune('0'+i)), "width", 8, "height", 8, "patternUnits", "userSpaceOnUse")
		if path != "" {
			d.Leaf("path", "d", path, "class", "pattern")
		}
		d.Close("pattern")
	}
	d.Close("defs")
}
