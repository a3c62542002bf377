package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/report"
)

// write writes the reports of a run.
func write(t *testing.T, change func(*record.Run)) (dir string) {
	t.Helper()
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	run := &record.Run{
		Command: []string{"verify", "--restarts", "2"}, Began: began, Ended: began.Add(time.Minute), Cluster: record.Cluster{Driver: "sim", Kubernetes: "v1.2.3", Nodes: []string{"a", "b"}},
		Checks: []record.Check{{ID: "readiness", Bound: "a | b", Measured: "all of them", Result: record.Pass}, {ID: "other", Result: record.NotChecked}},
		Pods:   []record.Pod{{Name: "p", Deleted: began}, {Name: "q"}}, Target: record.Target{Replicas: 1}, Notes: []string{"A note."},
	}
	for i := range 2 {
		run.Phases = append(run.Phases, record.Phase{Name: fmt.Sprint("rolling restart ", i), Kind: record.Action, Began: began, Ended: run.Ended})
	}
	for _, class := range record.Classes {
		run.Requests = append(run.Requests, record.Request{Class: class, Outcome: record.OK, Due: began, Sent: began, End: began.Add(time.Second)})
	}
	change(run)
	dir = t.TempDir()
	if _, err := report.WriteAll(dir, run); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A run that proves nothing is refused, and nothing is written.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*record.Run)
		args   []string
		say    string
		code   int
	}{
		"enough":            {func(*record.Run) {}, nil, "", 0},
		"too few requests":  {func(*record.Run) {}, []string{"--requests=6"}, "5 requests over 2 rolling restarts; there must be 6 over 2", 1},
		"too few restarts":  {func(*record.Run) {}, []string{"--restarts=3"}, "there must be 5 over 3", 1},
		"kind's own bounds": {func(r *record.Run) { r.Cluster.Driver = "kind" }, []string{"--requests=6", "--kind-requests=5", "--kind-restarts=2"}, "", 0},
		"too few on kind":   {func(r *record.Run) { r.Cluster.Driver = "kind" }, []string{"--kind-requests=6"}, "there must be 6", 1},
		"one lost":          {func(r *record.Run) { r.Requests[0].Outcome = record.Refused }, nil, "1 requests were lost", 1},
		"one lost by blind": {func(r *record.Run) { r.Requests[1].Outcome, r.Requests[1].SentAfterClose = record.EOFBefore, true }, nil, "1 requests were lost", 1},
		"a failed check":    {func(r *record.Run) { r.Checks[0].Result = record.Fail }, nil, "did not pass", 1},
		"no streams":        {func(r *record.Run) { r.Requests = append(r.Requests[:4], r.Requests[0]) }, nil, "no stream clients", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "soak.md")
			var out, errs bytes.Buffer
			args := append([]string{"--requests=5", "--restarts=2", "--write=" + file}, c.args...)
			code := run(append(args, write(t, c.change)), &out, &errs)
			if code != c.code || !strings.Contains(errs.String(), c.say) {
				t.Errorf("code %d: %s", code, errs.String())
			}
			if _, err := os.Stat(file); (err == nil) != (c.code == 0) {
				t.Errorf("the page: %v", err)
			}
		})
	}
	var errs bytes.Buffer
	if code := run([]string{"/no/such/folder"}, &errs, &errs); code != 2 {
		t.Errorf("code %d: %s", code, errs.String())
	}
}

// The page has what the reports say, and its picture no tooltips.
func TestPage(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "soak.md")
	var errs bytes.Buffer
	kind := write(t, func(r *record.Run) { r.Cluster.Driver = "kind" })
	if code := run([]string{"--requests=5", "--restarts=2", "--kind-requests=5", "--kind-restarts=2", "--write", file, write(t, func(*record.Run) {}), kind}, &errs, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# The soak: 0 of 10 requests lost in 4 rolling restarts\n", "## sim: 0 of 5 lost in 2 rolling restarts", "## kind: 0 of 5", "| blind | 1 | 0 | 1 s | 1 s | 1 s |", "| stream | 1 | 0 | - | - | - |",
		`| a \| b | all of them |`, "1 pods told to stop", "bin/verify --restarts 2", "(soak-kind.svg)", "\nA note.\n",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if strings.Contains(string(page), "`other`") {
		t.Error("a check that was not made is there")
	}
	for _, name := range []string{"soak-sim.svg", "soak-kind.svg"} {
		picture, err := os.ReadFile(filepath.Join(filepath.Dir(file), name))
		if err != nil || bytes.Count(picture, []byte("<title>")) != 1 || !bytes.HasSuffix(bytes.TrimSpace(picture), []byte("</svg>")) {
			t.Errorf("%s: %v, %d titles", name, err, bytes.Count(picture, []byte("<title>")))
		}
	}
	// What is read is what the verifier writes.
	var document struct{ Summary json.RawMessage }
	text, err := os.ReadFile(filepath.Join(kind, "report.json"))
	if err == nil {
		err = json.Unmarshal(text, &document)
	}
	if err != nil || len(document.Summary) == 0 {
		t.Errorf("%v", err)
	}
}
