package format

import (
	"math"
	"testing"
	"time"
)

func TestForPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 1: "1 ns", 850 * time.Nanosecond: "850 ns", 1500 * time.Nanosecond: "1.5 us", 999_700: "1000 us",
		1234567: "1.23 ms", 35 * time.Millisecond: "35 ms", 1250 * time.Millisecond: "1.25 s", 62100 * time.Millisecond: "62.1 s",
		119 * time.Second: "119 s", 125 * time.Second: "2 min 5 s", 300 * time.Second: "5 min", 2*time.Hour + 61*time.Second: "2 h 1 min", -30 * time.Millisecond: "-30 ms",
		math.MinInt64: "-2562047 h 47 min", // since the year 1
	} {
		if got := Duration(d); got != want {
			t.Errorf("%d ns is %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 27971: "27,971", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := Grouped(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for _, c := range []struct {
		text string
		n    int
		want string
	}{{"short", 5, "short"}, {"longer text", 8, "longe..."}, {"äöüäöüäöü", 9, "äöüäöüäöü"}, {"äöüäöüäöüß", 9, "äöüäöü..."}} {
		if got := Cut(c.text, c.n); got != c.want {
			t.Errorf("cut to %d: %q, want %q", c.n, got, c.want)
		}
	}
}

func TestPrintable(t *testing.T) {
	if got, want := Printable("a\nb\tc\r\x1b[2J\u202eä\x7f~ \xff"), "a b c ?[2J???~ ?"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNames(t *testing.T) {
	for want, names := range map[string][]string{"none": nil, "a": {"a"}, "a, b": {"a", "b"}} {
		if got := Names(names); got != want {
			t.Errorf("%q: %q, want %q", names, got, want)
		}
	}
}
