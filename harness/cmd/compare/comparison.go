package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// runTimeout bounds one run; they take about half a minute.
const runTimeout = 10 * time.Minute

// A comparison is what is to be done, and with what.
type comparison struct {
	clusters []string
	cluster  driver.Options // of each, but for its name
	parallel int

	build func(ctx context.Context, dir string) (*defects.Subject, error)
	// open brings a cluster up; agent is the load generator's program.
	open     func(ctx context.Context, name, agent string) (cluster.Cluster, error)
	verify   func(context.Context, cluster.Cluster, verify.Options) (*record.Run, error)
	progress io.Writer

	mu sync.Mutex // over progress, while runs go on
}

// The defaults of flags.
const (
	defaultNodes    = 2
	defaultParallel = 2
)

// command is what makes the same comparison on another machine: without what only
// says where this one has its files.
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

// cases are the rows of the table: the right server first.
func cases() []defects.Case { return append([]defects.Case{defects.Right()}, defects.Planted()...) }

// name is the case's for people.
func name(c *defects.Case) string {
	if c.Name == "" {
		return "right"
	}
	return c.Name
}

// A column is what came of one cluster.
type column struct {
	cluster record.Cluster
	name    string
	results []result // one for each case
}

// A result is what came of one run.
type result struct {
	wrong      error // with the verdict; nil: it is as it must be
	noVerdict  error // why there is none
	failed     []string
	sent, lost int
}

// run verifies every case on every cluster. The columns are those of the clusters
// that came up, even where there is an error: that a run came to no verdict, for
// one.
func (s *comparison) run(ctx context.Context) (columns []column, err error) {
	dir, err := os.MkdirTemp("", "compare-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	s.say("building the server with planted defects")
	subject, err := s.build(ctx, dir)
	if err != nil {
		return nil, err
	}
	for _, cluster := range s.clusters {
		c, err := s.on(ctx, cluster, subject)
		if c != nil {
			columns = append(columns, *c)
		}
		if err != nil {
			return columns, fmt.Errorf("the cluster %s: %w", cluster, err)
		}
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

// on verifies every case on one cluster, which it brings up and takes down. There
// is a column once the cluster was up, even where it could not be taken down.
func (s *comparison) on(ctx context.Context, clusterName string, subject *defects.Subject) (col *column, err error) {
	s.say("%s: starting the cluster", clusterName)
	c, err := s.open(ctx, clusterName, subject.Agent)
	if err != nil {
		return nil, err
	}
	defer func() {
		s.say("%s: taking the cluster down", clusterName)
		err = errors.Join(err, c.Close())
	}()
	if err := c.LoadImage(ctx, subject.Image()); err != nil {
		return nil, fmt.Errorf("load the server's image: %w", err)
	}
	all := cases()
	col = &column{name: clusterName, results: make([]result, len(all))}
	next := make(chan int)
	var workers sync.WaitGroup
	var mu sync.Mutex // over col.cluster
	for range min(s.parallel, len(all)) {
		workers.Go(func() {
			for i := range next {
				began := time.Now()
				r, run := s.one(ctx, c, subject, &all[i])
				col.results[i] = r
				if run != nil {
					mu.Lock()
					col.cluster = run.Cluster
					mu.Unlock()
				}
				s.say("%s: %s: %s (%.0f s)", clusterName, name(&all[i]), r.String(&all[i]), time.Since(began).Seconds())
			}
		})
	}
	for i := range all {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	workers.Wait()
	return col, ctx.Err()
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

// judge says whether every verdict is as it must be.
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

// verdict is one word for the result of a case.
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

// String is a sentence about the result of a case.
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

// say tells of a step.
func (s *comparison) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.progress, format+"\n", args...)
}
