package defects

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verdict"
)

// Judge returns what is wrong with the verdict on a run of this case. It is nil if the
// correct server passed, or if the defect was caught by its checks, with its losses.
func (c *Case) Judge(run *record.Run) error {
	failed := Failed(run)
	if c.Name == "" {
		// It is not the server's fault if the host was too busy to send in time. A run
		// without a passed check has shown nothing.
		failed = slices.DeleteFunc(failed, func(id string) bool { return id == verdict.LoadID })
		switch {
		case len(failed) > 0:
			return fmt.Errorf("a server without defects failed: %s", strings.Join(failed, ", "))
		case !slices.ContainsFunc(run.Checks, func(c record.Check) bool { return c.Result == record.Pass }):
			return errors.New("no check passed: the run shows nothing")
		}
		return nil
	}
	var wrong []error
	if run.Passed() {
		wrong = append(wrong, errors.New("the run passed"))
	}
	for _, id := range c.Checks {
		if !slices.Contains(failed, id) {
			wrong = append(wrong, fmt.Errorf("the check %s did not fail", id))
		}
	}
	for _, l := range c.Losses {
		if l.count(run) == 0 {
			wrong = append(wrong, fmt.Errorf("no %s request was lost by %s", l.class(), join(l.By)))
		}
	}
	if slices.Contains(failed, verdict.CoverageID) {
		wrong = append(wrong, errors.New("a class of clients met no pod that was told to stop"))
	}
	if slices.Contains(failed, verdict.BaselineID) && !c.FromStart {
		wrong = append(wrong, errors.New("requests were lost before anything was done"))
	}
	return errors.Join(wrong...)
}

// Failed returns the identifiers of the failed checks of a run, in order.
func Failed(run *record.Run) []string {
	var ids []string
	for _, c := range run.Checks {
		if c.Result == record.Fail {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// count counts the requests of a run that were lost in this way.
func (l *Loss) count(run *record.Run) int {
	n := 0
	for i := range run.Requests {
		r := &run.Requests[i]
		if (l.Class == "" || r.Class == l.Class) && slices.Contains(l.By, r.Outcome) {
			n++
		}
	}
	return n
}

func (l *Loss) class() string {
	if l.Class == "" {
		return "single"
	}
	return string(l.Class)
}

func join(outcomes []record.Outcome) string {
	var names []string
	for _, o := range outcomes {
		names = append(names, string(o))
	}
	return strings.Join(names, ", ")
}
