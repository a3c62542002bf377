package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// runTimeout bounds one run; each takes about half a minute.
const runTimeout = 10 * time.Minute

// A comparison compares verdicts on several clusters.
type comparison struct {
	*runner
	clusters []string
	cluster  driver.Options // of each cluster, but for its name
	parallel int
	out      string // path of the document
}

// Defaults of flags.
const (
	defaultNodes    = 2
	defaultParallel = 2
)

// command returns the command line that makes the same comparison on another host. It
// leaves out flags that are only about files on this one.
func (s *comparison) command() []string {
	command := []string{"go", "run", "./harness/cmd/compare"}
	for _, c := range s.clusters {
		command = append(command, "--cluster", c)
	}
	if s.cluster.Nodes != defaultNodes {
		command = append(command, "--nodes", strconv.Itoa(s.cluster.Nodes))
	}
	if s.parallel != defaultParallel {
		command = append(command, "--parallel", strconv.Itoa(s.parallel))
	}
	return command
}

// cases returns the rows of the table, with the correct server first.
func cases() []defects.Case { return append([]defects.Case{defects.Right()}, defects.Planted()...) }

// name returns the name of a case for people.
func name(c *defects.Case) string {
	if c.Name == "" {
		return "right"
	}
	return c.Name
}

// A column has the results on one cluster.
type column struct {
	cluster record.Cluster
	name    string
	results []result // one for each case
}

// A result is the outcome of one run.
type result struct {
	wrong      error // with the verdict; nil if it is as it should be
	noVerdict  error // why there is no verdict
	failed     []string
	sent, lost int
}

// do compares, prints the table and writes the document.
func (s *comparison) do(ctx context.Context, stdout io.Writer) error {
	// Before the runs, so that a document that can't be written is reported at once.
	document, err := readDocument(s.out)
	if err != nil {
		return err
	}
	columns, err := s.run(ctx)
	if len(columns) > 0 && ctx.Err() == nil {
		_, _ = io.WriteString(stdout, s.table(columns)) // it is in the document, too
	}
	if err != nil {
		return err
	}
	if err := document.write(s.section(columns)); err != nil {
		return err
	}
	s.say("compare: %s is written", s.out)
	return judge(columns)
}

// run verifies every case on every cluster. It returns the columns of all clusters that
// started even if there is an error, for example that a run had no verdict.
func (s *comparison) run(ctx context.Context) (columns []column, err error) {
	err = s.withSubject(ctx, func(subject *defects.Subject) error {
		for _, cluster := range s.clusters {
			c, err := s.on(ctx, cluster, subject)
			if c != nil {
				columns = append(columns, *c)
			}
			if err != nil {
				return fmt.Errorf("the cluster %s: %w", cluster, err)
			}
		}
		return nil
	})
	if err != nil {
		return columns, err
	}
	var missing []error
	for _, c := range columns {
		for i, r := range c.results {
			if r.noVerdict != nil {
				missing = append(missing, fmt.Errorf("%s on %s came to no verdict: %w", name(&cases()[i]), c.name, r.noVerdict))
			}
		}
	}
	return columns, errors.Join(missing...)
}

// on starts a cluster, verifies every case on it, and deletes it. It returns a column
// if the cluster started, even if it could not be deleted.
func (s *comparison) on(ctx context.Context, name string, subject *defects.Subject) (col *column, err error) {
	o := s.cluster
	o.Name = name
	err = s.withCluster(ctx, o, subject, func(c cluster.Cluster) error {
		col = s.all(ctx, c, name, subject)
		return ctx.Err()
	})
	return col, err
}

// all verifies every case on a cluster, s.parallel at a time, until ctx ends.
func (s *comparison) all(ctx context.Context, c cluster.Cluster, clusterName string, subject *defects.Subject) *column {
	all := cases()
	col := &column{name: clusterName, results: make([]result, len(all))}
	var mu sync.Mutex // guards col.cluster
	var runs errgroup.Group
	runs.SetLimit(s.parallel)
	for i := range all {
		runs.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			began := time.Now()
			r, run := s.one(ctx, c, subject, &all[i])
			col.results[i] = r
			if run != nil {
				mu.Lock()
				col.cluster = run.Cluster
				mu.Unlock()
			}
			s.say("%s: %s: %s (%.0f s)", clusterName, name(&all[i]), r.String(&all[i]), time.Since(began).Seconds())
			return nil
		})
	}
	_ = runs.Wait() // errors are in the results
	return col
}

// one verifies one case.
func (s *comparison) one(ctx context.Context, c cluster.Cluster, subject *defects.Subject, d *defects.Case) (result, *record.Run) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	o, err := subject.Options(d.Deployment("compare-" + name(d)))
	if err != nil {
		return result{noVerdict: err}, nil
	}
	o.Command = s.command()
	run, err := s.verify(ctx, c, o)
	if err != nil {
		return result{noVerdict: err}, nil
	}
	r := result{wrong: d.Judge(run), failed: defects.Failed(run), sent: len(run.Requests)}
	for i := range run.Requests {
		if run.Requests[i].Failed() {
			r.lost++
		}
	}
	return r, run
}

// judge returns errDiffers unless every verdict is as it should be.
func judge(columns []column) error {
	for _, c := range columns {
		for _, r := range c.results {
			if r.wrong != nil {
				return errDiffers
			}
		}
	}
	return nil
}

// verdict returns the result of a case in a word or two.
func (r *result) verdict(d *defects.Case) string {
	switch right := d.Name == ""; {
	case r.noVerdict != nil:
		return "no verdict"
	case right && r.wrong == nil:
		return "passed"
	case right:
		return "failed"
	case r.wrong == nil:
		return "caught"
	}
	return "missed"
}

// String describes the result of a case in a sentence.
func (r *result) String(d *defects.Case) string {
	text := r.verdict(d)
	if r.noVerdict != nil {
		return text + ": " + r.noVerdict.Error()
	}
	if len(r.failed) > 0 {
		text += " by " + strings.Join(r.failed, ", ")
	}
	if r.wrong != nil {
		text += ", which is wrong: " + r.wrong.Error()
	}
	return fmt.Sprintf("%s; %d of %d requests lost", text, r.lost, r.sent)
}
