package report

import (
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// maxFailures bounds the lost requests that a summary has in full. All of them are in
// requests.ndjson.gz.
const maxFailures = 10_000

// Summary has the numbers of a run.
type Summary struct {
	Passed  bool   `json:"passed"`
	Verdict string `json:"verdict"` // one sentence

	// From and To enclose everything in the record. Times in reports are relative to
	// From, when the run began.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`

	Sent   int `json:"sent"`
	Failed int `json:"failed"`
	// OnlyBlind counts those of the lost that only clients lose that don't look before
	// they send; see record.Request.
	OnlyBlind int `json:"onlyBlind"`

	Classes  []ClassSummary `json:"classes"`
	Outcomes []OutcomeCount `json:"outcomes"` // of the lost requests, by class
	Phases   []PhaseSummary `json:"phases"`
	Pods     []PodSummary   `json:"pods"` // in the order of record.Run.Pods
	Seconds  []Second       `json:"seconds"`

	// Failures are the first lost requests, at most 10,000, in the order in which they
	// were lost. FailuresBeyond counts the others.
	Failures       []record.Request `json:"failures"`
	FailuresBeyond int              `json:"failuresBeyond"`
	// PodUnknown counts the lost requests whose pod is unknown, or not among the run's
	// pods.
	PodUnknown int `json:"podUnknown"`
}

// Numbers count requests.
type Numbers struct {
	Sent   int `json:"sent"`
	Failed int `json:"failed"`
	// Latencies of the requests that were not lost, since they were due; 0 if there are
	// none. For streams: how long they were held.
	P50 time.Duration `json:"p50Ns"`
	P99 time.Duration `json:"p99Ns"`
	Max time.Duration `json:"maxNs"`
}

// ClassNumbers are the numbers of one client class.
type ClassNumbers struct {
	Class record.Class `json:"class"`
	Numbers
}

// ClassSummary describes the requests of one client class, and what it was told to do.
type ClassSummary struct {
	ClassNumbers
	Rate        float64       `json:"rate"`      // requests per second, in the time from loadTime
	AskedRate   float64       `json:"askedRate"` // 0 for streams
	Connections int           `json:"connections"`
	Late        time.Duration `json:"lateNs"` // see record.Client
	Skipped     int           `json:"skipped"`
}

// OutcomeCount counts the requests of a class that were lost in the same way.
type OutcomeCount struct {
	Class   record.Class   `json:"class"`
	Outcome record.Outcome `json:"outcome"`
	Count   int            `json:"count"`
	First   time.Time      `json:"first"` // when the first of them was lost
}

// PhaseSummary counts the requests that were due during a phase.
type PhaseSummary struct {
	record.Phase
	Sent    int            `json:"sent"`
	Failed  int            `json:"failed"`
	Classes []ClassNumbers `json:"classes"`
}

// PodSummary counts the requests of a pod.
type PodSummary struct {
	Name   string `json:"name"`
	Served int    `json:"served"` // requests that were not lost
	Failed int    `json:"failed"` // requests lost at this pod, as far as known
}

// Second counts the requests that were due in one second of the run. If they were
// counted by when they were sent, clients that wait for a connection would look like a
// load that stops and then catches up. Seconds without requests are left out.
type Second struct {
	Second  int            `json:"second"` // since Summary.From
	Classes []ClassNumbers `json:"classes"`
}

// Aggregate counts the requests of a run.
func Aggregate(run *record.Run) *Summary {
	s := &Summary{Passed: run.Passed(), Sent: len(run.Requests)}
	s.From, s.To = extent(run)

	total := map[record.Class]*tally{}
	seconds := map[int]map[record.Class]*tally{}
	phases := make([]map[record.Class]*tally, len(run.Phases))
	for i := range phases {
		phases[i] = map[record.Class]*tally{}
	}
	pods := map[string]*PodSummary{}
	for i := range run.Pods {
		pods[run.Pods[i].Name] = &PodSummary{Name: run.Pods[i].Name}
	}
	outcomes := map[OutcomeCount]*OutcomeCount{}
	var failed []int

	for i := range run.Requests {
		q := &run.Requests[i]
		due := dueAt(q)
		second := int(due.Sub(s.From) / time.Second)
		if seconds[second] == nil {
			seconds[second] = map[record.Class]*tally{}
		}
		count(total, q)
		count(seconds[second], q)
		if p := phaseAt(run.Phases, due); p >= 0 {
			count(phases[p], q)
		}
		pod := pods[q.Pod]
		if !q.Failed() {
			if pod != nil {
				pod.Served++
			}
			continue
		}
		failed = append(failed, i)
		if q.OnlyBlind() {
			s.OnlyBlind++
		}
		if pod != nil {
			pod.Failed++
		} else {
			s.PodUnknown++
		}
		key := OutcomeCount{Class: q.Class, Outcome: q.Outcome}
		if o := outcomes[key]; o == nil {
			outcomes[key] = &OutcomeCount{q.Class, q.Outcome, 1, lostAt(q)}
		} else {
			o.Count++
			if at := lostAt(q); at.Before(o.First) {
				o.First = at
			}
		}
	}

	s.Failed = len(failed)
	slices.SortStableFunc(failed, func(a, b int) int {
		return lostAt(&run.Requests[a]).Compare(lostAt(&run.Requests[b]))
	})
	s.Failures = make([]record.Request, 0, min(len(failed), maxFailures))
	for _, i := range failed[:min(len(failed), maxFailures)] {
		s.Failures = append(s.Failures, run.Requests[i])
	}
	s.FailuresBeyond = len(failed) - len(s.Failures)

	s.Classes = classSummaries(run, total, loadTime(run))
	s.Outcomes = sortedOutcomes(outcomes)
	s.Phases = make([]PhaseSummary, len(run.Phases))
	for i, p := range run.Phases {
		s.Phases[i] = PhaseSummary{Phase: p, Classes: numbers(phases[i])}
		for _, c := range s.Phases[i].Classes {
			s.Phases[i].Sent += c.Sent
			s.Phases[i].Failed += c.Failed
		}
	}
	s.Pods = make([]PodSummary, len(run.Pods))
	for i := range run.Pods {
		s.Pods[i] = *pods[run.Pods[i].Name]
	}
	s.Seconds = make([]Second, 0, len(seconds))
	for n, classes := range seconds {
		s.Seconds = append(s.Seconds, Second{n, numbers(classes)})
	}
	slices.SortFunc(s.Seconds, func(a, b Second) int { return a.Second - b.Second })
	s.Verdict = verdict(run, s)
	return s
}

// dueAt returns when a request was due, or else when it was sent.
func dueAt(q *record.Request) time.Time {
	if !q.Due.IsZero() {
		return q.Due
	}
	return sentAt(q)
}

// sentAt returns when a request was sent, or else when it was due or ended.
func sentAt(q *record.Request) time.Time {
	switch {
	case !q.Sent.IsZero():
		return q.Sent
	case !q.Due.IsZero():
		return q.Due
	}
	return q.End
}

// lostAt returns when it was known that a request was lost.
func lostAt(q *record.Request) time.Time {
	if q.End.IsZero() {
		return sentAt(q)
	}
	return q.End
}

// phaseAt returns the index of the phase at a moment, or -1. The moment between two
// phases belongs to the later one.
func phaseAt(phases []record.Phase, t time.Time) int {
	for i := len(phases) - 1; i >= 0; i-- {
		if !t.Before(phases[i].Began) && !t.After(phases[i].Ended) {
			return i
		}
	}
	return -1
}

// extent returns when a run began, and the time of the last thing in its record.
func extent(run *record.Run) (from, to time.Time) {
	from, to = run.Began, run.Ended
	see := func(t time.Time) {
		if t.IsZero() {
			return
		}
		if run.Began.IsZero() && (from.IsZero() || t.Before(from)) {
			from = t
		}
		if t.After(to) {
			to = t
		}
	}
	for i := range run.Requests {
		see(dueAt(&run.Requests[i]))
		see(sentAt(&run.Requests[i]))
		see(run.Requests[i].End)
	}
	for i := range run.Phases {
		see(run.Phases[i].Began)
		see(run.Phases[i].Ended)
	}
	if !to.After(from) {
		to = from.Add(time.Second)
	}
	return from, to
}

// loadTime returns the time between the first and the last request that was due. The
// run goes on after it until the pods have ended, and this must not make the rate look
// lower. It returns at least a second, so that a handful of requests is not a high
// rate.
func loadTime(run *record.Run) time.Duration {
	var from, to time.Time
	for i := range run.Requests {
		due := dueAt(&run.Requests[i])
		if i == 0 || due.Before(from) {
			from = due
		}
		if i == 0 || due.After(to) {
			to = due
		}
	}
	return max(to.Sub(from), time.Second)
}

func classSummaries(run *record.Run, total map[record.Class]*tally, took time.Duration) []ClassSummary {
	told := map[record.Class]record.Client{}
	for _, c := range run.Load {
		told[c.Class] = c
		if total[c.Class] == nil {
			total[c.Class] = &tally{} // readers must see that it sent nothing
		}
	}
	all := numbers(total)
	out := make([]ClassSummary, len(all))
	for i, n := range all {
		c := told[n.Class]
		out[i] = ClassSummary{
			ClassNumbers: n, Rate: float64(n.Sent) / took.Seconds(), AskedRate: c.Rate,
			Connections: c.Connections, Late: c.Late, Skipped: c.Skipped,
		}
	}
	return out
}

func sortedOutcomes(m map[OutcomeCount]*OutcomeCount) []OutcomeCount {
	out := make([]OutcomeCount, 0, len(m))
	for _, o := range m {
		out = append(out, *o)
	}
	slices.SortFunc(out, func(a, b OutcomeCount) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		if c := compareClasses(a.Class, b.Class); c != 0 {
			return c
		}
		return strings.Compare(string(a.Outcome), string(b.Outcome))
	})
	return out
}

// compareClasses orders the known classes as in record.Classes, and others after them.
func compareClasses(a, b record.Class) int {
	i, j := slices.Index(record.Classes, a), slices.Index(record.Classes, b)
	switch {
	case i >= 0 && j >= 0:
		return i - j
	case i >= 0:
		return -1
	case j >= 0:
		return 1
	}
	return strings.Compare(string(a), string(b))
}
