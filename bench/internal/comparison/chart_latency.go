package comparison

import (
	"fmt"
	"math"
	"slices"

	"kubernaut.io/dynamic-toolset/internal/chart"
	"kubernaut.io/dynamic-toolset/internal/format"
)

const (
	latencyLeft   = 76
	latencyRight  = pictureWidth - 24
	latencyHeight = 190
	overloadPitch = 17
	// reach is the largest ratio of the ends of a time scale. Without a limit, the times
	// close to saturation would leave no room for the differences of the others.
	reach = 50
)

// latencyPicture shows the latency at each rate in three panels, one for each quantile.
// Above them it shows the rates at which servers did not keep up.
func (r *Result) latencyPicture(l *latencySummary) *picture {
	d := &latencyDrawing{picture: &picture{title: "Latency against rate: " + format.Cut(l.workload.called(), 60)}, l: l}
	for _, rate := range l.rates {
		d.most = max(d.most, rate.rate)
		for _, row := range rate.rows {
			if !slices.Contains(d.servers, row.server) {
				d.servers = append(d.servers, row.server)
			}
		}
	}
	d.legend()
	d.overloads()
	for _, q := range []struct {
		title string
		of    func(*latencyRow) spread
	}{
		{"p50: half of the requests took at most this long", func(l *latencyRow) spread { return l.p50 }},
		{"p99: 99 of 100 requests", func(l *latencyRow) spread { return l.p99 }},
		{"p99.9: 999 of 1,000 requests", func(l *latencyRow) spread { return l.p999 }},
	} {
		d.panel(q.title, q.of)
	}
	d.rates()
	d.note(d.height+4, "Time from when each request was due, logarithmic. Marks: median of the rounds, lines through them: lowest to highest. Marks of one rate are drawn")
	d.note(d.height+20, "beside one another. At the upper edge, with the figure: beyond the scale. Dotted: on to where the server no longer kept up.")
	d.height += 32
	d.about = d.spoken()
	return d.picture
}

type latencyDrawing struct {
	*picture
	l       *latencySummary
	servers []Server
	most    float64 // highest rate
	// beyond counts, by rate, the figures written at the upper edge of the panel, one below
	// the other.
	beyond map[float64]int
}

func (d *latencyDrawing) x(rate float64) float64 {
	if d.most <= 0 {
		return latencyLeft
	}
	return latencyLeft + (latencyRight-latencyLeft-14)*(max(rate, 0)/d.most)
}

// beside returns the horizontal distance of a server's marks from the rate, so that equal
// figures don't cover each other.
func (d *latencyDrawing) beside(name string) float64 {
	for i, c := range d.servers {
		if c.Name == name {
			return 3.2 * (float64(i) - float64(len(d.servers)-1)/2)
		}
	}
	return 0
}

func (d *latencyDrawing) legend() {
	x, y := float64(latencyLeft), 8.0
	for _, c := range d.servers {
		text := format.Cut(c.called(), nameWidth)
		long := 6.3*float64(len(text)) + 42
		if x+long > latencyRight && x > latencyLeft {
			x, y = latencyLeft, y+20
		}
		d.line("line "+colour(c.Name), x-4, y, x+18, y)
		d.mark(x+7, y, c.Name, "")
		d.Text(x+24, y+4, nameClass(c.Name), text)
		x += long
	}
	d.height = y + 24
}

// overloads shows the rates at which each server did not keep up.
func (d *latencyDrawing) overloads() {
	first := true
	for _, c := range d.servers {
		last := math.NaN()
		for _, rate := range d.l.rates {
			for i := range rate.rows {
				row := &rate.rows[i]
				if row.server.Name != c.Name || row.overload == "" {
					continue
				}
				if first {
					d.Text(latencyLeft, d.height+12, "panel", "overload: not all requests were answered")
					d.height += 30
					first = false
				}
				x := d.x(rate.rate)
				if math.IsNaN(last) {
					d.Text(x-12, d.height+4, nameClass(c.Name)+" end", format.Cut(c.called(), nameWidth))
				} else {
					d.line("line beyond "+colour(c.Name), last, d.height, x, d.height)
				}
				d.mark(x, d.height, c.Name, c.called()+" at "+count(rate.rate)+"/s: "+row.overload)
				last = x
			}
		}
		if !math.IsNaN(last) {
			d.height += overloadPitch
		}
	}
	if !first {
		d.height += 8
	}
}

func (d *latencyDrawing) panel(title string, of func(*latencyRow) spread) {
	d.Text(latencyLeft, d.height+12, "panel", title)
	top := d.height + 22
	least, most := math.Inf(1), 0.0
	for _, rate := range d.l.rates {
		for i := range rate.rows {
			if s := of(&rate.rows[i]); s.rounds > 0 && s.low > 0 {
				least, most = min(least, s.low), max(most, s.high)
			}
		}
	}
	d.height = top + latencyHeight + 22
	if most == 0 {
		d.Text(latencyLeft+8, top+24, "quiet", "no figures")
		d.height = top + 44
		return
	}
	scale := chart.NewFineLogScale(least, min(most, reach*least), top, latencyHeight)
	for _, v := range scale.Marks() {
		d.gridline(scale.Y(v), micros(v))
	}
	for _, rate := range d.l.rates {
		d.line("grid", d.x(rate.rate), top, d.x(rate.rate), top+latencyHeight)
	}
	d.beyond = map[float64]int{}
	for _, c := range d.servers {
		d.series(c, scale, top, of)
	}
}

// series draws a server's marks and the line through them, with gaps where it has no figures.
func (d *latencyDrawing) series(c Server, scale chart.LogScale, top float64, of func(*latencyRow) spread) {
	path, drawing := "", false
	var lastX, lastY float64
	type point struct {
		x, y float64
		tip  string
	}
	var points []point
	for _, rate := range d.l.rates {
		for i := range rate.rows {
			row := &rate.rows[i]
			if row.server.Name != c.Name {
				continue
			}
			s := of(row)
			x := d.x(rate.rate) + d.beside(c.Name)
			if s.rounds == 0 {
				if row.overload != "" && drawing {
					d.line("line beyond "+colour(c.Name), lastX, lastY, x, top)
				}
				drawing = false
				continue
			}
			y := scale.Y(s.median)
			path += map[bool]string{false: "M", true: "L"}[drawing] + chart.Coordinate(x) + " " + chart.Coordinate(y)
			drawing, lastX, lastY = true, x, y
			median, between := s.text(micros)
			tip := fmt.Sprintf("%s at %s/s (%s): %s", c.called(), count(rate.rate), percent(rate.share), median)
			if between != "" {
				tip += " (" + between + ")"
			}
			points = append(points, point{x, y, tip})
			if s.median > scale.Top()*1.001 {
				d.Text(x-9, y+4+13*float64(d.beyond[rate.rate]), "tick end", median)
				d.beyond[rate.rate]++
			}
			if s.rounds > 1 {
				d.line("whisker "+colour(c.Name), x, scale.Y(s.low), x, scale.Y(s.high))
			}
		}
	}
	if len(points) == 0 {
		return
	}
	d.Leaf("path", "class", "line "+colour(c.Name), "d", path)
	for _, one := range points {
		d.mark(one.x, one.y, c.Name, one.tip)
	}
}

func (d *latencyDrawing) gridline(y float64, label string) {
	d.line("grid", latencyLeft, y, latencyRight, y)
	d.Text(latencyLeft-8, y+4, "tick end", label)
}

// rates labels the axis with the measured rates, as far as there is room.
func (d *latencyDrawing) rates() {
	last := math.Inf(-1)
	y := d.height
	d.Text(latencyLeft-8, y, "tick end", "requests/s")
	d.Text(latencyLeft-8, y+15, "tick end", "saturation")
	for _, rate := range d.l.rates {
		x := d.x(rate.rate)
		if x-last < 58 {
			continue
		}
		d.Text(x, y, "tick mid", count(rate.rate))
		d.Text(x, y+15, "tick mid", percent(rate.share))
		last = x
	}
	d.height = y + 32
}

// spoken returns the p99 of all servers as text, or that they did not keep up.
func (d *latencyDrawing) spoken() string {
	var all []string
	for _, rate := range d.l.rates {
		text := "p99 at " + count(rate.rate) + "/s:"
		for i := range rate.rows {
			row := &rate.rows[i]
			value, _ := row.p99.text(micros)
			if row.overload != "" {
				value = "overload"
			}
			if i > 0 {
				text += ","
			}
			text += " " + format.Cut(row.server.called(), nameWidth) + " " + value
		}
		all = append(all, text)
	}
	return spoken(all)
}
