package zoo

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verdict"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// aRun is a run in which one pod was stopped at 10 s. Each request ends at 11 s, unless it
// says otherwise. The checks of its classes fail as they should, and so do others.
func aRun(requests []record.Request, fails ...string) *record.Run {
	run := &record.Run{
		Began:  began,
		Phases: []record.Phase{{Kind: record.Baseline, Began: began, Ended: began.Add(5 * time.Second)}, {Kind: record.Action, Began: began.Add(5 * time.Second)}},
		Pods:   []record.Pod{{Name: "old", Deleted: began.Add(10 * time.Second)}, {Name: "new"}},
	}
	lost := map[record.Class]bool{}
	for _, r := range requests {
		if r.Class == "" {
			r.Class = record.Pooled
			if r.SentAfterClose {
				r.Class = record.Blind
			}
		}
		if r.Outcome == "" {
			r.Outcome = record.EOFBefore
		}
		if r.End.IsZero() {
			r.End = began.Add(11 * time.Second)
		}
		if r.Sent.IsZero() {
			r.Sent = r.End
		}
		lost[r.Class] = lost[r.Class] || r.Failed() && !r.OnlyBlind()
		run.Requests = append(run.Requests, r)
	}
	for class, l := range lost {
		if l {
			fails = append(fails, verdict.RequestsID(class))
		}
	}
	for _, id := range fails {
		run.Checks = append(run.Checks, record.Check{ID: id, Result: record.Fail, Measured: "measured"})
	}
	return run
}

func TestJudge(t *testing.T) {
	t.Parallel()
	cut := record.Request{Class: record.Slow, ConnectionUse: 1, Sent: began.Add(11*time.Second - worked)}
	blind, reused, fresh := record.Request{SentAfterClose: true}, record.Request{ConnectionUse: 1}, record.Request{Class: record.New, Outcome: record.Refused}
	for name, c := range map[string]struct {
		expect Expectation
		run    *record.Run
		wrong  string // part of what is wrong; empty: nothing is
	}{
		"nothing lost":          {losesNothing, aRun(nil), ""},
		"one lost by a good":    {losesNothing, aRun([]record.Request{fresh}), "1 new requests lost by any client, not connected"},
		"one blind by a good":   {losesNothing, aRun([]record.Request{blind}), "1 requests lost by clients that don't look"},
		"a false alarm":         {losesNothing, aRun(nil, verdict.ReadinessID), "false alarm of the check readiness"},
		"blind":                 {closesIdleAfterSleep, aRun([]record.Request{blind, reused}), ""},
		"blind, and none lost":  {closesIdleAfterSleep, aRun(nil), "no client that doesn't look lost a request"},
		"blind, and a new lost": {closesIdleAfterSleep, aRun([]record.Request{blind, fresh}), "1 new requests lost by any client"},
		"more than a race":      {closesIdleAfterSleep, aRun(append(slices.Repeat([]record.Request{reused}, race+1), blind)), "25 pooled requests"},
		"a first request":       {closesIdleAfterSleep, aRun([]record.Request{blind, {}}), "1 pooled requests"},
		"half a response":       {closesIdleAfterSleep, aRun([]record.Request{blind, {ConnectionUse: 1, Outcome: record.EOFMid}}), "1 pooled requests"},
		"anybody":               {closesListenerAtOnce, aRun([]record.Request{fresh}), ""},
		"anybody, only blind":   {closesListenerAtOnce, aRun([]record.Request{blind}), "no client lost a request as it came"},
		"exit code":             {diesAtOnce, aRun([]record.Request{fresh}, verdict.ExitCodeID), ""},
		"exit code not seen":    {diesAtOnce, aRun([]record.Request{fresh}), "the check exit-code did not fail"},
		"a slow one is cut":     {closesIdleAfterSleep, aRun([]record.Request{blind, cut}), "1 slow requests lost by any client, cut in flight"},
		"cut, though it waits":  {closesListenerAtOnce, aRun([]record.Request{fresh, cut}), "1 slow requests lost by any client, cut in flight"},
		"cut, as it ends":       {endsFast, aRun([]record.Request{fresh, cut}), ""},
		"slow, not connected":   {closesListenerAtOnce, aRun([]record.Request{{Class: record.Slow, Outcome: record.DialTimeout}}), ""},
		"slow, met the close":   {closesIdleAfterSleep, aRun([]record.Request{blind, {Class: record.Slow, ConnectionUse: 1, Outcome: record.ResetBefore}}), ""},
		"only met the close":    {closesListenerAtOnce, aRun([]record.Request{reused}), "no client lost a request as it came"},
		"reset in the queue":    {closesListenerAtOnce, aRun([]record.Request{{Class: record.New, Outcome: record.ResetBefore}}), ""},
		"keeps no connection":   {gunicorn().Variants[0].Expect, aRun([]record.Request{fresh, reused}), "1 pooled requests lost by any client, met the close"},
		"a wrong answer":        {endsFast, aRun([]record.Request{fresh, {Class: record.New, Outcome: record.UnexpectedStatus}}), "1 new requests lost by any client, otherwise"},
		"the wrong pod":         {closesListenerAtOnce, aRun([]record.Request{{Class: record.New, Pod: "new"}}), "blamed on a pod that was not told to stop (new: "},
		"the right pod":         {closesListenerAtOnce, aRun([]record.Request{{Class: record.New, Pod: "old"}}), ""},
		"lost in the baseline":  {closesListenerAtOnce, aRun([]record.Request{fresh, {End: began.Add(time.Second)}}), "1 requests were lost before anything was done"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := strings.Join(c.expect.Judge(c.run), "; ")
			if c.wrong == "" && got != "" || !strings.Contains(got, c.wrong) {
				t.Errorf("got %q, want %q", got, c.wrong)
			}
		})
	}
}

// A class that lost requests must fail its check.
func TestJudgeMissesAPassedCheck(t *testing.T) {
	t.Parallel()
	run := aRun([]record.Request{{Class: record.New}})
	run.Checks = nil
	if got := strings.Join(closesListenerAtOnce.Judge(run), "; "); got != "the check requests-new did not fail" {
		t.Error(got)
	}
}

// The table names each server once, and says what was wrong.
func TestWriteTable(t *testing.T) {
	t.Parallel()
	s, ok := Named("gunicorn")
	if !ok {
		t.Fatal("no gunicorn")
	}
	right, wrong := Result{Server: s, Variant: s.Variants[0], Version: "1.2"}, Result{Server: s, Variant: s.Variants[1]}
	right.Add(aRun([]record.Request{{Class: record.New}}))
	wrong.Add(aRun([]record.Request{{SentAfterClose: true}}, "a|b"))
	var b strings.Builder
	if err := WriteTable(&b, []Result{right, wrong, {Server: s, Variant: s.Variants[2], Err: "line 1\nline 2"}}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	for i, want := range []string{"", "", "| 1 new closed when new | 0 |", "**wrong**", "no verdict: line 1 line 2"} {
		if i < len(lines) && !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %s, without %s", i, lines[i], want)
		}
	}
	if len(lines) != 5 || !strings.HasPrefix(lines[2], "| [gunicorn](") || !strings.HasPrefix(lines[3], "|  |") {
		t.Error(b.String())
	}
	for _, line := range lines {
		if n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); n != 10 {
			t.Errorf("%d bars in %s", n, line)
		}
	}
}

// What is expected of each variant can be true, and each can be named in a namespace.
func TestServersAreComplete(t *testing.T) {
	t.Parallel()
	names, short := map[string]bool{}, 0
	for _, s := range Servers() {
		if (s.Go == nil) == (len(s.Debian) == 0) {
			t.Errorf("%s must come from Go or from Debian", s.Name)
		}
		for _, v := range s.Variants {
			p := &Program{Server: s}
			if name := NamespaceOf(p, v, 1); names[name] || len(name) > 60 {
				t.Errorf("%s is twice, or too long", name)
			} else {
				names[name] = true
			}
			e := v.Expect
			switch {
			case len(v.Command) == 0, e.Why == "", s.Source == "":
				t.Errorf("%s/%s needs a command, a source and a reason", s.Name, v.Name)
			case (e.Lost == Anybody) != (len(e.Ways) > 0):
				t.Errorf("%s/%s: only what any client loses has ways", s.Name, v.Name)
			case v.Good && (e.Lost != Nobody || len(e.Fails) > 0 || e.Race > 0):
				t.Errorf("%s/%s can't be good and lose requests", s.Name, v.Name)
			}
			if v.Short {
				short++
			}
			text, err := p.Manifest(v, "ns")
			if err != nil || strings.Contains(string(text), "<no value>") {
				t.Errorf("%s/%s: %v\n%s", s.Name, v.Name, err, text)
			}
		}
	}
	if short < 12 || short > 18 {
		t.Errorf("the ordinary test has %d variants; it should have about a dozen", short)
	}
	for _, language := range []string{"nethttp/advised", "node/advised", "gunicorn/preStop", "uvicorn/advised"} {
		name, variant, _ := strings.Cut(language, "/")
		s, _ := Named(name)
		found := false
		for _, v := range s.Variants {
			found = found || v.Name == variant && v.Good
		}
		if !found {
			t.Errorf("%s must be a good server", language)
		}
	}
}

func ExampleWriteIssues() {
	var b strings.Builder
	_ = WriteIssues(&b, []Server{{About: "a", Issues: []Issue{{"o/r#1", "it breaks"}}}})
	fmt.Print(b.String())
	// Output:
	// | server | issue | says |
	// |---|---|---|
	// | a | [o/r#1](https://github.com/o/r/issues/1) | it breaks |
}
