package report

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// A lostTable counts the lost requests by outcome and class.
type lostTable struct {
	Classes []string
	Rows    []lostRow
}

type lostRow struct {
	Outcome, Total, First string
	Counts                []string // by class
}

// lostOutcomes returns the table, with the most frequent outcome first.
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
		row := lostRow{Outcome: string(o), Total: format.Grouped(one.total), First: offset(s.From, one.first)}
		for _, n := range one.counts {
			row.Counts = append(row.Counts, format.Grouped(n))
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
			Request: format.Cut(q.Method+" "+q.Path, 200), Pod: format.Cut(q.Whose(), 600), Connection: connection(q), Detail: format.Cut(q.Detail, 300),
		}
		if q.Status != 0 {
			v.Outcome += " (" + strconv.Itoa(q.Status) + ")"
		}
		out = append(out, v)
	}
	return out
}

// connection describes the connection on which a request was lost.
func connection(q *record.Request) string {
	text := "new"
	if q.ConnectionUse > 0 {
		text = fmt.Sprintf("used %d times, %s old", q.ConnectionUse, format.Duration(q.ConnectionAge))
	}
	if q.CloseAnnounced {
		text += ", its close was announced"
	}
	if q.SentAfterClose {
		text += ", sent after its close had arrived"
	}
	return text
}
