package report

import (
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// A fixedRow compares a number of a run with that of the run with the changed manifest.
type fixedRow struct {
	What, Before, After string
	Bad, Better         bool // After is bad; it is better than Before
}

// fixedRows compares a run with run.Fixed: what was lost, by class, the checks that failed,
// and the causes.
func fixedRows(run *record.Run, s *Summary) []fixedRow {
	if run.Fixed == nil {
		return nil
	}
	after := Aggregate(run.Fixed)
	number := func(what string, a, b int) fixedRow {
		return fixedRow{what, format.Grouped(a), format.Grouped(b), b > 0, b < a}
	}
	rows := []fixedRow{
		{"requests", format.Grouped(s.Sent), format.Grouped(after.Sent), false, false},
		number("lost by any client", s.Failed-s.OnlyBlind, after.Failed-after.OnlyBlind),
		number("lost by clients that don't look", s.OnlyBlind, after.OnlyBlind),
	}
	for _, c := range s.Classes {
		lost := 0
		if i := slices.IndexFunc(after.Classes, func(o ClassSummary) bool { return o.Class == c.Class }); i >= 0 {
			lost = after.Classes[i].Failed
		}
		if c.Failed > 0 || lost > 0 {
			rows = append(rows, number("lost, "+format.Cut(string(c.Class), 30), c.Failed, lost))
		}
	}
	list := func(what string, a, b []string) fixedRow {
		return fixedRow{what, orNone(a), orNone(b), len(b) > 0, len(b) < len(a)}
	}
	failedBefore, _ := failedChecks(run)
	failedAfter, _ := failedChecks(run.Fixed)
	return append(rows, list("failed checks", failedBefore, failedAfter), list("causes", causeIDs(run), causeIDs(run.Fixed)))
}

func causeIDs(run *record.Run) []string {
	var ids []string
	for i := range run.Causes {
		ids = append(ids, run.Causes[i].ID)
	}
	return ids
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return format.Cut(strings.Join(names, ", "), 300)
}

// fixed prints what the change of the manifest was worth.
func (p *printer) fixed(run *record.Run, s *Summary) {
	rows := fixedRows(run, s)
	if rows == nil {
		return
	}
	p.wrap("the same once more, with that change: "+Aggregate(run.Fixed).Verdict, "", "  ", plain)
	p.line("")
	table := [][]string{{"", "before", "after"}}
	var words []fixedRow
	for _, r := range rows {
		if r.What == "failed checks" || r.What == "causes" {
			words = append(words, r)
			continue
		}
		table = append(table, []string{r.What, r.Before, r.After})
	}
	p.table(table)
	for _, r := range words {
		p.wrap(r.What+": "+r.Before+"; now: "+r.After, "  ", "    ", plain)
	}
	p.line("")
}
