package report

import (
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// A pod may leave the endpoints before the kubelet tells it to stop. Counted from the
// deletion, both times make sense.
func TestPodTimesAreCountedFromTheDeletion(t *testing.T) {
	deleted := record.Pod{Name: "deleted", Deleted: at(3), Killing: at(3.9), EndpointGone: at(3.1), Exited: at(5)}
	signalled := deleted
	signalled.Name, signalled.Signalled = "signalled", at(4)
	restarted := record.Pod{Name: "restarted", Signalled: at(2), EndpointGone: at(2.5), Exited: at(3)} // by the kubelet, without a deletion
	run := &record.Run{Began: began, Ended: at(9), Pods: []record.Pod{deleted, signalled, restarted, {Name: "alive"}}}
	got := map[string]string{}
	for _, v := range podViews(run, Aggregate(run)) {
		got[v.Name] = strings.Join([]string{v.Deleted, v.Stop, v.Endpoint, v.Exited}, ", ")
	}
	for name, want := range map[string]string{
		"deleted": "3.000 s, +900 ms, +100 ms, +1.1 s", "signalled": "3.000 s, +1 s, +100 ms, +1 s",
		"restarted": "-, 2.000 s, +500 ms, +1 s", "alive": "-, -, -, -",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	for text, p := range map[string]record.Pod{
		" (100 ms after its deletion was seen)": deleted, "": restarted,
		" (50 ms before its deletion was seen)": {Deleted: at(1), EndpointGone: at(1).Add(-50 * time.Millisecond)},
	} {
		if got := afterDeletion(&p); got != text {
			t.Errorf("%q, want %q", got, text)
		}
	}
}

// A value without a bound is neither passed nor failed.
func TestReportedIsNeitherPassedNorFailed(t *testing.T) {
	run := &record.Run{Began: began, Checks: []record.Check{
		{ID: "a", Result: record.Reported}, {ID: "b", Result: record.NotChecked}, {ID: "c", Result: record.Pass}, {ID: "d", Result: record.Fail}, {ID: "e", Result: record.Warning},
	}}
	var order []string
	for _, v := range checkViews(run.Checks) {
		order = append(order, v.ID+" "+v.Word)
	}
	if got := strings.Join(order, ", "); got != "d FAIL, e warning, c pass, a info, b not checked" {
		t.Error(got)
	}
	for _, one := range tiles(run, Aggregate(run)) {
		if one.Label == "checks passed" && one.Value != "1 of 3" {
			t.Errorf("checks passed: %s, want 1 of 3", one.Value)
		}
	}
}
