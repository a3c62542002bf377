package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/report"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

const shutdownsUsage = `Usage: compare shutdowns [flags]

Measures what each step of the DD-007 shutdown is worth: the same server
(harness/defects/faulty) under the same load in the same simulated cluster, during
rolling restarts, stopped in three ways:

  naive           on SIGTERM it closes its listener and exits, almost like a
                  program that does not handle signals
  readiness-only  on SIGTERM readiness turns 503, and 5 s later it exits
  full            DD-007: readiness 503, 5 s, then the drain

Run it in a checkout, with Go in PATH. It writes dd-007.md and dd-007.svg.

Flags:
`

// modes are the server's ways to stop, in the order of the table.
var modes = []struct{ name, what string }{
	{"naive", "SIGTERM: close the listener and exit"},
	{"readiness-only", "readiness 503, 5 s, exit"},
	{"full", "DD-007: readiness 503, 5 s, drain, exit"},
}

// shutdowns compares several ways to stop a server.
type shutdowns struct {
	*runner
	command  []string
	out      string
	rate     float64
	restarts int
	replicas int
}

func (s *shutdowns) parse(args []string, stdout io.Writer) error {
	s.command = append([]string{"go", "run", "./harness/cmd/compare", "shutdowns"}, args...)
	f := pflag.NewFlagSet("compare shutdowns", pflag.ContinueOnError)
	f.StringVar(&s.out, "out", "docs/verification", "`FOLDER` for the table and the picture")
	f.Float64Var(&s.rate, "rate", 500, "requests per second (`NUMBER`)")
	f.IntVar(&s.restarts, "restarts", 3, "rolling restarts for each (`NUMBER`)")
	f.IntVar(&s.replicas, "replicas", 3, "replicas (`NUMBER`)")
	return parse(f, args, shutdownsUsage, stdout)
}

// do verifies the server in each mode, and writes the results.
func (s *shutdowns) do(ctx context.Context, _ io.Writer) error {
	var runs []*record.Run
	err := s.withSubject(ctx, func(subject *defects.Subject) error {
		return s.withCluster(ctx, driver.Options{Name: driver.Sim}, subject, func(c cluster.Cluster) error {
			for _, mode := range modes {
				s.say("%s: %s", mode.name, mode.what)
				o, err := s.options(subject, mode.name)
				if err != nil {
					return err
				}
				run, err := s.verify(ctx, c, o)
				if err != nil {
					return fmt.Errorf("%s: %w", mode.name, err)
				}
				runs = append(runs, run)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return s.write(runs)
}

// options returns the options for one mode. They differ in nothing but the server's
// flag.
func (s *shutdowns) options(subject *defects.Subject, mode string) (verify.Options, error) {
	o, err := subject.Options(defects.Deployment{Namespace: "compare-" + mode, Replicas: s.replicas, Args: []string{"--shutdown=" + mode}})
	if err != nil {
		return o, err
	}
	o.Command, o.Baseline, o.Traffic.Rate = s.command, 5*time.Second, s.rate
	o.Say = func(format string, args ...any) { s.say("  "+format, args...) }
	// The comparison is about losses, so log lines are not checked.
	o.Milestones, o.Signal = nil, ""
	o.Steps, err = scenario.Parse(o.Scenario, s.restarts)
	return o, err
}

// write writes the table and the picture.
func (s *shutdowns) write(runs []*record.Run) error {
	var text, picture bytes.Buffer
	var rows []report.ComparisonRow
	first := runs[0]
	fmt.Fprintf(&text, `# What each step of DD-007 is worth

<!-- Written by the command below; don't edit. -->

One server (harness/defects/faulty) with three ways to stop, each under the same load in the same simulated
cluster (Kubernetes %s, %d nodes): %d replicas, %d rolling restarts, %g requests/s of five client classes. No request
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
			if k := slices.IndexFunc(summary.Classes, func(c report.ClassSummary) bool { return c.Class == class }); k >= 0 {
				lost = summary.Classes[k].Failed
			}
			fmt.Fprintf(&text, " %d |", lost)
		}
		var how []string
		for _, o := range record.Failures {
			if n := row.Lost[o]; n > 0 {
				how = append(how, fmt.Sprintf("%d %s", n, o))
			}
		}
		fmt.Fprintf(&text, " %s |\n", cmp.Or(strings.Join(how, ", "), "-"))
	}
	text.WriteString(`
The columns from "pooled" on are the lost requests of each client class. How a request is lost: a connection is
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
