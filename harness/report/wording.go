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
			if s.OnlyBlind > 0 {
				lost += ","
			}
			lost += " during " + during
		case before == s.Failed:
			lost += ", all of them before anything was done; none during " + during
		default:
			lost += ": " + format.Grouped(before) + " before anything was done, " + format.Grouped(s.Failed-before) + " during " + during
		}
	}
	took := " (" + format.Duration(s.To.Sub(s.From)) + ")"
	failed, made := failedChecks(run)
	warned := warnings(run)
	switch {
	case made == 0:
		return "FAILED: no check was made; " + lost + took
	case len(failed) > 0 && s.Failed == 0:
		return "FAILED: " + lost + ", but " + plural(len(failed), "check") + " failed: " + strings.Join(failed, ", ") + took
	case len(failed) > 0:
		return "FAILED: " + lost + took
	case len(warned) > 0:
		return "PASSED with " + plural(len(warned), "warning") + ": " + lost + took
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
	of := " of " + plural(s.Sent, "request") + " lost"
	switch s.OnlyBlind {
	case 0:
		return format.Grouped(s.Failed) + of
	case s.Failed:
		return "none" + of + " by any client, " + format.Grouped(s.OnlyBlind) + " only by clients that don't look"
	}
	return format.Grouped(s.Failed-s.OnlyBlind) + of + " by any client, " + format.Grouped(s.OnlyBlind) + " more only by clients that don't look"
}

// warnings returns the checks that ended in a warning.
func warnings(run *record.Run) (names []string) {
	for i := range run.Checks {
		if run.Checks[i].Result == record.Warning {
			names = append(names, run.Checks[i].ID)
		}
	}
	return names
}

// failedChecks returns the checks that failed, and the number of those that passed,
// failed, or ended in a warning.
func failedChecks(run *record.Run) (names []string, made int) {
	for i := range run.Checks {
		switch run.Checks[i].Result {
		case record.Fail:
			names = append(names, run.Checks[i].ID)
			made++
		case record.Pass, record.Warning:
			made++
		}
	}
	return names, made
}

// lostBy says how many requests a cause explains.
func lostBy(c *record.Cause) string {
	switch {
	case c.Lost == 0:
		return "no request lost"
	case c.OnlyBlind == 0:
		return plural(c.Lost, "request") + " lost"
	case c.OnlyBlind == c.Lost:
		return plural(c.Lost, "request") + " lost, only by clients that don't look"
	}
	return plural(c.Lost, "request") + " lost, " + format.Grouped(c.OnlyBlind) + " of them only by clients that don't look"
}

// manifestOf says whose manifest a cause wants to be changed.
func manifestOf(c *record.Cause) string {
	if c.Side == record.AtProxy {
		return "the proxy's manifest"
	}
	return "the manifest"
}

// titleOf returns the title of a cause, and says if it is not certain.
func titleOf(c *record.Cause) string {
	if c.Likely {
		return c.Title + " (likely)"
	}
	return c.Title
}

// asked returns the checks without those that were not asked for.
func asked(checks []record.Check) []record.Check {
	out := make([]record.Check, 0, len(checks))
	for i := range checks {
		if c := &checks[i]; c.Result != record.NotChecked || c.Measured != notAskedFor {
			out = append(out, *c)
		}
	}
	return out
}

// notAskedFor is what package verdict says of a check for which a flag is missing.
const notAskedFor = "not asked for"

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
