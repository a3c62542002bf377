package report

import (
	"slices"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// A run that is small enough to be counted by hand.
func TestAggregateByHand(t *testing.T) {
	request := func(class record.Class, outcome record.Outcome, due, sent, end float64, pod string) record.Request {
		return record.Request{Class: class, Outcome: outcome, Due: at(due), Sent: at(sent), End: at(end), Pod: pod}
	}
	run := &record.Run{
		Began: began, Ended: at(4),
		Load: []record.Client{{Class: record.New, Rate: 1, Late: time.Millisecond, Skipped: 2}, {Class: record.Slow, Rate: 3, Connections: 7}},
		Phases: []record.Phase{
			{Name: "baseline", Kind: record.Baseline, Began: at(0), Ended: at(2)},
			{Name: "rolling restart 1", Kind: record.Action, Began: at(2), Ended: at(3)},
		},
		Pods:   []record.Pod{{Name: "a"}, {Name: "b"}},
		Checks: []record.Check{{ID: "requests", Result: record.Fail}},
		Requests: []record.Request{
			request(record.Blind, record.OK, 0.1, 0.1, 0.11, "a"),
			request(record.Blind, record.OK, 0.2, 0.2, 0.23, "b"),
			request(record.New, record.Refused, 2.0, 2.0, 2.01, ""),              // a moment between two phases belongs to the later
			request(record.New, record.DialTimeout, 1.9, 2.4, 3.9, "gone-since"), // counts in the second and the phase in which it was due
			request(record.Blind, record.OK, 0.9, 1.5, 1.6, "a"),                 // sent late: its latency counts since it was due
			request(record.Blind, record.EOFBefore, 3.5, 3.5, 3.6, "b"),
		},
	}
	s := Aggregate(run)

	if s.Sent != 6 || s.Failed != 3 || s.PodUnknown != 2 || s.Passed {
		t.Errorf("sent %d, failed %d, pod unknown %d, passed %v; want 6, 3, 2, false", s.Sent, s.Failed, s.PodUnknown, s.Passed)
	}
	wantClasses := []ClassSummary{
		{ClassNumbers: ClassNumbers{record.Blind, Numbers{4, 1, 30 * time.Millisecond, 700 * time.Millisecond, 700 * time.Millisecond}}, Rate: 4 / 3.4}, // the load lasts from 0.1 to 3.5 s
		{ClassNumbers: ClassNumbers{record.New, Numbers{2, 2, 0, 0, 0}}, Rate: 2 / 3.4, AskedRate: 1, Late: time.Millisecond, Skipped: 2},
		// Readers must see a class that was told to send and sent nothing.
		{ClassNumbers: ClassNumbers{Class: record.Slow}, AskedRate: 3, Connections: 7},
	}
	if !slices.Equal(s.Classes, wantClasses) {
		t.Errorf("classes\n%+v, want\n%+v", s.Classes, wantClasses)
	}
	if got := []int{s.Phases[0].Sent, s.Phases[0].Failed, s.Phases[1].Sent, s.Phases[1].Failed}; !slices.Equal(got, []int{4, 1, 1, 1}) {
		t.Errorf("phases sent and failed %v, want 4 1 1 1", got)
	}
	if want := []PodSummary{{"a", 2, 0}, {"b", 1, 1}}; !slices.Equal(s.Pods, want) {
		t.Errorf("pods %+v, want %+v", s.Pods, want)
	}
	var seconds [][2]int
	for _, one := range s.Seconds {
		sent := 0
		for _, c := range one.Classes {
			sent += c.Sent
		}
		seconds = append(seconds, [2]int{one.Second, sent})
	}
	if want := [][2]int{{0, 3}, {1, 1}, {2, 1}, {3, 1}}; !slices.Equal(seconds, want) {
		t.Errorf("seconds and what was due in them %v, want %v", seconds, want)
	}
	var lost []record.Outcome // in the order in which they were lost
	for _, f := range s.Failures {
		lost = append(lost, f.Outcome)
	}
	if want := []record.Outcome{record.Refused, record.EOFBefore, record.DialTimeout}; !slices.Equal(lost, want) {
		t.Errorf("failures %v, want %v", lost, want)
	}
	if want := "FAILED: 3 of 6 requests lost during 1 rolling restart (4 s)"; s.Verdict != want {
		t.Errorf("verdict %q, want %q", s.Verdict, want)
	}
}

func TestTotalsAddUp(t *testing.T) {
	for name, run := range map[string]*record.Run{"clean": cleanRun(), "naive": naiveRun()} {
		s := Aggregate(run)
		check := func(what string, sent, failed int) {
			if sent != s.Sent || failed != s.Failed {
				t.Errorf("%s: the %s have %d sent, %d failed; in all it is %d, %d", name, what, sent, failed, s.Sent, s.Failed)
			}
		}
		if s.Sent != len(run.Requests) {
			t.Errorf("%s: %d sent, of %d", name, s.Sent, len(run.Requests))
		}
		sent, failed := 0, 0
		for _, c := range s.Classes {
			sent, failed = sent+c.Sent, failed+c.Failed
		}
		check("classes", sent, failed)
		sent, failed = 0, 0
		for _, second := range s.Seconds {
			for _, c := range second.Classes {
				sent, failed = sent+c.Sent, failed+c.Failed
			}
		}
		check("seconds", sent, failed)
		sent, failed = 0, 0
		for _, p := range s.Phases { // here the phases cover the whole run
			sent, failed = sent+p.Sent, failed+p.Failed
		}
		check("phases", sent, failed)
		sent, failed = 0, s.PodUnknown
		for _, p := range s.Pods {
			sent, failed = sent+p.Served, failed+p.Failed
		}
		check("pods", sent+failed, failed)
		failed = 0
		for _, o := range s.Outcomes {
			failed += o.Count
		}
		check("outcomes", s.Sent, failed)
		if len(s.Failures)+s.FailuresBeyond != s.Failed {
			t.Errorf("%s: %d failures kept and %d beyond, of %d", name, len(s.Failures), s.FailuresBeyond, s.Failed)
		}
	}
}

// The pods end long after the load, which must not look like a lower rate. And a
// request or two are not a rate of thousands.
func TestRateIsThatOfTheLoad(t *testing.T) {
	run := &record.Run{Began: began, Ended: at(600)}
	for i := range 5001 {
		due := at(20 + float64(i)/500)
		run.Requests = append(run.Requests, record.Request{Class: record.New, Outcome: record.OK, Due: due, Sent: due.Add(time.Minute), End: due.Add(time.Minute)})
	}
	if got := Aggregate(run).Classes[0].Rate; got != 500.1 {
		t.Errorf("5,001 requests due within 10 s are %v/s, want 500.1", got)
	}
	run.Requests = run.Requests[:2]
	if got := Aggregate(run).Classes[0].Rate; got != 2 {
		t.Errorf("2 requests due within 2 ms are %v/s, want 2", got)
	}
}

func TestFailuresAreBounded(t *testing.T) {
	run := &record.Run{Began: began, Ended: at(20)}
	for i := range maxFailures + 7 {
		run.Requests = append(run.Requests, record.Request{Class: record.New, Outcome: record.Refused, Sent: at(float64(i) / 1000), End: at(float64(i) / 1000)})
	}
	s := Aggregate(run)
	if len(s.Failures) != maxFailures || s.FailuresBeyond != 7 || s.Failed != maxFailures+7 {
		t.Errorf("%d kept, %d beyond, %d in all", len(s.Failures), s.FailuresBeyond, s.Failed)
	}
}

// A response that was cut had begun, so the close had not arrived before the request: any
// client would have lost it, whatever its client has noted.
func TestOnlyBlindAreThoseWithoutAResponse(t *testing.T) {
	t.Parallel()
	run := &record.Run{Began: began, Ended: at(4)}
	for _, outcome := range []record.Outcome{record.EOFBefore, record.ResetBefore, record.EOFMid, record.ResponseTimeout} {
		run.Requests = append(run.Requests, record.Request{Class: record.Blind, Outcome: outcome, SentAfterClose: true, Due: at(1), Sent: at(1), End: at(2)})
	}
	if s := Aggregate(run); s.OnlyBlind != 2 || s.Failed != 4 {
		t.Errorf("%d of %d", s.OnlyBlind, s.Failed)
	}
}
