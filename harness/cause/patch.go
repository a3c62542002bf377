package cause

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// Combine returns one change that does what each of the causes needs.
func Combine(causes []record.Cause) record.Change {
	var all record.Change
	for i := range causes {
		if causes[i].Side == record.AtProxy {
			continue // not of the target's manifest
		}
		c := &causes[i].Change
		if len(all.Command) == 0 {
			all.Command = c.Command
		}
		if len(all.PreStop) == 0 {
			all.PreStop = c.PreStop
		}
		all.PreStopSleep = max(all.PreStopSleep, c.PreStopSleep)
		all.Grace = max(all.Grace, c.Grace)
		if all.ReadinessPath == "" {
			all.ReadinessPath = c.ReadinessPath
		}
	}
	if len(all.PreStop) > 0 {
		all.PreStopSleep = 0 // the command sleeps
	}
	return all
}

// firstSleep is the first minor version of Kubernetes 1 that has the sleep action of
// lifecycle hooks without a feature gate (KEP-3960).
const firstSleep = 30

// Patch returns a strategic merge patch, in YAML, that makes the changes which the run's
// causes ask for. It is empty if there are none.
func Patch(run *record.Run) string {
	t, c := &run.Target, Combine(run.Causes)
	var b strings.Builder
	line := func(depth int, format string, args ...any) {
		fmt.Fprintf(&b, strings.Repeat("  ", depth)+format+"\n", args...)
	}
	if c.Grace > t.Grace {
		line(3, "terminationGracePeriodSeconds: %d", c.Grace/time.Second)
	}
	container := containerPatch(run, &c)
	if container != "" && t.Container != "" {
		line(3, "containers:")
		line(3, "- name: %s", t.Container)
		b.WriteString(container)
	}
	if b.Len() == 0 {
		return ""
	}
	return "spec:\n  template:\n    spec:\n" + b.String()
}

func containerPatch(run *record.Run, c *record.Change) string {
	t := &run.Target
	var b strings.Builder
	line := func(depth int, format string, args ...any) {
		fmt.Fprintf(&b, strings.Repeat("  ", depth)+format+"\n", args...)
	}
	if len(c.Command) > 0 {
		line(4, "command: %s", flow(c.Command))
		line(4, "args: null")
	}
	if len(c.PreStop) > 0 || c.PreStopSleep > 0 {
		line(4, "lifecycle:")
		line(5, "preStop:")
		command := c.PreStop
		if len(command) == 0 && before(run.Cluster.Kubernetes, firstSleep) {
			command = []string{"sleep", strconv.Itoa(int(c.PreStopSleep / time.Second))}
		}
		if len(command) > 0 {
			line(6, "exec:")
			line(7, "command: %s", flow(command))
			if t.PreStopSleep > 0 && !t.PreStopByCommand {
				line(6, "sleep: null")
			}
		} else {
			line(6, "sleep:")
			line(7, "seconds: %d", c.PreStopSleep/time.Second)
			if t.PreStopByCommand {
				line(6, "exec: null")
			}
		}
	}
	if c.ReadinessPath != "" && t.Port != 0 {
		line(4, "readinessProbe:")
		line(5, "httpGet: {path: %s, port: %d}", flow(c.ReadinessPath), t.Port)
		line(5, "periodSeconds: 1")
	}
	return b.String()
}

// flow returns a value as JSON, which is YAML, too.
func flow(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // strings can't fail
	return strings.TrimSpace(b.String())
}

// before reports whether a version such as v1.29.3 is before minor version 1.n. It is
// false for a version that can't be read.
func before(version string, n int) bool {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) < 2 || parts[0] != "1" {
		return false
	}
	minor, err := strconv.Atoi(strings.TrimRight(parts[1], "+"))
	return err == nil && minor < n
}

// Command returns the command that applies a patch to the run's target; empty if the patch
// is.
func Command(run *record.Run, patch string) string {
	if patch == "" {
		return ""
	}
	namespace, name, found := strings.Cut(run.Target.Name, "/")
	if !found {
		namespace, name = "", run.Target.Name
	}
	kind := "deployment"
	if run.Target.Kind != "" {
		kind = strings.ToLower(run.Target.Kind)
	}
	if namespace != "" {
		namespace = " -n " + namespace
	}
	return fmt.Sprintf("kubectl%s patch %s %s --patch '\n%s'", namespace, kind, name, strings.ReplaceAll(patch, "'", `'\''`))
}
