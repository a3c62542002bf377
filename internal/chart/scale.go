package chart

import "math"

// RoundUp gives the next round number that is not less, for the top of a scale; at
// least 1.
func RoundUp(v float64) float64 {
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

// LogScale places values above 0: each power of ten has the same height.
type LogScale struct {
	low, high   int // powers of ten
	top, height float64
}

// NewLogScale makes a scale of whole powers of ten that has room for the least and
// the most value. Top is where the most is drawn, height what is below it.
func NewLogScale(least, most, top, height float64) LogScale {
	s := LogScale{low: power(least, math.Floor), high: power(most, math.Ceil), top: top, height: height}
	if s.high <= s.low {
		s.high = s.low + 1
	}
	return s
}

// power gives v's power of ten as a whole number, of a size that can be drawn.
func power(v float64, round func(float64) float64) int {
	const most = 300
	p := round(math.Log10(v))
	if !(p >= -most) { // nor a number
		return -most
	}
	return int(min(p, most))
}

// Y is where a value is drawn; one outside of the scale is drawn at its edge.
func (s LogScale) Y(v float64) float64 {
	share := (math.Log10(v) - float64(s.low)) / float64(s.high-s.low)
	if math.IsNaN(share) {
		share = 0
	}
	return s.top + s.height*(1-min(max(share, 0), 1))
}

// Powers are the powers of ten from the bottom of the scale to its top.
func (s LogScale) Powers() []float64 {
	var all []float64
	for p := s.low; p <= s.high; p++ {
		all = append(all, math.Pow10(p))
	}
	return all
}

// Ticks gives the round numbers (1, 2 or 5 times a power of ten apart) from low to
// high, at most n apart from the first. None if there is nothing between the two, or
// they are no numbers.
func Ticks(low, high float64, n int) []float64 {
	width := high - low
	if !(width > 0) || math.IsInf(width, 0) || n < 1 {
		return nil
	}
	least := width / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(least)))
	step := 10 * power
	for _, m := range []float64{1, 2, 5} {
		if m*power >= least*0.9999999 {
			step = m * power
			break
		}
	}
	first := math.Ceil(low/step - 1e-9)
	last := math.Floor(high/step + 1e-9)
	if step == 0 || math.Abs(first) > 1<<50 || math.Abs(last) > 1<<50 {
		return nil // finer than a float64 can count
	}
	var ticks []float64
	for i := range int(last-first) + 1 {
		ticks = append(ticks, (first+float64(i))*step)
	}
	return ticks
}
