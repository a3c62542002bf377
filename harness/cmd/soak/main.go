// Command soak writes the page about the long runs of bin/verify that make soak makes. It
// reads their reports, and refuses those that are shorter than they should be, or that have
// lost a request. See --help.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/report"
)

const usage = `Usage: soak [flags] [FOLDER]...

Writes the page about the runs whose reports are in the folders; without any, in
reports/soak-sim and reports/soak-kind, as far as they are there. Each must have
passed, with enough requests and rolling restarts, and have lost none.

Exit codes: 0 the page is written, 1 a run is not as it should be, 2 it can't be read.

Flags:
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// errShort says that a run is no proof.
var errShort = errors.New("this is no soak")

func run(args []string, stdout, stderr io.Writer) int {
	s := pflag.NewFlagSet("soak", pflag.ContinueOnError)
	s.SetOutput(io.Discard)
	s.SortFlags = false
	write := s.String("write", "", "`FILE` for the page, with its pictures beside it; empty: print the page")
	least := need{}
	s.IntVar(&least.sim.requests, "requests", 1_000_000, "`NUMBER` of requests of a run on a simulated cluster, at least")
	s.IntVar(&least.sim.restarts, "restarts", 100, "`NUMBER` of its rolling restarts, at least")
	s.IntVar(&least.other.requests, "kind-requests", 100_000, "`NUMBER` of requests of a run on another cluster, at least")
	s.IntVar(&least.other.restarts, "kind-restarts", 10, "`NUMBER` of its rolling restarts, at least")
	s.Usage = func() { fmt.Fprint(stdout, usage+s.FlagUsagesWrapped(90)) }
	err := s.Parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = tell(s.Args(), *write, least, stdout)
	}
	switch {
	case errors.Is(err, errShort):
		fmt.Fprintln(stderr, "soak:", err)
		return 1
	case err != nil:
		fmt.Fprintln(stderr, "soak:", err)
		return 2
	}
	return 0
}

// need is how long runs must be.
type need struct {
	sim, other struct{ requests, restarts int }
}

// A result is what a report says about a run.
type result struct {
	dir string
	record.Run
	Summary report.Summary `json:"summary"`
}

// restarts returns how many rolling restarts there were.
func (r *result) restarts() (n int) {
	for _, p := range r.Phases {
		if p.Kind == record.Action {
			n++
		}
	}
	return n
}

// check returns an error if a run proves nothing.
func (r *result) check(least need) error {
	n := least.other
	if r.Cluster.Driver == "sim" {
		n = least.sim
	}
	switch {
	case !r.Summary.Passed:
		return fmt.Errorf("%s: the run did not pass: %s: %w", r.dir, r.Summary.Verdict, errShort)
	case r.Summary.Failed > 0:
		return fmt.Errorf("%s: %d requests were lost: %w", r.dir, r.Summary.Failed, errShort)
	case r.Summary.Sent < n.requests || r.restarts() < n.restarts:
		return fmt.Errorf("%s: %d requests over %d rolling restarts; there must be %d over %d: %w", r.dir, r.Summary.Sent, r.restarts(), n.requests, n.restarts, errShort)
	}
	for _, class := range record.Classes {
		if !slices.ContainsFunc(r.Summary.Classes, func(c report.ClassSummary) bool { return c.Class == class && c.Sent > 0 }) {
			return fmt.Errorf("%s: there were no %s clients: %w", r.dir, class, errShort)
		}
	}
	return nil
}

// defaults are the folders that make soak uses.
var defaults = []string{"reports/soak-sim", "reports/soak-kind"}

// read reads the reports of runs.
func read(dirs []string) (results []*result, err error) {
	optional := len(dirs) == 0
	if optional {
		dirs = defaults
	}
	for _, dir := range dirs {
		text, err := os.ReadFile(filepath.Join(dir, "report.json"))
		if optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		r := &result{dir: dir}
		if err := json.Unmarshal(text, r); err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		return nil, errors.New("there is no report of a long run; make soak makes one")
	}
	return results, nil
}

// tell writes the page and its pictures.
func tell(dirs []string, file string, least need, stdout io.Writer) error {
	results, err := read(dirs)
	if err != nil {
		return err
	}
	for _, r := range results {
		if err := r.check(least); err != nil {
			return err
		}
	}
	if file == "" {
		_, err := stdout.Write(page(results))
		return err
	}
	for _, r := range results {
		drawn, err := os.ReadFile(filepath.Join(r.dir, "timeline.svg"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), r.picture()), withoutTooltips(drawn), 0o644); err != nil { //nolint:gosec // documentation is for everybody
			return err
		}
	}
	return os.WriteFile(file, page(results), 0o644) //nolint:gosec // likewise
}
