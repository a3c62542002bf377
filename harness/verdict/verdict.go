// Package verdict judges a recorded run: does a rolling update of this target lose
// requests, and does each of its pods stop as it should?
//
// [Judge] is a pure function of the record and the [Rules]. Each check has a bound and
// a measured value, and fails if the bound does not hold. It also fails if it could not
// be measured: a run that proves nothing must not pass. What no client need notice is a
// warning, unless the rules are strict. A check that does not apply, or
// that the user turned off, says so and does not count.
package verdict

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// Rules say what is expected of the target, besides losing no request.
type Rules struct {
	// Readiness and Liveness: the pods have such an endpoint, and terminating pods were
	// probed there.
	Readiness, Liveness bool
	// ReadinessWithin is how soon after SIGTERM readiness must fail. Zero: 1 s.
	ReadinessWithin time.Duration
	// Strict: what no client need notice is a failure, too, instead of a warning: losses
	// that only clients have that don't look, readiness that does not fail, liveness that
	// does, and exit codes other than 0.
	Strict bool
	// PreStop: the container has a preStop hook, so that SIGTERM comes later than the
	// kubelet's event Killing.
	PreStop bool
	// Problems: every error response must be a problem document (RFC 9457).
	Problems bool
	// Milestones are the log lines that each stopping pod must write, in this order.
	// None: not checked.
	Milestones []string
	// MaxLatencyFactor bounds the 99th percentile of the latency during the steps, as a
	// multiple of the baseline's. Zero: reported only.
	MaxLatencyFactor float64
	// Classes are the client classes of the load.
	Classes []record.Class
	// Terminations: the scenario stops pods, so that a run in which none stopped has
	// shown nothing.
	Terminations bool
	// ViaTerminations: it stops pods of the proxy in the path.
	ViaTerminations bool
}

// The identifiers of the checks. Those of the client classes are made by RequestsID.
const (
	BaselineID   = "baseline"
	LoadID       = "load"
	CoverageID   = "coverage"
	ReadinessID  = "readiness"
	LivenessID   = "liveness"
	RefusedID    = "refused-early"
	GraceID      = "grace-period"
	ExitCodeID   = "exit-code"
	MilestonesID = "log-lines"
	ProblemsID   = "problem-documents"
	LatencyID    = "latency"
	RestartsID   = "restarts"
)

// RequestsID returns the identifier of the check that a class lost no request.
func RequestsID(c record.Class) string { return "requests-" + string(c) }

// maxEvidence bounds the number of kinds of cases that a failed check lists.
const maxEvidence = 5

// Judge returns the checks of a run. It does not modify the run.
func Judge(run *record.Run, rules Rules) []record.Check {
	if rules.ReadinessWithin == 0 {
		rules.ReadinessWithin = time.Second
	}
	j := &judge{run: run, rules: rules}
	for i := range run.Pods {
		if p := &run.Pods[i]; !p.Deleted.IsZero() && !p.Lost {
			j.stopped = append(j.stopped, p)
		}
	}
	checks := []record.Check{}
	for _, c := range rules.Classes {
		checks = append(checks, j.requests(c))
	}
	checks = append(checks, j.proxy()...)
	return append(checks,
		j.problems(), j.readiness(), j.liveness(), j.refused(), j.grace(), j.exitCode(), j.milestones(), j.restarts(),
		j.baseline(), j.load(), j.coverage(), j.latency())
}

// A judge makes the checks of one run.
type judge struct {
	run     *record.Run
	rules   Rules
	stopped []*record.Pod // pods that were told to stop, and whose end could be seen
	names   *strings.Replacer
}

// A finding counts what is wrong, and describes the first case of each of the first few
// kinds. Cases that differ only in numbers and in the pod are of one kind.
type finding struct {
	wrong    int
	evidence []string // the first case of each kind
	alike    []int    // how many cases there are of that kind
	kinds    map[string]int
	mild     bool // it is a warning only
	names    *strings.Replacer
}

func (j *judge) finding() finding {
	if j.names == nil {
		var names []string
		for i := range j.run.Pods {
			if name := j.run.Pods[i].Name; name != "" {
				names = append(names, name, "*")
			}
		}
		j.names = strings.NewReplacer(names...)
	}
	return finding{kinds: map[string]int{}, names: j.names}
}

var numbers = regexp.MustCompile(`([0-9][0-9.,]*(ns|[uµ]s|ms|[smh])?)+`)

func (f *finding) add(format string, args ...any) {
	f.wrong++
	text := fmt.Sprintf(format, args...)
	kind := numbers.ReplaceAllString(f.names.Replace(text), "#")
	if i, ok := f.kinds[kind]; ok {
		f.alike[i]++
		return
	}
	if len(f.evidence) < maxEvidence {
		f.kinds[kind] = len(f.evidence)
		f.evidence, f.alike = append(f.evidence, text), append(f.alike, 1)
	}
}

// check returns the finding as a check.
func (f *finding) check(id, name, bound, measured string) record.Check {
	c := record.Check{ID: id, Name: name, Bound: bound, Measured: measured, Result: record.Pass}
	more := f.wrong
	for i, text := range f.evidence {
		more -= f.alike[i]
		if n := f.alike[i] - 1; n > 0 {
			text += fmt.Sprintf(" (and %d more like it)", n)
		}
		c.Evidence = append(c.Evidence, text)
	}
	if f.wrong > 0 {
		c.Result = record.Fail
		if f.mild {
			c.Result = record.Warning
		}
	}
	if more > 0 {
		c.Evidence = append(c.Evidence, fmt.Sprintf("and %d more, of other kinds", more))
	}
	return c
}

func notChecked(id, name, bound, why string) record.Check {
	return record.Check{ID: id, Name: name, Bound: bound, Measured: why, Result: record.NotChecked}
}

// eachStopped runs a check over the pods that were told to stop. It fails if there is
// none though the scenario should have stopped some.
func (j *judge) eachStopped(id, name, bound, good string, look func(*finding, *record.Pod)) record.Check {
	f := j.finding()
	if len(j.stopped) == 0 {
		if !j.rules.Terminations {
			return notChecked(id, name, bound, "the scenario stops no pod")
		}
		f.add("no pod was seen to stop")
	}
	bad := 0
	for _, p := range j.stopped {
		before := f.wrong
		look(&f, p)
		if f.wrong > before {
			bad++
		}
	}
	return f.check(id, name, bound, fmt.Sprintf("%d of %d pods %s", len(j.stopped)-bad, len(j.stopped), good))
}

// since formats a time as reports show it: in seconds since the run began.
func (j *judge) since(t time.Time) string {
	return fmt.Sprintf("%.3f s", t.Sub(j.run.Began).Seconds())
}

// ms formats a duration for people.
func ms(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
