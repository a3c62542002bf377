package cause

import (
	"fmt"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// capped finds pods that were killed since whoever deleted them gave them less time than
// their manifest does, as a spot node does. No manifest helps against that.
func (f *finder) capped() {
	t := &f.run.Target
	all := f.those(func(l *life) bool { return l.killed && l.Grace > 0 && l.Grace < t.Grace })
	if len(all) == 0 {
		return
	}
	given := all[0].Grace
	wait, evidence := t.PreStopSleep, []string{fmt.Sprintf("%s got SIGKILL (exit code 137) after %s: that is what they were deleted with, and the manifest's %s did not count.", count(len(all), "pod"), seconds(given), seconds(t.Grace))}
	if taken := after(all, closed); len(taken) > 0 {
		wait += slices.Max(taken)
		evidence = append(evidence, fmt.Sprintf("They took connections for %s after they were told to stop, which left %s for what was in flight.", seconds(wait), seconds(max(given-wait, 0))))
	}
	c := record.Cause{
		ID: GraceTooShort, Title: fmt.Sprintf("Pods had %s to stop, which is less than they need", seconds(given)), Evidence: evidence,
		InKubernetes: "A longer terminationGracePeriodSeconds changes nothing where the node sets the limit.",
	}
	c.InServer = fmt.Sprintf("The wait for the propagation and the longest request must fit into %s together.", seconds(given))
	if longest := f.longest(); longest > 0 && wait > 0 {
		c.InServer += fmt.Sprintf(" With requests of up to %s", seconds(longest))
		if room := (given - longest - time.Second).Truncate(time.Second); room > 0 {
			c.InServer += fmt.Sprintf(", wait at most %s", seconds(room))
		}
		c.InServer += fmt.Sprintf("; with a wait of %s, bound requests to %s%s.", seconds(wait), seconds(max(given-wait-time.Second, 0).Truncate(time.Second)), by(f.server.limit))
	}
	if p := f.run.Propagation; p != nil && p.Wait() > 0 {
		c.Evidence = append(c.Evidence, fmt.Sprintf("In this run, nodes sent new connections for up to %s after a pod was told to stop.", seconds(p.AfterDeletion)))
	}
	f.explain(c, f.on(all), all)
}
