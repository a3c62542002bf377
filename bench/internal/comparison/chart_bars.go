package comparison

import (
	"slices"

	"kubernaut.io/dynamic-toolset/internal/chart"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// A bar is one server's figure.
type bar struct {
	server Server
	figure spread
	value  string // written beside the bar
	tip    string
}

const (
	barPitch = 21
	barThick = 13
)

// bars draws a panel of bars that start at 0, and returns the y coordinate of its lower end.
// names and values are the widths of the texts at the left and the right. A dashed line
// marks the end of the reference's bar across the panel.
func (p *picture) bars(x, y, width, names, values float64, title string, all []bar) float64 {
	p.Open("g", "class", "bars")
	defer p.Close("g")
	if title != "" {
		p.Text(x, y+12, "panel", title)
		y += 22
	}
	most, broken := scaleOf(all)
	left, long := x+names, width-names-values
	at := func(v float64) float64 {
		if most <= 0 {
			return left
		}
		return left + long*min(max(v, 0)/most, 1)
	}
	top := y
	for _, b := range all {
		middle := y + barPitch/2
		p.Text(left-8, middle+4, nameClass(b.server.Name)+" end", format.Cut(b.server.called(), int(names/7)+1))
		end := at(b.figure.median)
		p.Titled("rect", b.tip, "class", "bar "+colour(b.server.Name), "x", left, "y", middle-barThick/2, "width", max(end-left, 0.5), "height", barThick)
		switch {
		case broken && b.figure.median > most:
			p.Leaf("path", "class", "break", "d", "M"+chart.Coordinate(end-26)+" "+chart.Coordinate(middle+barThick/2+3)+"l8-20m4 0l-8 20")
		case b.figure.rounds > 1:
			p.Leaf("path", "class", "range", "d", "M"+chart.Coordinate(at(b.figure.low))+" "+chart.Coordinate(middle)+"H"+chart.Coordinate(at(b.figure.high))+
				"M"+chart.Coordinate(at(b.figure.low))+" "+chart.Coordinate(middle-3)+"v6M"+chart.Coordinate(at(b.figure.high))+" "+chart.Coordinate(middle-3)+"v6")
		}
		p.Text(max(at(b.figure.high), end)+8, middle+4, "value", b.value)
		y += barPitch
	}
	for _, b := range all {
		if b.server.Name == Reference && b.figure.rounds > 0 {
			p.line("reference", at(b.figure.median), top-1, at(b.figure.median), y+1)
		}
	}
	p.line("axis", left, top-1, left, y+1)
	return y + 1
}

// scaleOf returns the figure at the right end of the scale. If one bar is more than three
// times as long as any other, it is broken, so that the others can be compared.
func scaleOf(all []bar) (most float64, broken bool) {
	var highs []float64
	for _, b := range all {
		highs = append(highs, b.figure.high)
	}
	slices.Sort(highs)
	switch n := len(highs); {
	case n == 0:
		return 0, false
	case n > 1 && highs[n-2] > 0 && highs[n-1] > 3*highs[n-2]:
		return 1.4 * highs[n-2], true
	default:
		return highs[n-1], false
	}
}

// cpuPicture shows the CPU time of each server for a million answers. It returns nil if
// there is none.
func (r *Result) cpuPicture() *picture {
	workloads := r.workloads()
	if len(workloads) == 0 {
		return nil
	}
	p := &picture{title: "CPU seconds for a million answers (less is better)"}
	const columns, gap = 2, 28
	const width = (pictureWidth - 28 - gap) / columns
	var about []string
	y := 0.0
	for i := 0; i < len(workloads); i += columns {
		end := y
		for n := i; n < min(i+columns, len(workloads)); n++ {
			w := &workloads[n]
			var all []bar
			text := format.Cut(w.workload.called(), 60) + ":"
			for k, t := range w.rows {
				value, between := t.cpu.text(three)
				tip := t.server.called() + ": " + value + " CPU seconds for a million answers (" + between + ")"
				if t.failed {
					value += " (failed)"
				}
				if t.note != "" {
					tip += "; " + t.note
				}
				all = append(all, bar{t.server, t.cpu, value, tip})
				if k > 0 {
					text += ","
				}
				text += " " + format.Cut(t.server.called(), nameWidth) + " " + value
			}
			about = append(about, text)
			end = max(end, p.bars(14+float64(n-i)*(width+gap), y, width, 198, 86, format.Cut(w.workload.called(), 56), all))
		}
		y = end + 24
	}
	p.note(y-6, "Bars: median of the rounds; lines at their ends: lowest and highest. Each panel has its own scale; a broken bar is longer than it. Dashed: "+r.reference()+".")
	p.height = y + 8
	p.about = spoken(about)
	return p
}

// note writes a line of explanation.
func (p *picture) note(y float64, text string) { p.Text(14, y, "key", text) }
