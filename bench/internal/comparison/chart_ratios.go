package comparison

import (
	"fmt"
	"math"
	"strings"

	"kubernaut.io/dynamic-toolset/internal/chart"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// ratioPicture shows each target with the ratio of every round. It returns nil if there are
// no targets.
func (r *Result) ratioPicture() *picture {
	if len(r.Targets) == 0 {
		return nil
	}
	const (
		left, right = 300, 780
		pitch       = 42
		least, most = 0.0, 3.0 // ratios beyond these are drawn at the edge
	)
	p := &picture{title: "This service against " + r.reference() + ", round by round"}
	low, high := 0.95, 1.05
	for _, t := range r.Targets {
		for _, v := range append([]float64{t.Want}, t.Ratios...) {
			if v >= least && v <= most {
				low, high = min(low, v), max(high, v)
			} else if v > most {
				high = most
			}
		}
	}
	low, high = max(low-0.03, 0), high+0.03
	at := func(v float64) float64 {
		if math.IsNaN(v) {
			v = low
		}
		return left + (right-left)*min(max((v-low)/(high-low), 0), 1)
	}
	bottom := float64(pitch*len(r.Targets)) + 6
	var about []string
	y := 0.0
	for i := range r.Targets {
		t := &r.Targets[i]
		middle := y + pitch/2
		from, to := at(t.Want), float64(right)
		if t.AtMost {
			from, to = left, at(t.Want)
		}
		p.Leaf("rect", "class", "good", "x", from, "y", y+3, "width", max(to-from, 0), "height", pitch-6)
		for _, v := range chart.Ticks(low, high, 9) {
			class := "grid"
			if math.Abs(v-1) < 1e-9 {
				class = "reference"
			}
			p.line(class, at(v), y, at(v), y+pitch)
		}
		p.line("bound", at(t.Want), y+3, at(t.Want), y+pitch-3)
		what, how, _ := strings.Cut(t.Title, ": ")
		p.Text(left-14, middle-3, "name end", format.Cut(what, 38))
		p.Text(left-14, middle+13, "tick end", format.Cut(strings.TrimSpace(how+" "+t.want()), 44))
		got, _ := t.figures()
		verdict := got + " " + t.result()
		if len(t.Ratios) == 0 {
			verdict = got
		}
		class := "value missed"
		if t.Met() {
			class = "value met"
		}
		if len(t.Ratios) > 0 {
			p.line("median", at(t.Got), y+5, at(t.Got), y+pitch-5)
		}
		for n, v := range t.Ratios {
			// The rounds are one below the other, the first at the top.
			dy := float64(pitch-18) * ((float64(n)+0.5)/float64(len(t.Ratios)) - 0.5)
			p.Open("circle", "class", "dot", "cx", at(v), "cy", middle+dy, "r", 4.2)
			p.Title(fmt.Sprintf("round %d: %s", n+1, ratio(v)))
			p.Close("circle")
		}
		p.Text(right+16, middle+4, class, verdict)
		about = append(about, fmt.Sprintf("%s: %s, wanted %s, %s", format.Cut(t.Title, 80), got, t.want(), t.result()))
		y += pitch
	}
	for _, v := range chart.Ticks(low, high, 9) {
		p.Text(at(v), bottom+10, "tick mid", format.Digits(max(v, 0)))
	}
	p.Text((left+right)/2, bottom+27, "tick mid", "ratio to "+r.reference())
	p.note(bottom+50, "Dots: one round each, the first at the top; both servers measured one after the other. Upright line: median. Green: what the target allows.")
	p.height = bottom + 62
	p.about = spoken(about)
	return p
}
