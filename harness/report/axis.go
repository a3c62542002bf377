package report

import (
	"strconv"
	"time"
)

// A timeAxis maps times to x coordinates.
type timeAxis struct {
	from        time.Time
	length      time.Duration
	left, width float64
}

// x returns the coordinate of a time. A time outside of the run is at the edge.
func (a timeAxis) x(t time.Time) float64 { return a.at(t.Sub(a.from)) }

func (a timeAxis) at(d time.Duration) float64 {
	share := float64(d) / float64(a.length)
	return a.left + a.width*min(max(share, 0), 1)
}

// ticks returns about n round times, at most 2n+1.
func (a timeAxis) ticks(n int) (ticks []time.Duration) {
	steps := []time.Duration{
		100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute,
	}
	step := time.Hour
	for _, s := range steps {
		if a.length/s <= time.Duration(n) {
			step = s
			break
		}
	}
	for a.length/step > time.Duration(2*n) {
		step *= 2
	}
	for i := range a.length/step + 1 { // a count, since a sum of steps could overflow
		ticks = append(ticks, i*step)
	}
	return ticks
}

// seconds formats a tick: always in seconds, like the tables and logs.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s"
}
