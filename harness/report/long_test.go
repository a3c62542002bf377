package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// longRun is one of many restarts, of which the naive ones lose requests.
func longRun(restarts int, naive func(n int) bool) *record.Run {
	const each = 10
	length := 20 + each*float64(restarts)
	f := newFixture(length, 3)
	f.phase("baseline", record.Baseline, 0, 10)
	for n := range restarts {
		second := 10 + each*float64(n)
		f.restart(n+1, second, naive(n))
		for _, reason := range []string{"SuccessfulCreate", "ScalingReplicaSet", "Pulled", "Created", "Started"} {
			f.event(second+1, "ReplicaSet/dynamic-toolset-7d9f8c6b5", reason, strings.Repeat("a message ", 9), false)
		}
	}
	f.phase("settle", record.Settle, length-10, length)
	for _, class := range record.Classes {
		f.traffic(class, 0, length-3, 6, 0.0012, f.naiveLoss)
	}
	f.event(length-1, "Pod/last", "Unhealthy", "a late warning", true)
	f.run.Checks = []record.Check{{ID: "requests", Name: "no request is lost", Bound: "0 in every class", Measured: "some", Result: record.Pass}}
	return f.run
}

// However long a run is, its page and its picture are small, and what they show first is
// what went wrong.
func TestLongRun(t *testing.T) {
	t.Parallel()
	for name, naive := range map[string]func(int) bool{
		"clean":   func(int) bool { return false },
		"one bad": func(n int) bool { return n == 90 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := longRun(100, naive)
			s := Aggregate(run)
			if bad := name != "clean"; bad != (s.Failed > 0) {
				t.Fatalf("%d lost", s.Failed)
			}
			var page, picture bytes.Buffer
			if err := writePage(&page, run, s); err != nil {
				t.Fatal(err)
			}
			if err := writePicture(&picture, run, s); err != nil {
				t.Fatal(err)
			}
			text := page.String()
			t.Logf("page %d bytes, picture %d, %d lost", page.Len(), picture.Len(), s.Failed)
			most := 200_000
			if s.Failed > 0 {
				most = 300_000 // up to a hundred lost requests in full
			}
			if page.Len() > most || picture.Len() > 160_000 {
				t.Errorf("the page has %d bytes, the picture %d", page.Len(), picture.Len())
			}
			for _, want := range []string{"a late warning", "The timeline and the table show ", " more are in report.json"} {
				if !strings.Contains(text, want) {
					t.Errorf("it says nothing of %q", want)
				}
			}
			for _, p := range s.Phases {
				if row := fmt.Sprintf("<td>%s</td><td>%s</td>", p.Name, p.Kind); p.Failed > 0 && !strings.Contains(text, row) {
					t.Errorf("%s has lost %d requests and is left out", p.Name, p.Failed)
				}
			}
			for i, p := range s.Pods {
				if p.Failed > 0 && !strings.Contains(text, "<td>"+run.Pods[i].Name+"</td>") {
					t.Errorf("%s has lost %d requests and is left out", p.Name, p.Failed)
				}
			}
		})
	}
}

// Pods without trouble make room for others, but never take it from them.
func TestPodsWithTroubleComeFirst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ bad, quiet, want int }{{0, 5, 5}, {0, 200, maxQuietRows}, {50, 200, 50 + maxQuietRows}, {110, 200, maxRows}, {200, 9, maxRows}} {
		run, s := &record.Run{}, &Summary{}
		for i := range c.bad + c.quiet {
			run.Pods = append(run.Pods, record.Pod{Name: fmt.Sprint(i), Created: at(float64(i))})
			s.Pods = append(s.Pods, PodSummary{Failed: max(0, i-c.quiet+1)}) // the last ones
		}
		groups, beyond := podGroups(run, s)
		shown, bad := 0, 0
		for _, g := range groups {
			for _, i := range g.pods {
				shown++
				if s.Pods[i].Failed > 0 {
					bad++
				}
			}
		}
		if shown != c.want || shown+beyond != len(run.Pods) || bad != min(c.bad, maxRows) {
			t.Errorf("%d with trouble and %d without: %d shown, %d of them with trouble, %d beyond", c.bad, c.quiet, shown, bad, beyond)
		}
	}
}
