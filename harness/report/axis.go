package report

import (
	"math"
	"strconv"
	"time"
)

// timeAxis places moments on the picture.
type timeAxis struct {
	from        time.Time
	length      time.Duration
	left, width float64
}

// x is where a moment is drawn; one outside of the run is drawn at its edge.
func (a timeAxis) x(t time.Time) float64 { return a.at(t.Sub(a.from)) }

func (a timeAxis) at(d time.Duration) float64 {
	share := float64(d) / float64(a.length)
	return a.left + a.width*min(max(share, 0), 1)
}

// ticks gives round moments, at most about n.
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
	for i := range a.length/step + 1 { // counted: a sum of steps could overflow
		ticks = append(ticks, i*step)
	}
	return ticks
}

// seconds writes a tick: always seconds, so that it can be compared with the
// tables and the logs.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s"
}

// roundUp gives the next round number that is not less, for the top of a scale.
func roundUp(v float64) float64 {
	if v <= 1 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 1.5, 2, 3, 4, 5, 7.5, 10} {
		if v <= m*power*1.0000001 {
			return m * power
		}
	}
	return 10 * power
}

// logScale places latencies: each power of ten has the same height.
type logScale struct {
	low, high   int // powers of ten, of nanoseconds
	top, height float64
}

func newLogScale(least, most time.Duration, top, height float64) logScale {
	s := logScale{low: 5, high: 8, top: top, height: height} // 100 us to 100 ms where nothing is known
	if most > 0 {
		s.low = int(math.Floor(math.Log10(float64(max(least, 1)))))
		s.high = int(math.Ceil(math.Log10(float64(most))))
	}
	if s.high <= s.low {
		s.high = s.low + 1
	}
	return s
}

func (s logScale) y(d time.Duration) float64 {
	share := (math.Log10(float64(max(d, 1))) - float64(s.low)) / float64(s.high-s.low)
	return s.top + s.height*(1-min(max(share, 0), 1))
}
