package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/internal/host"
)

// section returns the section of the document that this command writes.
func (s *comparison) section(columns []column) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nMeasured %s on one machine (%s), the clusters one after the other, by\n\n```sh\n%s\n```\n\n",
		time.Now().UTC().Format("2006-01-02"), host.Describe(), strings.Join(s.command(), " "))
	b.WriteString("| cluster | Kubernetes | nodes |\n|---|---|--:|\n")
	for _, c := range columns {
		fmt.Fprintf(&b, "| %s | %s | %d |\n", c.name, c.cluster.Kubernetes, len(c.cluster.Nodes))
	}
	b.WriteString("\n" + s.table(columns) + "\n")
	if len(columns) > 1 {
		b.WriteString(differences(columns) + "\n")
	}
	return b.String()
}

// table returns the table, with a row for each case.
func (s *comparison) table(columns []column) string {
	var b strings.Builder
	b.WriteString("| server | what it does | must be caught by |")
	for _, c := range columns {
		fmt.Fprintf(&b, " %s | lost on %s |", c.name, c.name)
	}
	b.WriteString(" agree |\n|---|---|---|" + strings.Repeat("---|--:|", len(columns)) + "---|\n")
	for i, d := range cases() {
		fmt.Fprintf(&b, "| %s | %s | %s |", name(&d), d.About, cmp.Or(code(d.Checks), "-"))
		for _, c := range columns {
			fmt.Fprintf(&b, " %s | %s |", cell(&d, &c.results[i]), losses(&c.results[i]))
		}
		fmt.Fprintf(&b, " %s |\n", agreement(&d, i, columns))
	}
	return b.String()
}

// cell returns the verdict of one run, with the checks that failed in addition to the
// required ones. If it is not as it should be, it is in bold.
func cell(d *defects.Case, r *result) string {
	switch verdict := r.verdict(d); {
	case r.noVerdict != nil:
		return "**" + verdict + "**: " + inRow(r.noVerdict.Error())
	case r.wrong != nil:
		return fmt.Sprintf("**%s**: %s (failed: %s)", verdict, inRow(r.wrong.Error()), cmp.Or(code(r.failed), "-"))
	default:
		if also := others(d, r); len(also) > 0 {
			verdict += "; also " + code(also)
		}
		return verdict
	}
}

// others returns the checks that failed in addition to the required ones.
func others(d *defects.Case, r *result) (ids []string) {
	for _, id := range r.failed {
		if !slices.Contains(d.Checks, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func losses(r *result) string {
	if r.noVerdict != nil {
		return "-"
	}
	return fmt.Sprintf("%d of %d", r.lost, r.sent)
}

// agreement says whether all clusters have the same verdict on a case.
func agreement(d *defects.Case, i int, columns []column) string {
	if len(columns) < 2 {
		return "-"
	}
	for _, c := range columns[1:] {
		if c.results[i].verdict(d) != columns[0].results[i].verdict(d) {
			return "**no**"
		}
	}
	return "yes"
}

// differences lists the checks that failed on some clusters only.
func differences(columns []column) string {
	var b strings.Builder
	for i, d := range cases() {
		var found []string
		for _, c := range columns {
			for _, id := range c.results[i].failed {
				if where := failedOn(id, i, columns); len(where) < len(columns) {
					if text := fmt.Sprintf("`%s` on %s only", id, strings.Join(where, " and ")); !slices.Contains(found, text) {
						found = append(found, text)
					}
				}
			}
		}
		if found != nil {
			fmt.Fprintf(&b, "- %s: %s\n", name(&d), strings.Join(found, ", "))
		}
	}
	if b.Len() == 0 {
		return "Every check failed on all of the clusters or on none.\n"
	}
	return "Checks that failed on some of the clusters only:\n\n" + b.String()
}

// failedOn returns the clusters on which a check failed in a case.
func failedOn(id string, i int, columns []column) (names []string) {
	for _, c := range columns {
		if slices.Contains(c.results[i].failed, id) {
			names = append(names, c.name)
		}
	}
	return names
}

// inRow returns an error's text in a form that fits into a table.
func inRow(s string) string {
	return strings.NewReplacer("\n", "; ", "|", `\|`).Replace(strings.TrimSpace(s))
}

func code(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return "`" + strings.Join(ids, "`, `") + "`"
}
