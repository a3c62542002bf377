package report

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func TestJSONHasTheRunAndItsNumbers(t *testing.T) {
	run := naiveRun()
	s := Aggregate(run)
	var out bytes.Buffer
	if err := writeDocument(&out, run, s); err != nil {
		t.Fatal(err)
	}
	var back struct {
		Format string `json:"format"`
		record.Run
		Summary Summary `json:"summary"`
	}
	decoder := json.NewDecoder(&out)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&back); err != nil {
		t.Fatal(err)
	}
	if back.Format != jsonFormat || back.Summary.Verdict != s.Verdict || back.Summary.Failed != s.Failed || len(back.Summary.Failures) != s.Failed {
		t.Errorf("%q %q %d %d", back.Format, back.Summary.Verdict, back.Summary.Failed, len(back.Summary.Failures))
	}
	if len(back.Pods) != len(run.Pods) || !back.Pods[3].Exited.Equal(run.Pods[3].Exited) || *back.Pods[0].ExitCode != 1 || len(back.Checks) != len(run.Checks) {
		t.Error("pods or checks are not as they were")
	}
}

func TestRequestsAreAllThere(t *testing.T) {
	run := naiveRun()
	var out bytes.Buffer
	if err := writeRequests(&out, run); err != nil {
		t.Fatal(err)
	}
	plain, err := gzip.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(plain)
	for i := range run.Requests {
		var q record.Request
		if err := decoder.Decode(&q); err != nil {
			t.Fatal(err)
		}
		if want := run.Requests[i]; q.Latency() != want.Latency() || q.Outcome != want.Outcome || q.Pod != want.Pod || q.Detail != want.Detail {
			t.Fatalf("request %d came back as %+v, was %+v", i, q, want)
		}
	}
	if err := decoder.Decode(new(record.Request)); err != io.EOF {
		t.Errorf("there is more: %v", err)
	}
}

func junit(t *testing.T, run *record.Run) junitSuites {
	t.Helper()
	var out bytes.Buffer
	if err := writeJUnit(&out, run, Aggregate(run)); err != nil {
		t.Fatal(err)
	}
	var back junitSuites
	if err := xml.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	suite := back.Suites[0]
	failed, skipped := 0, 0
	for _, c := range suite.Cases {
		if c.Failure != nil {
			failed++
		}
		if c.Skipped != nil {
			skipped++
		}
	}
	for _, got := range [][]int{{back.Tests, back.Failures, back.Errors, back.Skipped}, {suite.Tests, suite.Failures, suite.Errors, suite.Skipped}} {
		if want := []int{len(suite.Cases), failed, 0, skipped}; !slices.Equal(got, want) {
			t.Errorf("tests, failures, errors, skipped: %v, but the cases say %v", got, want)
		}
	}
	return back
}

func TestJUnitHasOneCasePerCheck(t *testing.T) {
	run := naiveRun()
	run.Checks[0].Evidence = append(run.Checks[0].Evidence, "control \x1b[31m and ]]> and & and \xff")
	suite := junit(t, run).Suites[0]
	if len(suite.Cases) != len(run.Checks) || suite.Failures != 3 || suite.Skipped != 1 {
		t.Fatalf("%d cases, %d failures, %d skipped", len(suite.Cases), suite.Failures, suite.Skipped)
	}
	first := suite.Cases[0]
	if first.Class != "rolling-update.requests" || first.Name != "no request is lost" || first.Failure == nil {
		t.Fatalf("%+v", first)
	}
	for _, want := range []string{"must: 0 in every class", "lost in 3 of 4 classes", "new at 11.312 s: connection refused", "]]> and & and"} {
		if !strings.Contains(first.Failure.Text, want) {
			t.Errorf("the failure does not say %q:\n%s", want, first.Failure.Text)
		}
	}
	if _, err := time.Parse("2006-01-02T15:04:05", suite.Timestamp); err != nil {
		t.Error(err)
	}
}

// A value without a bound is a passed case that says what was measured.
func TestJUnitSaysWhatWasReported(t *testing.T) {
	suite := junit(t, &record.Run{Checks: []record.Check{{ID: "a", Result: record.Pass}, {ID: "latency", Measured: "p99 9 ms", Result: record.Reported}}}).Suites[0]
	if c := suite.Cases[1]; suite.Failures != 0 || suite.Skipped != 0 || c.Failure != nil || c.Skipped != nil || c.Out != "measured: p99 9 ms\n" {
		t.Errorf("%d failures, %d skipped, %+v", suite.Failures, suite.Skipped, c)
	}
}

// Many CI systems take a suite without cases for a passed one.
func TestJUnitFailsWhereNothingWasChecked(t *testing.T) {
	for _, checks := range [][]record.Check{nil, {{ID: "latency", Name: "latency", Result: record.NotChecked, Measured: "off"}}, {{ID: "latency", Result: record.Reported}}} {
		if got := junit(t, &record.Run{Began: began, Checks: checks}); got.Failures != 1 {
			t.Errorf("%d checks, none made: %d failures, want 1", len(checks), got.Failures)
		}
	}
	// An unknown result is not a pass.
	if got := junit(t, &record.Run{Checks: []record.Check{{ID: "a", Result: record.Pass}, {ID: "b", Result: "odd"}}}); got.Failures != 1 {
		t.Errorf("an unknown result: %d failures, want 1", got.Failures)
	}
}

func TestWriteAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on demand")
	run := naiveRun()
	for range 2 { // the second run replaces the files of the first
		files, err := WriteAll(dir, run)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) != 5 || filepath.Base(files[0]) != "report.html" {
			t.Errorf("%v", files)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != len(files) {
			t.Errorf("%d files in the directory, want %d: something was left behind", len(entries), len(files))
		}
		for _, f := range files {
			info, err := os.Stat(f)
			if err != nil || info.Size() == 0 || info.Mode().Perm() != 0o644 {
				t.Errorf("%s: %v %v", f, info, err)
			}
		}
	}
}

// A report that can't be written leaves the old one complete, and no other file.
func TestAFailedWriteLeavesTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	full := errors.New("the disk is full")
	err := writeFile(path, func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
		return full
	})
	if !errors.Is(err, full) {
		t.Errorf("error %v, want %v", err, full)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("%q, %v", got, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// If one report can't be written, the error names it and the others are written.
func TestWriteAllNamesWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "junit.xml"), 0o755); err != nil { // a directory in the way
		t.Fatal(err)
	}
	files, err := WriteAll(dir, cleanRun())
	if err == nil || !strings.Contains(err.Error(), "junit.xml") || strings.Contains(err.Error(), "report.html") {
		t.Errorf("error %v", err)
	}
	if len(files) != 4 {
		t.Errorf("%v", files)
	}
	if _, err := WriteAll(filepath.Join(dir, "file", "below"), cleanRun()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteAll(filepath.Join(dir, "plain", "below"), cleanRun()); err == nil {
		t.Error("a directory below a file was made")
	}
}

// Remove deletes what an earlier run wrote, and nothing else. A directory that does not
// exist is not an error.
func TestRemove(t *testing.T) {
	dir := t.TempDir()
	files, err := WriteAll(dir, naiveRun())
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mine.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "mine.txt" {
		t.Errorf("%v, %v", left, err)
	}
	if err := Remove(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
}
