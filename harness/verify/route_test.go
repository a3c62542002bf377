package verify

import (
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func TestRoute(t *testing.T) {
	began := time.Now()
	at := func(s float64) time.Time { return began.Add(time.Duration(s * float64(time.Second))) }
	refused := func(s float64) record.Request { return record.Request{Path: "/", Outcome: record.Refused, End: at(s)} }
	wrong := func(s float64) record.Request {
		return record.Request{Method: "GET", Path: "/nope", Outcome: record.UnexpectedStatus, Status: 200, Detail: "status 200, want 404", End: at(s)}
	}
	fresh := func() *route { return newRoute(2) }
	decided := func(r *route) bool {
		select {
		case <-r.done:
			return true
		default:
			return false
		}
	}

	r := fresh()
	for i := range 2 * routeSuccesses { // a failure resets the count
		r.take(record.Request{Path: "/", Outcome: record.OK, Status: 200})
		if i == routeSuccesses/2 {
			r.take(refused(0))
		}
		if want := i+1 >= routeSuccesses/2+1+routeSuccesses; decided(r) != want {
			t.Fatalf("after %d: decided %v", i+1, !want)
		}
	}
	if !r.routed || r.mistake != "" {
		t.Errorf("%+v", r)
	}

	// If responses name their pod, both must have answered. Here the node has no rule
	// for one of them yet.
	r = fresh()
	for range 3 * routeSuccesses {
		r.take(record.Request{Path: "/", Outcome: record.OK, Status: 200, Pod: "a"})
	}
	if !r.routed || decided(r) || r.count() != 1 {
		t.Errorf("one of two pods has answered, and it is decided: %+v", r)
	}
	r.take(record.Request{Path: "/", Outcome: record.OK, Status: 200, Pod: "b"})
	if !decided(r) {
		t.Error("both have answered, and it is not decided")
	}

	r = fresh() // refused for long: nobody answers, which is not a mistake
	r.take(refused(0))
	r.take(refused(29))
	if decided(r) || !strings.Contains(r.last, "refused") {
		t.Errorf("%+v", r)
	}

	r = fresh() // a wrong answer for a moment only
	r.take(wrong(0))
	r.take(record.Request{Path: "/nope", Outcome: record.NotProblem, Status: 404, End: at(1)})
	r.take(wrong(5))
	if decided(r) {
		t.Errorf("%+v", r)
	}
	r.take(wrong(9.1))
	if !decided(r) || r.routed || !strings.Contains(r.mistake, "GET /nope: unexpected status: status 200, want 404") {
		t.Errorf("%+v", r)
	}

	// A stream that ends without an event is a mistake, too: its path is another one's.
	stream := func(s float64, events int) record.Request {
		return record.Request{Class: record.Stream, Path: "/events", Outcome: record.StreamBroken, Status: 200, Events: events, End: at(s)}
	}
	r = fresh()
	r.take(stream(0, 0))
	r.take(stream(5, 0))
	if !decided(r) || r.mistake == "" {
		t.Errorf("streams without an event: %+v", r)
	}
	r = fresh()
	r.take(stream(0, 1))
	r.take(stream(5, 1))
	if decided(r) {
		t.Errorf("streams with an event: %+v", r)
	}
}
