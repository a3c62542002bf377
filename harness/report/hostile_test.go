package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// hostile is what an attacker would name a pod, or write into a log.
const hostile = `</script></style></title></svg><script>window.pwned=1</script><img src=x onerror="window.pwned=1">'"` + "`${window.pwned=1}` {{.}} ]]> \x1b[2J\x1b]0;owned\x07 \x00 \xff\u202e\u2028 &lt; javascript:pwned()"

func hostileRun() *record.Run { return runCalled(hostile) }

// runCalled returns a run in which everything has the same name.
func runCalled(name string) *record.Run {
	one := 1
	line := []record.LogLine{{At: at(1), Text: name}}
	return &record.Run{
		Command: []string{name, name}, Version: name, Began: began, Ended: at(5), Scenario: name,
		Target:  record.Target{Name: name, Image: name, Address: name, Paths: []string{name}, Replicas: 1, Container: name, Port: 80, Kind: name, Command: []string{name}},
		Cluster: record.Cluster{Driver: name, Kubernetes: name, Nodes: []string{name}},
		Load:    []record.Client{{Class: record.Class(name), Rate: 1}},
		Phases:  []record.Phase{{Name: name, Kind: record.PhaseKind(name), Began: at(0), Ended: at(2)}, {Name: name, Kind: record.Action, Began: at(2), Ended: at(5)}},
		Requests: []record.Request{
			{Class: record.Class(name), Outcome: record.OK, Due: at(1), Sent: at(1), End: at(1.1), Pod: name},
			{Class: record.Class(name), Outcome: record.Outcome(name), Due: at(2), Sent: at(2), End: at(2.5), Method: name, Path: name, Pod: name, Inferred: true, Detail: name, Local: name},
			{Class: record.New, Outcome: record.Refused, Due: at(3), Sent: at(3), End: at(3.5), Pod: name + "?", Detail: name},
		},
		Pods: []record.Pod{{
			Name: name, Node: name, IP: name, Revision: name, Created: at(0), Ready: at(1), Deleted: at(3), Exited: at(4), Gone: at(4.5),
			ExitCode: &one, Reason: name, Log: line, LogProblem: name, Milestones: line,
			Probes: []record.Probe{{Kind: record.ProbeKind(name), At: at(3.1), Status: 500, Detail: name}, {Kind: record.Readiness, At: at(3.2), Detail: name}},
		}},
		Events: []record.EventLine{{At: at(1), Object: name, Reason: name, Message: name, Warning: true}},
		Checks: []record.Check{
			{ID: name, Name: name, Bound: name, Measured: name, Result: record.Fail, Evidence: []string{name}},
			{ID: name, Name: name, Bound: name, Measured: name, Result: record.Result(name)},
			{ID: name, Name: name, Bound: name, Measured: name, Result: record.NotChecked},
		},
		Causes: []record.Cause{{
			ID: name, Title: name, Lost: 3, OnlyBlind: 1, Pods: []string{name, name, name, name, name}, Evidence: []string{name}, Likely: true,
			Server: name, InServer: name, InKubernetes: name, Change: record.Change{PreStop: []string{name}, Command: []string{name}, ReadinessPath: name, Grace: time.Hour},
		}},
		Notes: []string{name},
	}
}

// harmless fails the test if a report of the run is more than text.
func harmless(t *testing.T, run *record.Run) {
	t.Helper()
	s := Aggregate(run)
	var page, picture, comparison, junit, terminal bytes.Buffer
	for name, err := range map[string]error{
		"page": writePage(&page, run, s), "picture": writePicture(&picture, run, s), "junit": writeJUnit(&junit, run, s),
		"comparison": Compare(&comparison, []ComparisonRow{CompareRun(run.Target.Name, s), {Name: "none", Requests: 7}}),
		"terminal":   Terminal(&terminal, run, s, 80, false, run.Target.Name),
		"json":       writeDocument(io.Discard, run, s), "requests": writeRequests(io.Discard, run),
	} {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for name, text := range map[string][]byte{"picture": picture.Bytes(), "comparison": comparison.Bytes(), "junit": junit.Bytes()} {
		wellFormed(t, name, text)
	}
	if strings.ContainsFunc(terminal.String(), func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }) {
		t.Errorf("the terminal would get a control character: %q", terminal.String())
	}
	onlyText(t, page.Bytes())
}

// wellFormed fails the test if text is not well-formed XML, or has an element that
// pictures and test reports don't have.
func wellFormed(t *testing.T, name string, text []byte) {
	t.Helper()
	if !utf8.Valid(text) {
		t.Errorf("%s is not UTF-8", name)
	}
	decoder := xml.NewDecoder(bytes.NewReader(text))
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%s is not well-formed: %v", name, err)
		}
		if e, ok := token.(xml.StartElement); ok {
			switch e.Name.Local {
			case "script", "img", "foreignObject", "a", "image", "iframe":
				t.Errorf("%s has an element %s", name, e.Name.Local)
			}
		}
	}
}

// onlyText fails the test if the page has a script or style other than its own, loads
// anything, or has an event handler or a link.
func onlyText(t *testing.T, page []byte) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	scripts, styles := 0, 0
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "script":
			scripts++
			if n.FirstChild == nil || n.FirstChild.Data != pageScript && !strings.HasPrefix(n.FirstChild.Data, `{"perColumn"`) {
				t.Errorf("a script that is not the page's: %.80v", n.FirstChild)
			}
		case "style":
			styles++
		case "img", "iframe", "object", "embed", "link", "base", "form", "a", "foreignobject", "image":
			t.Errorf("the page has an element %s", n.Data)
		}
		for _, a := range n.Attr {
			key := strings.ToLower(a.Key)
			if strings.HasPrefix(key, "on") || key == "src" || key == "style" || key == "href" && !strings.HasPrefix(a.Val, "#m-") {
				t.Errorf("the page has an attribute %s=%q", a.Key, a.Val)
			}
		}
	}
	if scripts != 2 || styles != 1 {
		t.Errorf("%d scripts and %d styles, want 2 and 1", scripts, styles)
	}
}

func TestHostileTextStaysText(t *testing.T) {
	harmless(t, hostileRun())
	run := hostileRun()
	var page bytes.Buffer
	if err := writePage(&page, run, Aggregate(run)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page.String(), "&lt;script&gt;window.pwned=1&lt;/script&gt;") {
		t.Error("the text itself is not shown")
	}
	// A character that reverses the direction of writing would change the line around
	// it.
	if strings.ContainsAny(page.String(), "\u202e\x1b\x07") {
		t.Error("the page has a character that changes what is around it")
	}
}

func FuzzReports(f *testing.F) {
	f.Add(hostile, int64(0), int64(time.Second), 3)
	f.Add("", int64(-1), int64(0), -1)
	f.Add("a\r\nb\tc", int64(1<<62), int64(-1<<62), 255)
	f.Fuzz(func(t *testing.T, name string, a, b int64, code int) {
		run := runCalled(name)
		// Clocks may be wrong, and things may be seen in any order.
		run.Ended = run.Began.Add(time.Duration(a))
		run.Requests[1].End = run.Began.Add(time.Duration(b))
		run.Requests[2].Sent = time.Time{}
		run.Pods[0].Deleted = run.Began.Add(time.Duration(b))
		run.Pods[0].Exited = run.Began.Add(time.Duration(a))
		run.Pods[0].ExitCode = &code
		run.Phases[1].Ended = run.Began.Add(time.Duration(a))
		harmless(t, run)
	})
}

// A report must not fail for what is unknown.
func TestAnEmptyRun(t *testing.T) {
	harmless(t, &record.Run{})
	harmless(t, &record.Run{Pods: []record.Pod{{}}, Requests: []record.Request{{}, {Outcome: record.Refused}}, Phases: []record.Phase{{}}, Checks: []record.Check{{}}, Load: []record.Client{{}}})
}

// bigRun is as large as a run should ever be.
func bigRun(failures int) *record.Run {
	f := newFixture(300, 10)
	for n := range 3 {
		f.restart(n+1, 20+90*float64(n), true)
	}
	f.allTraffic(300, never)
	for len(f.run.Requests) < 200_000 {
		f.traffic(record.New, 0, 300, 300, 0.002, never)
	}
	f.run.Requests = f.run.Requests[:200_000]
	for i := range failures {
		q := &f.run.Requests[i*len(f.run.Requests)/failures]
		q.Outcome, q.Status, q.Inferred = record.EOFBefore, 0, true
		q.Detail = fmt.Sprintf("read tcp 172.30.0.1:%d->10.96.0.12:8080: connection was closed by the server before it answered", 30000+i)
		q.Local = "172.30.0.1:40122"
	}
	for i := range f.run.Pods {
		for k := range 100 {
			f.run.Pods[i].Log = append(f.run.Pods[i].Log, record.LogLine{At: at(float64(k)), Text: strings.Repeat("a line of a log ", 12)})
		}
	}
	return f.run
}

func TestThePageStaysSmall(t *testing.T) {
	for _, failures := range []int{1, 5_000, 150_000} {
		run := bigRun(failures)
		if len(run.Pods) != 40 || len(run.Requests) != 200_000 {
			t.Fatalf("%d pods, %d requests", len(run.Pods), len(run.Requests))
		}
		s := Aggregate(run)
		var page bytes.Buffer
		if err := writePage(&page, run, s); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d lost of 200,000: %d bytes", failures, page.Len())
		if page.Len() > 2_000_000 {
			t.Errorf("%d lost: the page has %d bytes, more than 2 MB", failures, page.Len())
		}
		marks := strings.Count(page.String(), `<use href="#m-lost" class="x"`) - 1 // one is in the legend
		if want := min(failures, maxMarks); marks > want || marks < want-50 {
			t.Errorf("%d lost: %d marks", failures, marks)
		}
		note := fmt.Sprintf("The timeline marks %s of %s lost requests", format.Grouped(marks), format.Grouped(failures))
		if strings.Contains(page.String(), note) != (failures > maxMarks) {
			t.Errorf("%d lost: what the page says of its marks is wrong; want %q", failures, note)
		}
	}
}
