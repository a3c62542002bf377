package cause

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// Of a pod whose end nobody saw, nothing can be said.
func TestLostPodsHaveNoLife(t *testing.T) {
	t.Parallel()
	r := newRun().stop(-1, 0.02, 143).lose(4, record.New, record.Refused, 10.2, 0.001)
	for i := range r.Pods {
		r.Pods[i].Lost = true
	}
	if all := lives(r.Run); len(all) > 0 {
		t.Errorf("%d lives", len(all))
	}
	if c := Find(r.Run); len(c) != 1 || c[0].ID != Unknown {
		t.Errorf("%+v", c)
	}
}

// The kubelet reports an end late or early by up to a second.
func TestKilledAtTheEndOfTheGracePeriod(t *testing.T) {
	t.Parallel()
	for _, after := range []float64{28.9, 29.1, 30, 31} {
		r := newRun()
		r.stopOne("a", 10, -1, 30, 137)
		r.Pods[0].Exited = r.Pods[0].Killing.Add(time.Duration(after * float64(time.Second)))
		l := lives(r.Run)[0]
		if killed := after > 29; l.killed != killed || l.early == killed {
			t.Errorf("%g s of 30 s after it was told: killed %v, early %v", after, l.killed, l.early)
		}
	}
}

// A pod is named as a place of losses only if the record is sure of it.
func TestEliminationNamesNoPod(t *testing.T) {
	t.Parallel()
	by := func(source record.PodSource) option { return func(q *record.Request) { q.PodBy = source } }
	for source, want := range map[record.PodSource]string{record.ByElimination: "", record.ByTracking: "a", record.ByConnection: "a"} {
		r := newRun().stop(0.2, 8, 0).lose(4, record.New, record.Refused, 10.5, 0.001, on("a"), by(source))
		c := Find(r.Run)
		if len(c) != 1 || c[0].ID != ListenerClosed || strings.Join(c[0].Pods, " ") != want {
			t.Errorf("%s: %+v", source, c)
		}
	}
}

// A pod that is no suspect has not lost the request, even if its end is closest.
func TestOnlySuspectsLose(t *testing.T) {
	t.Parallel()
	r := newRun()
	r.stopOne("a", 10, 0.2, 8, 0)
	r.stopOne("b", 11, 0.2, 8, 0)
	r.lose(1, record.New, record.Refused, 11.4, 0.001, func(q *record.Request) { q.Suspects = []string{"a"} })
	f := &finder{run: r.Run, lives: lives(r.Run)}
	if l := f.sort()[0]; l.life == nil || l.life.Name != "a" {
		t.Errorf("it is %+v", l.life)
	}
}

// What the client's node refused by itself, no pod has lost: unless none was ready, when a node
// must refuse.
func TestNodeRefused(t *testing.T) {
	t.Parallel()
	byNode := func(q *record.Request) { q.NodeRefused = true }
	for name, c := range map[string]struct {
		ready float64 // when c became ready
		at    float64 // of the loss
		want  string
	}{
		"others are ready":           {-50, 10.5, NodeRefused},
		"while no pod is stopping":   {-50, 55, NodeRefused},
		"one is, but not known yet":  {19, 20.9, ListenerClosed},
		"the node may not know that": {22, 20.9, ListenerClosed},
	} {
		r := newRun().stop(0.2, 8, 0)
		r.Pods = append(r.Pods, record.Pod{Name: "c", Created: at(-100), Ready: at(c.ready), Grace: 30 * time.Second})
		r.lose(1, record.New, record.Refused, c.at, 0.001, byNode)
		causes := Find(r.Run)
		if len(causes) != 1 || causes[0].ID != c.want || causes[0].Lost != 1 {
			t.Errorf("%s: %+v", name, causes)
		}
	}
}

// What any client loses comes before a greater number that only blind ones do.
func TestAnyClientCountsMost(t *testing.T) {
	t.Parallel()
	r := newRun().stop(6, 8, 0).lose(9, record.Blind, record.EOFBefore, 16.1, 0.001, afterClose, on("a")).lose(2, record.Slow, record.EOFMid, 12, 4.2, on("a"))
	var ids []string
	for _, c := range Find(r.Run) {
		ids = append(ids, fmt.Sprint(c.ID, ":", c.Lost))
	}
	if want := []string{RequestsCut + ":2", IdleClosed + ":9"}; !slices.Equal(ids, want) {
		t.Errorf("%v, want %v", ids, want)
	}
}

// A preStop hook takes its part of the grace period: what is left must be enough for the
// longest request.
func TestGraceMustHoldHookAndLongestRequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sleep, longest time.Duration
		change         time.Duration
	}{{0, 18 * time.Second, 0}, {10 * time.Second, 18 * time.Second, 43 * time.Second}, {0, 28 * time.Second, 43 * time.Second}} {
		r := newRun().target(func(t *record.Target) {
			if c.sleep > 0 {
				t.PreStop, t.PreStopSleep = "sleep", c.sleep
			}
		})
		r.Load[3].Duration = c.longest
		r = r.stop(6, 16, 0).lose(2, record.Slow, record.EOFMid, 15, 5, on("a"))
		found := Find(r.Run)
		if len(found) != 1 || found[0].ID != RequestsCut || found[0].Change.Grace != c.change {
			t.Errorf("a hook of %s and requests of %s: %+v", c.sleep, c.longest, found)
		}
	}
}

// That a pod served kept connections after it had closed its listener is said only if it
// did so for longer than the clocks may differ.
func TestServedAfterTheListenerWasClosed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		last float64 // answer, after the signal
		says bool
	}{{1, false}, {20, true}} {
		r := newRun().stop(0.3, 30, 137).serve(record.Pooled, 10.05+c.last, 0.01, kept, on("a")).serve(record.Pooled, 20.05+c.last, 0.01, kept, on("b")).
			lose(3, record.Blind, record.EOFBefore, 40.1, 0.001, kept, on("a"))
		found := Find(r.Run)
		if len(found) != 1 || found[0].ID != KeptOpen {
			t.Fatalf("%+v", found)
		}
		if said := strings.Contains(strings.Join(found[0].Evidence, " "), "still answered after that"); said != c.says {
			t.Errorf("served until %g s after the signal: %q", c.last, found[0].Evidence)
		}
	}
}
