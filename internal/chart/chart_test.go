package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestLogScale(t *testing.T) {
	s := NewLogScale(3, 400, 100, 60) // 1 to 1000
	for v, want := range map[float64]float64{
		1: 160, 10: 140, 1000: 100,
		1e9: 100, 0: 160, -1: 160, math.Inf(1): 100, // values beyond the scale are drawn at its edge
	} {
		if got := s.Y(v); math.Abs(got-want) > 0.01 {
			t.Errorf("%v is at %v, want %v", v, got, want)
		}
	}
	if got := s.Powers(); !slices.Equal(got, []float64{1, 10, 100, 1000}) {
		t.Errorf("powers %v", got)
	}
	fine := NewFineLogScale(3, 400, 100, 60) // 2 to 500
	if got := fine.Marks(); !slices.Equal(got, []float64{2, 5, 10, 20, 50, 100, 200, 500}) {
		t.Errorf("marks %v", got)
	}
	if math.Abs(fine.Y(2)-160) > 0.01 || math.Abs(fine.Y(500)-100) > 0.01 || math.Abs(fine.Top()-500) > 0.01 {
		t.Errorf("2 is at %v, 500 at %v", fine.Y(2), fine.Y(500))
	}
	if got := NewFineLogScale(5, 5, 0, 1).Marks(); !slices.Equal(got, []float64{5, 10}) {
		t.Errorf("around one value: %v", got)
	}
	// Any value can be drawn.
	for _, v := range []float64{0, -1, math.Inf(1), math.Inf(-1), math.NaN(), math.SmallestNonzeroFloat64, math.MaxFloat64} {
		for _, w := range []float64{0, 1, math.NaN(), math.MaxFloat64} {
			s := NewLogScale(v, w, 0, 100)
			if y := s.Y(v); !(y >= 0 && y <= 100) || len(s.Powers()) < 2 || len(s.Powers()) > 601 {
				t.Errorf("from %v to %v: y %v, %d powers", v, w, y, len(s.Powers()))
			}
			fine := NewFineLogScale(v, w, 0, 100)
			if y := fine.Y(v); !(y >= 0 && y <= 100) || len(fine.Marks()) < 2 || len(fine.Marks()) > 1803 {
				t.Errorf("from %v to %v: y %v, %d marks", v, w, y, len(fine.Marks()))
			}
		}
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		n         int
		want      []float64
	}{
		{0, 10, 5, []float64{0, 2, 4, 6, 8, 10}},
		{0, 130_000, 4, []float64{0, 50_000, 100_000}},
		{0.78, 1.13, 8, []float64{0.8, 0.85, 0.9, 0.95, 1, 1.05, 1.1}},
		{0, 0.004, 4, []float64{0, 0.001, 0.002, 0.003, 0.004}},
		{5, 5, 4, nil}, {0, math.Inf(1), 4, nil}, {math.NaN(), 1, 4, nil}, {0, 1, 0, nil}, {1, 1 + 1e-16, 4, nil},
	} {
		got := Ticks(c.low, c.high, c.n)
		if !slices.EqualFunc(got, c.want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9*max(1, math.Abs(b)) }) {
			t.Errorf("%v to %v: %v, want %v", c.low, c.high, got, c.want)
		}
	}
	if got := Ticks(-1e300, 1e300, 5); len(got) > 7 {
		t.Errorf("%d ticks", len(got))
	}
}

func TestRoundUp(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 1: 1, 1.01: 1.5, 14: 15, 150: 150, 151: 200, 7400: 7500, 99_999: 100_000} {
		if got := RoundUp(v); got != want {
			t.Errorf("%v becomes %v, want %v", v, got, want)
		}
	}
}

// Text never becomes markup.
func TestTextsStayTexts(t *testing.T) {
	const hostile = "</text></svg><script>1</script>\"'&lt;]]>\x00\x1b\u202e"
	var d SVG
	d.Text(1, math.NaN(), hostile, hostile)
	d.Titled("rect", hostile, "data-x", hostile, "y", math.Inf(1))
	file := Standalone(10, 20, "", hostile, d.Bytes())
	decoder, texts := xml.NewDecoder(strings.NewReader(string(file))), 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, file)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "script" {
			t.Error("a text became an element")
		}
		if c, ok := token.(xml.CharData); ok && strings.Contains(string(c), "</svg><script>") {
			texts++
		}
	}
	if texts != 2 {
		t.Errorf("the text is shown %d times, want 2 (itself, and as a tooltip)", texts)
	}
	if strings.ContainsAny(string(file), "\x1b\u202e") {
		t.Error("a character that changes what is around it")
	}
}
