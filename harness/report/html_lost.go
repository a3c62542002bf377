package report

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

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

// lostTable counts the lost requests by how they were lost, and by class.
type lostTable struct {
	Classes []string
	Rows    []lostRow
}

type lostRow struct {
	Outcome, Meaning, Total, First string
	Counts                         []string // of each class
}

// lostOutcomes has the most frequent outcome first.
func lostOutcomes(s *Summary) lostTable {
	var table lostTable
	column := map[record.Class]int{}
	for _, c := range s.Classes {
		if c.Failed > 0 {
			column[c.Class] = len(table.Classes)
			table.Classes = append(table.Classes, string(c.Class))
		}
	}
	type sum struct {
		total  int
		counts []int
		first  time.Time
	}
	sums := map[record.Outcome]*sum{}
	var outcomes []record.Outcome
	for _, o := range s.Outcomes {
		one := sums[o.Outcome]
		if one == nil {
			one = &sum{counts: make([]int, len(table.Classes)), first: o.First}
			sums[o.Outcome] = one
			outcomes = append(outcomes, o.Outcome)
		}
		one.total += o.Count
		one.counts[column[o.Class]] += o.Count
		if o.First.Before(one.first) {
			one.first = o.First
		}
	}
	slices.SortStableFunc(outcomes, func(a, b record.Outcome) int { return sums[b].total - sums[a].total })
	for _, o := range outcomes {
		one := sums[o]
		row := lostRow{Outcome: string(o), Meaning: meaning[o], Total: grouped(one.total), First: offset(s.From, one.first)}
		for _, n := range one.counts {
			row.Counts = append(row.Counts, grouped(n))
		}
		table.Rows = append(table.Rows, row)
	}
	return table
}

type failureView struct {
	At, Sent, Class, Outcome, Request, Pod, Connection, Detail string
}

func firstFailures(s *Summary) []failureView {
	var out []failureView
	for i := range s.Failures[:min(len(s.Failures), maxFirst)] {
		q := &s.Failures[i]
		v := failureView{
			At: offset(s.From, lostAt(q)), Sent: offset(s.From, sentAt(q)), Class: string(q.Class), Outcome: string(q.Outcome),
			Request: cut(q.Method+" "+q.Path, 200), Pod: cut(orDash(q.Pod), 253), Connection: connection(q), Detail: cut(q.Detail, 300),
		}
		if q.Status != 0 {
			v.Outcome += " (" + strconv.Itoa(q.Status) + ")"
		}
		if q.Inferred {
			v.Pod += " (inferred)"
		}
		out = append(out, v)
	}
	return out
}

// connection says what is known of the connection that a request was lost on.
func connection(q *record.Request) string {
	text := "new"
	if q.ConnectionUse > 0 {
		text = fmt.Sprintf("used %d times, %s old", q.ConnectionUse, human(q.ConnectionAge))
	}
	if q.CloseAnnounced {
		text += ", its close was announced"
	}
	if q.SentAfterClose {
		text += ", sent after its close had arrived"
	}
	return text
}
