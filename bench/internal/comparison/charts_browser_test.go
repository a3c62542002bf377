package comparison

import (
	"math"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv/chromium"
)

// The charts show the same figures as the tables.
func TestTheChartsShowTheData(t *testing.T) {
	b := chromium.Open(t)
	r := read(t)
	show(t, b, r, "cpu")
	// Bars, except broken ones, are as long as the figures beside them say.
	type panelSeen struct {
		Widths []float64
		Values []string
	}
	panels := chromium.Evaluate[[]panelSeen](t, b, `[...document.querySelectorAll("g.bars")].map(g => ({
		Widths: [...g.querySelectorAll("rect.bar")].map(r => Number(r.getAttribute("width"))),
		Values: [...g.querySelectorAll(".value")].map(v => v.textContent.split(/,? /)[0]) }))`)
	if len(panels) != len(r.Workloads) {
		t.Fatalf("%d panels of bars, want %d", len(panels), len(r.Workloads))
	}
	cut := 0
	for _, panel := range panels {
		values := make([]float64, len(panel.Values))
		for i, v := range panel.Values {
			values[i] = figure(t, v)
		}
		sorted := slices.Sorted(slices.Values(values))
		for i, v := range values {
			got, want := panel.Widths[i]/panel.Widths[0], v/values[0]
			broken := v > 3*sorted[len(sorted)-2]
			if broken {
				cut++
			}
			if broken != (got < want*0.8) || !broken && math.Abs(got/want-1) > 0.03 {
				t.Errorf("the bar of %v is %.2f times as long as that of %v, want %.2f", v, got, values[0], want)
			}
		}
	}
	if got := chromium.Evaluate[int](t, b, `document.querySelectorAll(".break").length`); got != cut || cut == 0 {
		t.Errorf("%d bars are broken, want %d", got, cut)
	}

	show(t, b, r, "ratios")
	dots := 0
	for _, target := range r.Targets {
		dots += len(target.Ratios)
	}
	xs := chromium.Evaluate[[]float64](t, b, `[...document.querySelectorAll("circle.dot")].map(c => Number(c.getAttribute("cx")))`)
	if len(xs) != dots {
		t.Fatalf("%d dots, want %d", len(xs), dots)
	}
	type pair struct{ x, ratio float64 }
	var pairs []pair
	for _, target := range r.Targets {
		for _, ratio := range target.Ratios {
			pairs = append(pairs, pair{xs[len(pairs)], ratio})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int { return int(1e9 * (a.ratio - b.ratio)) })
	for i := 1; i < len(pairs); i++ {
		if pairs[i].x < pairs[i-1].x {
			t.Errorf("%v is drawn left of %v", pairs[i].ratio, pairs[i-1].ratio)
		}
	}

	// A higher mark is a longer time, within each panel.
	show(t, b, r, "latency")
	type markSeen struct {
		Y   float64
		Tip string
	}
	marks := chromium.Evaluate[[]markSeen](t, b, `[...document.querySelectorAll("path.mark")].filter(m => m.querySelector("title")).map(m => ({Y: m.getCTM().f / m.getCTM().a, Tip: m.textContent}))`)
	drawn, over, panel := 0, 0, [][]markSeen{{}}
	for _, m := range marks {
		if strings.Contains(m.Tip, "overload") {
			over++
			continue
		}
		drawn++
		last := panel[len(panel)-1]
		if len(last) > 0 && m.Y > slices.MaxFunc(last, func(a, b markSeen) int { return int(a.Y - b.Y) }).Y+30 {
			panel = append(panel, nil)
		}
		panel[len(panel)-1] = append(panel[len(panel)-1], m)
	}
	if drawn != 3*(len(r.Latency)-over) || len(panel) != 3 {
		t.Errorf("%d marks in %d panels, and %d of overloads, of %d measurements", drawn, len(panel), over, len(r.Latency))
	}
	for _, marks := range panel {
		slices.SortFunc(marks, func(a, b markSeen) int { return int(1e3 * (a.Y - b.Y)) })
		for i := 1; i < len(marks); i++ {
			// Marks beyond the scale are all at its edge.
			if marks[i].Y-marks[i-1].Y > 0.2 && tipTime(t, marks[i].Tip) > tipTime(t, marks[i-1].Tip)*1.02 {
				t.Errorf("%q is drawn below %q", marks[i].Tip, marks[i-1].Tip)
			}
		}
	}
}

// tipTime returns the median in a mark's tooltip, such as "this service at 15,195/s (10 %):
// 47.9 us (46 - 49.5 us)", in microseconds.
func tipTime(t *testing.T, tip string) float64 {
	t.Helper()
	_, rest, _ := strings.Cut(tip, "): ")
	time, _, _ := strings.Cut(rest, " (")
	return figure(t, time)
}
