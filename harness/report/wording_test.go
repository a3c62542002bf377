package report

import (
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func TestVerdict(t *testing.T) {
	pass, fail, not := record.Check{ID: "a", Result: record.Pass}, record.Check{ID: "exit", Result: record.Fail}, record.Check{ID: "c", Result: record.NotChecked}
	good := record.Request{Class: record.New, Outcome: record.OK, Sent: began, End: began}
	bad := record.Request{Class: record.New, Outcome: record.Refused, Sent: began, End: began}
	restart := func(n string) record.Phase {
		return record.Phase{Name: n, Kind: record.Action, Began: began, Ended: at(1)}
	}
	for _, c := range []struct {
		checks   []record.Check
		requests []record.Request
		phases   []record.Phase
		want     string
	}{
		{[]record.Check{pass, not}, []record.Request{good, good}, []record.Phase{restart("rolling restart 1"), restart("rolling restart 2"), restart("node drain")},
			"PASSED: none of 2 requests lost during 2 rolling restarts, 1 node drain (2 s)"},
		{[]record.Check{pass, fail}, []record.Request{good}, []record.Phase{restart("scale down and up 1"), restart("scale down and up 2")},
			"FAILED: none of 1 request lost during 2 x scale down and up, but 1 check failed: exit (2 s)"},
		{[]record.Check{fail}, []record.Request{good, bad}, nil, "FAILED: 1 of 2 requests lost (2 s)"},
		{[]record.Check{not}, []record.Request{good}, nil, "FAILED: no check was made; none of 1 request lost (2 s)"},
		{nil, nil, nil, "FAILED: no check was made; no request was sent (2 s)"},
		{[]record.Check{not, {ID: "latency", Result: record.Reported}}, []record.Request{good}, nil, "FAILED: no check was made; none of 1 request lost (2 s)"},
		{[]record.Check{pass}, []record.Request{bad}, nil, "PASSED in the checks that were made, though 1 of 1 request lost (2 s)"},
	} {
		run := &record.Run{Began: began, Ended: at(2), Checks: c.checks, Requests: c.requests, Phases: c.phases}
		s := Aggregate(run)
		if s.Verdict != c.want {
			t.Errorf("got  %q\nwant %q", s.Verdict, c.want)
		}
		if s.Passed != run.Passed() || s.Passed != (s.Verdict[:4] == "PASS") {
			t.Errorf("%q, but passed is %v", s.Verdict, s.Passed)
		}
	}
}

func TestHumanDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 1: "1 ns", 850 * time.Nanosecond: "850 ns", 1500 * time.Nanosecond: "1.5 us", 999_700: "1000 us",
		1234567: "1.23 ms", 35 * time.Millisecond: "35 ms", 1250 * time.Millisecond: "1.25 s", 62100 * time.Millisecond: "62.1 s",
		119 * time.Second: "119 s", 125 * time.Second: "2 min 5 s", 300 * time.Second: "5 min", 2*time.Hour + 61*time.Second: "2 h 1 min", -30 * time.Millisecond: "-30 ms",
		time.Time{}.Sub(began): "-2562047 h 47 min", // of a phase that did not end
	} {
		if got := human(d); got != want {
			t.Errorf("%d ns is %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 27971: "27,971", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for _, c := range []struct {
		text string
		n    int
		want string
	}{{"short", 5, "short"}, {"longer text", 8, "longe..."}, {"äöüäöüäöü", 9, "äöüäöüäöü"}, {"äöüäöüäöüß", 9, "äöüäöü..."}} {
		if got := cut(c.text, c.n); got != c.want {
			t.Errorf("cut to %d: %q, want %q", c.n, got, c.want)
		}
	}
}
