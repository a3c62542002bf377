package zoo

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verdict"
)

// Losses are the requests that a run has lost while pods were stopped, and who lost them.
type Losses struct {
	Sent     int
	Baseline int          // lost before anything was done
	Anybody  map[Loss]int // lost by any client
	Blind    int          // lost only by clients that don't look
}

// A Loss is a way to lose a request, of one class.
type Loss struct {
	Class record.Class
	Way   Way
}

// A Way is how any client loses a request.
type Way string

const (
	// Unreached: nobody took the connection.
	Unreached Way = "not connected"
	// Unread: a new connection was closed before its first response.
	Unread Way = "closed when new"
	// Racing: a kept connection was closed as the request came.
	Racing Way = "met the close"
	// Cut: a slow request that the server worked at, or a response that had begun.
	Cut Way = "cut in flight"
	// Otherwise: for example by a wrong answer, or none.
	Otherwise Way = "otherwise"
)

// ways are all of them, in the order of the table.
var ways = []Way{Unreached, Unread, Racing, Cut, Otherwise}

// worked is for how long a server has had a slow request that was cut. Each would take a
// second or more, and one that meets a close fails at once.
const worked = 500 * time.Millisecond

// wayOf returns how a request was lost.
func wayOf(r *record.Request) Way {
	switch r.Outcome {
	case record.Refused, record.DialTimeout, record.DialFailed:
		return Unreached
	case record.EOFMid, record.ResetMid:
		return Cut
	case record.EOFBefore, record.ResetBefore:
		switch {
		case r.Class == record.Slow && r.End.Sub(r.Sent) >= worked:
			return Cut
		case r.ConnectionUse > 0:
			return Racing
		}
		return Unread
	}
	return Otherwise
}

// Count counts the losses of a run.
func Count(run *record.Run) Losses {
	l := Losses{Sent: len(run.Requests), Anybody: map[Loss]int{}}
	for i := range run.Requests {
		r := &run.Requests[i]
		switch {
		case !r.Failed():
		case inBaseline(run, r):
			l.Baseline++
		case r.OnlyBlind():
			l.Blind++
		default:
			l.Anybody[Loss{r.Class, wayOf(r)}]++
		}
	}
	return l
}

// Any returns how many requests any client would have lost.
func (l Losses) Any() (n int) {
	for _, more := range l.Anybody {
		n += more
	}
	return n
}

// Grade returns who loses requests.
func (l Losses) Grade() Grade {
	switch {
	case l.Any() > 0:
		return Anybody
	case l.Blind > 0:
		return Blind
	}
	return Nobody
}

func inBaseline(run *record.Run, r *record.Request) bool {
	return slices.ContainsFunc(run.Phases, func(p record.Phase) bool {
		return p.Kind == record.Baseline && r.End.Before(p.Ended)
	})
}

// TooBusy reports whether the host had no time to send the load, so that a run measures
// the host.
func TooBusy(run *record.Run) bool { return slices.Contains(failed(run), verdict.LoadID) }

// Judge returns what is wrong with the verdict on a variant: nothing, if it is the right
// one.
func (e *Expectation) Judge(run *record.Run) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	l := Count(run)
	if l.Baseline > 0 {
		say("%d requests were lost before anything was done", l.Baseline)
	}
	wrong = append(wrong, e.lost(l)...)

	// The checks of the verifier: each that should fail, and no other. What only clients that
	// don't look have lost is a warning.
	lost := map[record.Class]bool{}
	for i := range run.Requests {
		if r := &run.Requests[i]; r.Failed() && !r.OnlyBlind() {
			lost[r.Class] = true
		}
	}
	expected := slices.Clone(e.Fails)
	for class := range lost {
		expected = append(expected, verdict.RequestsID(class))
	}
	got := failed(run)
	for _, id := range expected {
		if !slices.Contains(got, id) && !(slices.Contains(e.Fails, id) && warned(run, id)) {
			say("the check %s did not fail", id)
		}
	}
	for _, id := range got {
		if id == verdict.RefusedID && e.Lost == Anybody {
			continue // a listener that closes early may do so before the endpoint is gone
		}
		if !slices.Contains(expected, id) && !slices.Contains(e.MayFail, id) && (id != verdict.BaselineID || l.Baseline == 0) {
			say("false alarm of the check %s: %s", id, evidence(run, id))
		}
	}
	return append(wrong, pods(run)...)
}

// lost compares the losses with those that are expected.
func (e *Expectation) lost(l Losses) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	came := 0
	for _, one := range sorted(l.Anybody) {
		n := l.Anybody[one]
		if one.Way == Unreached || one.Way == Unread {
			came += n
		}
		switch {
		case slices.Contains(e.Ways, one.Way):
		case e.Lost != Anybody && one.Way == Racing && n <= e.Race:
		default:
			say("%d %s requests lost by any client, %s", n, one.Class, one.Way)
		}
	}
	if e.Lost == Anybody && came == 0 {
		say("no client lost a request as it came")
	}
	if e.Lost == Blind && l.Blind == 0 {
		say("no client that doesn't look lost a request")
	}
	if e.Lost == Nobody && l.Blind > 0 {
		say("%d requests lost by clients that don't look", l.Blind)
	}
	return wrong
}

// sorted returns the losses of a count, by class and way.
func sorted(lost map[Loss]int) []Loss {
	return slices.SortedFunc(maps.Keys(lost), func(a, b Loss) int {
		return cmp.Or(slices.Index(record.Classes, a.Class)-slices.Index(record.Classes, b.Class), slices.Index(ways, a.Way)-slices.Index(ways, b.Way))
	})
}

// seenLate is how late the deletion of a pod may be seen on a busy host. Its process may
// have closed its listener by then.
const seenLate = time.Second

// pods finds lost requests for which a pod is blamed that was not even told to stop.
func pods(run *record.Run) (wrong []string) {
	n, example := 0, ""
	for i := range run.Requests {
		r := &run.Requests[i]
		if !r.Failed() || r.Pod == "" || inBaseline(run, r) {
			continue
		}
		for k := range run.Pods {
			if p := &run.Pods[k]; p.Name == r.Pod && (p.Deleted.IsZero() || p.Deleted.After(r.End.Add(seenLate))) {
				n++
				example = fmt.Sprintf("%s: %s, %s", p.Name, r.Class, r.Outcome)
			}
		}
	}
	if n > 0 {
		wrong = append(wrong, fmt.Sprintf("%d losses blamed on a pod that was not told to stop (%s)", n, example))
	}
	return wrong
}

// failed returns the identifiers of the checks that failed.
func failed(run *record.Run) (ids []string) {
	for _, c := range run.Checks {
		if c.Result == record.Fail {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// warned reports whether a check ended with a warning, as those do, without --strict, that
// are about what the cluster does not ask for.
func warned(run *record.Run, id string) bool {
	return slices.ContainsFunc(run.Checks, func(c record.Check) bool { return c.ID == id && c.Result == record.Warning })
}

func evidence(run *record.Run, id string) string {
	for _, c := range run.Checks {
		if c.ID == id {
			return strings.Join(append([]string{c.Measured}, c.Evidence[:min(1, len(c.Evidence))]...), "; ")
		}
	}
	return ""
}
