package report

import (
	"testing"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func TestVerdict(t *testing.T) {
	pass, fail, not := record.Check{ID: "a", Result: record.Pass}, record.Check{ID: "exit", Result: record.Fail}, record.Check{ID: "c", Result: record.NotChecked}
	good := record.Request{Class: record.New, Outcome: record.OK, Sent: began, End: began}
	blind := record.Request{Class: record.Blind, Outcome: record.EOFBefore, SentAfterClose: true, Sent: began, End: began}
	warned := record.Check{ID: "requests-blind", Result: record.Warning}
	bad := record.Request{Class: record.New, Outcome: record.Refused, Sent: began, End: began}
	early := record.Request{Class: record.New, Outcome: record.Refused, Sent: at(-1), End: at(-1)}
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
		{[]record.Check{fail}, []record.Request{early, bad, bad, good}, []record.Phase{restart("rolling restart 1")},
			"FAILED: 3 of 4 requests lost: 1 before anything was done, 2 during 1 rolling restart (2 s)"},
		{[]record.Check{fail}, []record.Request{early, good}, []record.Phase{restart("rolling restart 1")},
			"FAILED: 1 of 2 requests lost, all of them before anything was done; none during 1 rolling restart (2 s)"},
		{[]record.Check{pass, warned}, []record.Request{good, blind}, []record.Phase{restart("rolling restart 1")},
			"PASSED with 1 warning: none of 2 requests lost by any client, 1 only by clients that don't look, during 1 rolling restart (2 s)"},
		{[]record.Check{pass, fail}, []record.Request{good, blind}, nil, "FAILED: none of 2 requests lost by any client, 1 only by clients that don't look (2 s)"},
		{[]record.Check{fail, warned}, []record.Request{good, bad, blind}, []record.Phase{restart("rolling restart 1")},
			"FAILED: 1 of 3 requests lost by any client, 1 more only by clients that don't look, during 1 rolling restart (2 s)"},
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
