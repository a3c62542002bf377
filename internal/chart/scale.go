package chart

import "math"

// RoundUp returns the next round number that is not less than v, at least 1. It is for
// the top of a scale.
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

// A LogScale places values above 0: each power of ten has the same height.
type LogScale struct {
	low, high   float64 // powers of ten
	top, height float64
}

// NewLogScale returns a scale of whole powers of ten with room for the values from least
// to most. most is drawn at top; the scale extends by height below it.
func NewLogScale(least, most, top, height float64) LogScale {
	s := LogScale{low: math.Floor(power(least)), high: math.Ceil(power(most)), top: top, height: height}
	if s.high <= s.low {
		s.high = s.low + 1
	}
	return s
}

// NewFineLogScale returns a scale that begins and ends with 1, 2 or 5 times a power of
// ten, so that less of its height is empty.
func NewFineLogScale(least, most, top, height float64) LogScale {
	s := NewLogScale(least, most, top, height)
	marks := s.Marks()
	for _, m := range marks[:len(marks)-1] {
		if m <= least*1.0000001 {
			s.low = math.Log10(m)
		}
	}
	for i := len(marks) - 1; i > 0; i-- {
		if m := math.Log10(marks[i]); marks[i] >= most*0.9999999 && m > s.low {
			s.high = m
		}
	}
	return s
}

// power returns the power of ten of v, within bounds that can be drawn.
func power(v float64) float64 {
	const most = 300
	p := math.Log10(v)
	if !(p >= -most) { // also if p is not a number
		return -most
	}
	return min(p, most)
}

// Y returns the coordinate of a value. A value beyond the scale is drawn at its edge.
func (s LogScale) Y(v float64) float64 {
	share := (math.Log10(v) - s.low) / (s.high - s.low)
	if math.IsNaN(share) {
		share = 0
	}
	return s.top + s.height*(1-min(max(share, 0), 1))
}

// Top returns the highest value of the scale.
func (s LogScale) Top() float64 { return math.Pow(10, s.high) }

// Powers returns the powers of ten from the bottom of the scale to its top.
func (s LogScale) Powers() []float64 { return s.marks(1) }

// Marks returns the powers of ten, and 2 and 5 times each.
func (s LogScale) Marks() []float64 { return s.marks(1, 2, 5) }

func (s LogScale) marks(times ...float64) []float64 {
	const almost = 1e-9 // logarithms are not exact
	var all []float64
	for p := int(math.Floor(s.low)); p <= int(math.Ceil(s.high)); p++ {
		for _, m := range times {
			v := m * math.Pow10(p)
			if l := math.Log10(v); l >= s.low-almost && l <= s.high+almost {
				all = append(all, v)
			}
		}
	}
	return all
}

// Ticks returns at most n+1 round numbers from low to high, at equal distances of 1, 2 or
// 5 times a power of ten; none if there is nothing between low and high, or if they are
// not numbers.
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
