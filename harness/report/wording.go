package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// verdict says in one sentence what a reader wants to know first.
func verdict(run *record.Run, s *Summary) string {
	lost := lostOf(s)
	if during := actions(run); during != "" {
		lost += " during " + during
	}
	took := " (" + human(s.To.Sub(s.From)) + ")"
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

// lostOf says how many requests were lost of how many.
func lostOf(s *Summary) string {
	switch {
	case s.Sent == 0:
		return "no request was sent"
	case s.Failed == 0:
		return "none of " + plural(s.Sent, "request") + " lost"
	}
	return grouped(s.Failed) + " of " + plural(s.Sent, "request") + " lost"
}

// failedChecks names the checks that failed, and counts those that could have.
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

// meaning says what usually lies behind an outcome, for a reader who has to find
// the cause. It is a hint, not a finding: the marks on the timeline tell.
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

// actions counts what was done to the target: "3 rolling restarts, 1 node drain".
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
			names[i] = grouped(n) + " x " + name // not all names take an s
			continue
		}
		names[i] = plural(n, name)
	}
	return strings.Join(names, ", ")
}

// plural counts things: "1 request", "3,000 requests". The noun is one that
// takes an s.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(n) + " " + noun + "s"
}

// grouped writes a number with a comma between thousands.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// human writes a duration with three digits that matter, in ASCII.
func human(d time.Duration) string {
	if d < 0 {
		return "-" + human(-max(d, -math.MaxInt64)) // the least of all has no opposite
	}
	switch {
	case d == 0:
		return "0 s"
	case d < time.Microsecond:
		return strconv.FormatInt(int64(d), 10) + " ns"
	case d < time.Millisecond:
		return digits(float64(d)/float64(time.Microsecond)) + " us"
	case d < time.Second:
		return digits(float64(d)/float64(time.Millisecond)) + " ms"
	case d < 2*time.Minute:
		return digits(d.Seconds()) + " s"
	case d < 2*time.Hour:
		d = d.Round(time.Second)
		return twoUnits(d/time.Minute, "min", d%time.Minute/time.Second, "s")
	}
	d = d.Round(time.Minute)
	return twoUnits(d/time.Hour, "h", d%time.Hour/time.Minute, "min")
}

func twoUnits(large time.Duration, unit string, small time.Duration, smaller string) string {
	if small == 0 {
		return fmt.Sprintf("%d %s", large, unit)
	}
	return fmt.Sprintf("%d %s %d %s", large, unit, small, smaller)
}

// digits writes a number of at least 1 with three digits that matter.
func digits(f float64) string {
	decimals := 2
	switch {
	case f >= 99.95:
		decimals = 0
	case f >= 9.995:
		decimals = 1
	}
	s := strconv.FormatFloat(f, 'f', decimals, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// offset writes a moment as seconds since the beginning; a dash for none.
func offset(from, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return strconv.FormatFloat(t.Sub(from).Seconds(), 'f', 3, 64) + " s"
}

// after writes how long after another moment something was; a dash where
// either is unknown.
func after(from, t time.Time) string {
	if from.IsZero() || t.IsZero() {
		return "-"
	}
	if d := t.Sub(from); d < 0 {
		return human(d)
	}
	return "+" + human(t.Sub(from))
}

// visible replaces the characters that aren't seen themselves but change what is
// seen around them: control characters, and those that turn the direction of
// writing. With them a pod's name could make the rest of a line say something
// else.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ', r >= 0x7f && r < 0xa0, // C0, DEL, C1
			r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return utf8.RuneError
		}
		return r
	}, s)
}

// cut shortens a text from a cluster to at most n characters.
func cut(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	runes := 0
	for i := range s {
		if runes == n-3 {
			return s[:i] + "..."
		}
		runes++
	}
	return s
}
