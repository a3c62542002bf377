package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/report"
)

// write writes the table and the picture.
func (s *settings) write(runs []*record.Run) error {
	var text, picture bytes.Buffer
	var rows []report.ComparisonRow
	first := runs[0]
	fmt.Fprintf(&text, `# What each step of DD-007 is worth

<!-- Written by the command below; don't edit. -->

One server (harness/defects/faulty) with three ways to stop, each under the same load in the same simulated
cluster (Kubernetes %s, %d nodes): %d replicas, %d rolling restarts, %g requests/s of four client classes. No request
is tried again. Measured %s by

`+"```sh\n%s\n```\n\n![Requests lost, by the way of stopping](dd-007.svg)\n\n", first.Cluster.Kubernetes, len(first.Cluster.Nodes), s.replicas, s.restarts, s.rate,
		first.Began.UTC().Format("2006-01-02"), strings.Join(s.command, " "))
	text.WriteString("| shutdown | what it does | requests | lost |")
	for _, c := range record.Classes {
		fmt.Fprintf(&text, " %s |", c)
	}
	text.WriteString(" how they were lost |\n|---|---|--:|--:|" + strings.Repeat("--:|", len(record.Classes)) + "---|\n")
	for i, run := range runs {
		summary := report.Aggregate(run)
		row := report.CompareRun(modes[i].name, summary)
		rows = append(rows, row)
		fmt.Fprintf(&text, "| %s | %s | %d | %d |", modes[i].name, modes[i].what, summary.Sent, summary.Failed)
		for _, class := range record.Classes {
			lost := 0
			for k := range run.Requests {
				if r := &run.Requests[k]; r.Class == class && r.Failed() {
					lost++
				}
			}
			fmt.Fprintf(&text, " %d |", lost)
		}
		var how []string
		for _, o := range record.Failures {
			if n := row.Lost[o]; n > 0 {
				how = append(how, fmt.Sprintf("%d %s", n, o))
			}
		}
		if how == nil {
			how = []string{"-"}
		}
		fmt.Fprintf(&text, " %s |\n", strings.Join(how, ", "))
	}
	text.WriteString(`
The columns from "reused" on are the lost requests of each client class. How a request is lost: a connection is
refused or a SYN unanswered while nodes still route to a pod that has stopped listening; a request in flight ends in
an EOF or a reset when the process exits.

What this cannot show: how long endpoint removal takes in a large cluster. Here it takes about a second; the 5 s of
DD-007 are for those where it takes longer.
`)
	if err := report.Compare(&picture, rows); err != nil {
		return err
	}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.out, "dd-007.svg"), picture.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.out, "dd-007.md"), text.Bytes(), 0o644)
}
