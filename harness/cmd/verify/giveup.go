package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/report"
	"kubernaut.io/dynamic-toolset/harness/verify"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// giveUp says why there is no verdict, what was measured nevertheless, and what is left.
func (f *flags) giveUp(err error, interrupted bool, stderr io.Writer) {
	switch {
	case !interrupted:
		fmt.Fprintf(stderr, "verify: no verdict: %v\n", err)
	case errors.Is(err, verify.ErrLeft):
		fmt.Fprintf(stderr, "verify: interrupted: %v\n", err)
	default:
		fmt.Fprintln(stderr, "verify: interrupted; everything that was started has been ended")
	}
	var part *verify.Incomplete
	if !errors.As(err, &part) {
		return
	}
	fmt.Fprintln(stderr, soFar(part.Run))
	file, err := report.WriteRequests(f.reports, part.Run)
	if err != nil {
		fmt.Fprintf(stderr, "verify: %v\n", err)
		return
	}
	fmt.Fprintf(stderr, "verify: what became of each request is in %s\n", file)
}

// soFar says what an incomplete run has measured.
func soFar(run *record.Run) string {
	s := report.Aggregate(run)
	complete, where := 0, ""
	for _, p := range run.Phases {
		if where = p.Name; p.Kind == record.Action {
			complete++ // but for the last, in which it ended
		}
	}
	if n := len(run.Phases); n > 0 && run.Phases[n-1].Kind == record.Action {
		complete--
	}
	var classes []string
	for _, c := range s.Classes {
		classes = append(classes, fmt.Sprintf("%s %s of %s", c.Class, format.Grouped(c.Failed), format.Grouped(c.Sent)))
	}
	return fmt.Sprintf("verify: until then, in the phase %q, after %d complete steps, %s of %s requests were lost, %s of them only by clients that don't look (%s); this is no verdict",
		where, complete, format.Grouped(s.Failed), format.Grouped(s.Sent), format.Grouped(s.OnlyBlind), strings.Join(classes, ", "))
}
