package record

import (
	"testing"
	"time"
)

// SIGTERM comes when the preStop hook is over, not when the kubelet begins to end the pod.
func TestSIGTERM(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	for _, p := range []struct {
		what  string
		pod   Pod
		want  float64 // 0: not known
		since string  // at 30 s
	}{
		{"no hook", Pod{Deleted: at(1), Killing: at(2)}, 2, "28s after SIGTERM"},
		{"a log line", Pod{Deleted: at(1), Killing: at(2), Signalled: at(3)}, 3, "27s after SIGTERM"},
		{"a sleep", Pod{Killing: at(2), PreStop: &PreStop{Sleep: 10 * time.Second}, Grace: time.Minute}, 12, "18s after SIGTERM, which came 10s after its preStop hook began"},
		{"a sleep and a log line", Pod{Killing: at(2), Signalled: at(13), PreStop: &PreStop{Sleep: 10 * time.Second}}, 13, "17s after SIGTERM, which came 11s after its preStop hook began"},
		{"another hook", Pod{Killing: at(2), PreStop: &PreStop{}}, 0, "28s after its preStop hook began"},
		{"a sleep longer than the grace period", Pod{Killing: at(2), PreStop: &PreStop{Sleep: time.Minute}, Grace: 30 * time.Second}, 0, "28s after its preStop hook began"},
		{"an end during the hook", Pod{Killing: at(2), Exited: at(5), PreStop: &PreStop{Sleep: 10 * time.Second}}, 0, "28s after its preStop hook began"},
		{"no event", Pod{Deleted: at(1)}, 0, "29s after its deletion"},
	} {
		got, by := p.pod.SIGTERM()
		if p.want == 0 != got.IsZero() || p.want != 0 && !got.Equal(at(p.want)) || got.IsZero() != (by == "") {
			t.Errorf("%s: %v %q, not %g s", p.what, got, by, p.want)
		}
		if since := p.pod.SinceStop(at(30), time.Duration.String); since != p.since {
			t.Errorf("%s: %q, not %q", p.what, since, p.since)
		}
	}
}

func TestLostBefore(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(1000+s), 0) }
	run := Run{
		Phases: []Phase{{Kind: Baseline, Began: at(0), Ended: at(5)}, {Kind: Action, Began: at(5), Ended: at(9)}, {Kind: Action, Began: at(20)}},
		Requests: []Request{
			{Outcome: Refused, End: at(3)}, {Outcome: OK, End: at(3)},
			{Outcome: Refused, Due: at(4), End: at(6)}, // was in flight when it began
			{Outcome: Refused, End: at(12)},
		},
	}
	if n := run.LostBefore(); n != 1 {
		t.Errorf("%d", n)
	}
	run.Phases = run.Phases[:1]
	if n := run.LostBefore(); n != 0 {
		t.Errorf("%d, though nothing was done", n)
	}
}
