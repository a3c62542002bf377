package report

import (
	"strconv"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// verdict returns the sentence that a report begins with.
func verdict(run *record.Run, s *Summary) string {
	lost := lostOf(s)
	if during := actions(run); during != "" {
		switch before := run.LostBefore(); {
		case before == 0:
			lost += " during " + during
		case before == s.Failed:
			lost += ", all of them before anything was done; none during " + during
		default:
			lost += ": " + format.Grouped(before) + " before anything was done, " + format.Grouped(s.Failed-before) + " during " + during
		}
	}
	took := " (" + format.Duration(s.To.Sub(s.From)) + ")"
	failed, made := failedChecks(run)
	switch {
	case made == 0:
		return "FAILED: no check was made; " + lost + took
	case len(failed) > 0 && s.Failed == 0:
		return "FAILED: " + lost + ", but " + plural(len(failed), "check") + " failed: " + strings.Join(failed, ", ") + took
	case len(failed) > 0:
		return "FAILED: " + lost + took
	case s.Failed > 0:
		return "PASSED in the checks that were made, though " + lost + took
	}
	return "PASSED: " + lost + took
}

// lostOf says how many requests were lost, and of how many.
func lostOf(s *Summary) string {
	switch {
	case s.Sent == 0:
		return "no request was sent"
	case s.Failed == 0:
		return "none of " + plural(s.Sent, "request") + " lost"
	}
	return format.Grouped(s.Failed) + " of " + plural(s.Sent, "request") + " lost"
}

// failedChecks returns the checks that failed, and the number of those that passed or
// failed.
func failedChecks(run *record.Run) (names []string, made int) {
	for i := range run.Checks {
		switch run.Checks[i].Result {
		case record.Fail:
			names = append(names, run.Checks[i].ID)
			made++
		case record.Pass:
			made++
		}
	}
	return names, made
}

// meaning says what usually causes an outcome. This is a hint only; the timeline shows
// more.
var meaning = map[record.Outcome]string{
	record.Refused:          "a pod no longer listened while it was still routed to",
	record.DialTimeout:      "a pod was gone while it was still routed to",
	record.DialFailed:       "no way to the pod; the cause is given with each",
	record.ResetBefore:      "a connection was closed with the request unread, or before it was accepted",
	record.EOFBefore:        "an idle connection was closed as the request came, or the server ended while it worked",
	record.ResetMid:         "the server ended while it answered",
	record.EOFMid:           "the server ended while it answered",
	record.ResponseTimeout:  "the request was taken and never answered",
	record.UnexpectedStatus: "the server turned the request away, as if it were not ready",
	record.WrongBody:        "the answer was not the one that was asked for",
	record.NotProblem:       "an error came without a problem document (RFC 9457)",
	record.StreamBroken:     "a stream ended without telling its client to connect anew",
	record.Malformed:        "what came was not HTTP/1.1",
}

// actions counts the action phases: "3 rolling restarts, 1 node drain".
func actions(run *record.Run) string {
	var names []string
	counts := map[string]int{}
	for _, p := range run.Phases {
		if p.Kind != record.Action {
			continue
		}
		name := strings.TrimRight(p.Name, " 0123456789#")
		if counts[name] == 0 {
			names = append(names, name)
		}
		counts[name]++
	}
	for i, name := range names {
		n := counts[name]
		if n > 1 && !strings.HasSuffix(name, "restart") && !strings.HasSuffix(name, "drain") && !strings.HasSuffix(name, "deletion") {
			names[i] = format.Grouped(n) + " x " + name // not every noun takes an s
			continue
		}
		names[i] = plural(n, name)
	}
	return strings.Join(names, ", ")
}

// plural returns "1 request" or "3,000 requests". The noun must take an s.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return format.Grouped(n) + " " + noun + "s"
}

// offset formats a time as seconds since from; a dash if it is zero.
func offset(from, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return strconv.FormatFloat(t.Sub(from).Seconds(), 'f', 3, 64) + " s"
}

// after formats how long t is after from; a dash if either is zero.
func after(from, t time.Time) string {
	if from.IsZero() || t.IsZero() {
		return "-"
	}
	if d := t.Sub(from); d < 0 {
		return format.Duration(d)
	}
	return "+" + format.Duration(t.Sub(from))
}
