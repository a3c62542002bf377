package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// Bounds of what the page shows. The files beside it have everything.
const (
	maxFirst     = 100 // lost requests in full
	maxWarnings  = 300 // events
	maxEvents    = 60  // that are no warnings
	maxPhases    = 40
	pageEvidence = 20
	maxLogLines  = 20
	maxLogPods   = 40 // whose logs are shown
	maxQuietLogs = 12 // of these, pods without trouble
)

// A tile is one of the numbers beside the verdict.
type tile struct {
	Label, Value string
	Bad          bool
}

func tiles(run *record.Run, s *Summary) []tile {
	out := []tile{
		{"requests", format.Grouped(s.Sent), s.Sent == 0},
		{"lost by any client", format.Grouped(s.Failed - s.OnlyBlind), s.Failed > s.OnlyBlind},
	}
	if s.OnlyBlind > 0 {
		out = append(out, tile{"more, by clients that don't look", format.Grouped(s.OnlyBlind), !s.Passed && s.Failed == s.OnlyBlind})
	}
	failed, made := failedChecks(run)
	out = append(out, tile{"checks passed", fmt.Sprintf("%d of %d", made-len(failed)-len(warnings(run)), made), len(failed) > 0 || made == 0})
	for _, c := range s.Classes {
		if c.Class == record.Pooled || c.Class == record.New {
			out = append(out, tile{"p99, " + string(c.Class), format.Duration(c.P99), false})
		}
	}
	return append(out, tile{"pods seen", format.Grouped(len(run.Pods)), false})
}

type checkView struct {
	Mark, Class, Word                 string
	ID, Name, Bound, Measured, Beyond string
	Evidence                          []string
}

// checkViews returns the failed checks first, and then the warnings.
func checkViews(checks []record.Check) []checkView {
	out := make([]checkView, 0, len(checks))
	for i := range checks {
		c := &checks[i]
		v := checkView{ID: c.ID, Name: c.Name, Bound: c.Bound, Measured: c.Measured}
		switch c.Result {
		case record.Pass:
			v.Mark, v.Class, v.Word = "✓", "pass", "pass"
		case record.NotChecked:
			v.Mark, v.Class, v.Word = "–", "none", "not checked"
		case record.Warning:
			v.Mark, v.Class, v.Word = "!", "warn", "warning"
		case record.Reported:
			v.Mark, v.Class, v.Word = "i", "info", "info"
		default:
			v.Mark, v.Class, v.Word = "✗", "fail", "FAIL"
		}
		for _, e := range c.Evidence[:min(len(c.Evidence), pageEvidence)] {
			v.Evidence = append(v.Evidence, format.Cut(e, 500))
		}
		if more := len(c.Evidence) - pageEvidence; more > 0 {
			v.Beyond = "and " + format.Grouped(more) + " more, in report.json"
		}
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(a, b checkView) int { return checkRank(a) - checkRank(b) })
	return out
}

func checkRank(v checkView) int {
	return map[string]int{"fail": 0, "warn": 1, "pass": 2, "info": 3, "none": 4}[v.Class]
}

type classView struct {
	Class, Sent, Rate, Asked, Lost, P50, P99, Max, Connections, Late, Skipped string
	Bad                                                                       bool
}

func classViews(s *Summary) []classView {
	var out []classView
	for _, c := range s.Classes {
		v := classView{
			Class: string(c.Class), Sent: format.Grouped(c.Sent), Rate: digitsPerSecond(c.Rate), Asked: askedRate(c), Lost: format.Grouped(c.Failed), Bad: c.Failed > 0,
			P50: format.Duration(c.P50), P99: format.Duration(c.P99), Max: format.Duration(c.Max),
			Connections: format.Grouped(c.Connections), Late: format.Duration(c.Late), Skipped: format.Grouped(c.Skipped),
		}
		if c.Connections == 0 {
			v.Connections = "-"
		}
		out = append(out, v)
	}
	return out
}

type phaseView struct {
	Name, Kind, From, Took, Sent, Lost, P99 string
	Bad                                     bool
}

// phaseViews returns the first phases, but none of those that lost a request is left out
// for one that did not.
func phaseViews(s *Summary) (out []phaseView, beyond int) {
	lossy, quiet := 0, maxPhases
	for _, p := range s.Phases {
		if p.Failed > 0 && lossy < maxPhases {
			lossy, quiet = lossy+1, quiet-1
		}
	}
	for _, p := range s.Phases {
		left := &quiet
		if p.Failed > 0 {
			left = &lossy
		}
		if *left == 0 {
			beyond++
			continue
		}
		*left--
		var p99 []string
		for _, c := range p.Classes {
			if c.Class != record.Stream && c.P99 > 0 {
				p99 = append(p99, format.Cut(string(c.Class), 30)+" "+format.Duration(c.P99))
			}
		}
		out = append(out, phaseView{
			Name: format.Cut(p.Name, 200), Kind: string(p.Kind), From: offset(s.From, p.Began), Took: format.Duration(p.Ended.Sub(p.Began)),
			Sent: format.Grouped(p.Sent), Lost: format.Grouped(p.Failed), P99: strings.Join(p99, ", "), Bad: p.Failed > 0,
		})
	}
	return out, beyond
}

type podView struct {
	Name, Node, Revision                                string
	Ready, Deleted, Stop, Endpoint, Exited, Grace, Exit string
	Served, Lost, Restarts                              string
	BadExit, BadLost                                    bool
}

func podViews(run *record.Run, s *Summary) []podView {
	groups, _ := podGroups(run, s)
	var out []podView
	for _, g := range groups {
		for _, i := range g.pods {
			p, n := &run.Pods[i], &s.Pods[i]
			term := p.TermBegan()
			v := podView{
				Name: format.Cut(p.Name, 253), Node: format.Cut(cmp.Or(p.Node, "-"), 253), Revision: format.Cut(cmp.Or(p.Revision, "-"), 100),
				Ready: offset(s.From, p.Ready), Deleted: offset(s.From, p.Deleted),
				Stop: after(p.Deleted, term), Endpoint: after(first(p.Deleted, term), p.EndpointGone), Exited: after(term, p.Exited),
				Grace: format.Duration(p.Grace), Exit: exit(p), Served: format.Grouped(n.Served), Lost: format.Grouped(n.Failed), Restarts: strconv.Itoa(p.Restarts),
				BadExit: p.Lost || p.ExitCode != nil && *p.ExitCode != 0, BadLost: n.Failed > 0,
			}
			if p.Grace == 0 {
				v.Grace = "-"
			}
			if p.Deleted.IsZero() {
				v.Stop = offset(s.From, term) // there is no deletion to count from
			}
			out = append(out, v)
		}
	}
	return out
}

type logView struct {
	Name, LogProblem string
	Milestones, Log  []string
}

// logViews returns the last log lines of the pods. Those with the most trouble come
// first. Of a pod without trouble, the lines of its shutdown sequence are enough.
func logViews(run *record.Run, s *Summary) (out []logView, beyond int) {
	order := make([]int, len(run.Pods))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return trouble(&run.Pods[b], &s.Pods[b]) - trouble(&run.Pods[a], &s.Pods[a])
	})
	quiet := 0
	for _, i := range order {
		p := &run.Pods[i]
		if len(p.Log)+len(p.Milestones) == 0 && p.LogProblem == "" {
			continue
		}
		calm := trouble(p, &s.Pods[i]) == 0
		if len(out) == maxLogPods || calm && quiet == maxQuietLogs {
			beyond++
			continue
		}
		v := logView{
			Name: format.Cut(p.Name, 253), LogProblem: format.Cut(p.LogProblem, 500),
			Milestones: logLines(p.Milestones, func(l record.LogLine) string { return after(p.TermBegan(), l.At) }),
		}
		if calm {
			quiet++
		}
		if !calm || len(p.Milestones) == 0 || p.LogProblem != "" {
			v.Log = logLines(p.Log, func(l record.LogLine) string { return offset(s.From, l.At) })
		}
		out = append(out, v)
	}
	return out, beyond
}

func exit(p *record.Pod) string {
	switch {
	case p.Lost:
		return "unknown: it went without the kubelet's word"
	case p.ExitCode == nil && p.Exited.IsZero():
		return "-"
	case p.ExitCode == nil:
		return "code not seen"
	case p.Reason == "":
		return strconv.Itoa(*p.ExitCode)
	}
	return strconv.Itoa(*p.ExitCode) + " " + format.Cut(p.Reason, 60)
}

// logLines returns the last lines, each after its time.
func logLines(lines []record.LogLine, at func(record.LogLine) string) []string {
	lines = lines[max(len(lines)-maxLogLines, 0):]
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = fmt.Sprintf("%10s  %s", at(l), format.Cut(l.Text, 300))
	}
	return out
}

type eventView struct {
	At, Object, Reason, Message string
	Warning                     bool
}

// eventViews returns the first events. Warnings do not make room for others.
func eventViews(run *record.Run, s *Summary) []eventView {
	var out []eventView
	warnings, others := maxWarnings, maxEvents
	for _, e := range run.Events {
		left := &others
		if e.Warning {
			left = &warnings
		}
		if *left == 0 {
			continue
		}
		*left--
		out = append(out, eventView{offset(s.From, e.At), format.Cut(e.Object, 253), format.Cut(e.Reason, 100), format.Cut(e.Message, 400), e.Warning})
	}
	return out
}

// commandLine quotes a command as for a shell.
func commandLine(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = a
		if a == "" || strings.ContainsAny(a, " \t\n\"'`$&|;<>()*?[]#~\\!{}") {
			quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return format.Cut(strings.Join(quoted, " "), 4000)
}
