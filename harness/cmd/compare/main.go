// Command compare verifies servers side by side. It verifies the server with planted
// defects on several clusters, where the verdicts must be the same (comparison.go), or
// one server with several ways to stop, to show what each of them is worth
// (shutdowns.go). See --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

const usage = `Usage: compare [flags]
       compare shutdowns [flags]     (compare shutdowns --help)

Verifies a right server and the same server with each of twelve planted defects
(harness/defects/faulty) on several clusters, one cluster after the other. The
right server must pass and each defect must be caught by the checks that are there
for it, on every cluster. Run it in a checkout, with Go in PATH; it takes about
five minutes for each cluster.

It writes a table into clusters.md, between two marks; what people have written
before and after them stays. Nothing is written unless every run came to a
verdict.

Exit codes:
  0    every verdict is as it must be, and so the same everywhere
  1    one is not: a defect passed or the right server failed
  2    a run came to no verdict, or a cluster could not be had
  130  interrupted

Flags:
`

// Exit codes.
const (
	exitSame        = 0
	exitDiffers     = 1
	exitUnable      = 2
	exitInterrupted = 130
)

// errDiffers says that a verdict is not as it should be.
var errDiffers = errors.New("not every verdict is as it must be; see the table")

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// A command is one of the two comparisons.
type command interface {
	parse(args []string, stdout io.Writer) error
	// do writes the results to stdout and to files, and its progress to the runner's.
	do(ctx context.Context, stdout io.Writer) error
}

func run(args []string, stdout, stderr io.Writer) int {
	r := &runner{build: defects.Build, open: driver.Open, verify: verify.Run, progress: stderr}
	var c command = &comparison{runner: r}
	if len(args) > 0 && args[0] == "shutdowns" {
		c, args = &shutdowns{runner: r}, args[1:]
	}
	err := c.parse(args, stdout)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return exitSame
	case err != nil:
		fmt.Fprintf(stderr, "compare: %v\ncompare: --help explains every flag\n", err)
		return exitUnable
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = c.do(ctx, stdout)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "compare: interrupted; everything that was started has been ended")
		return exitInterrupted
	case errors.Is(err, errDiffers):
		fmt.Fprintf(stderr, "compare: %v\n", err)
		return exitDiffers
	case err != nil:
		fmt.Fprintf(stderr, "compare: nothing is written: %v\n", err)
		return exitUnable
	}
	return exitSame
}

// parse parses flags. With --help, it prints the usage on stdout.
func parse(f *pflag.FlagSet, args []string, usage string, stdout io.Writer) error {
	f.SetOutput(io.Discard)
	f.SortFlags = false
	f.Usage = func() { fmt.Fprint(stdout, usage+f.FlagUsagesWrapped(90)) }
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%q is no flag; this command takes flags only", f.Arg(0))
	}
	return nil
}

func (s *comparison) parse(args []string, stdout io.Writer) error {
	f := pflag.NewFlagSet("compare", pflag.ContinueOnError)
	f.StringArrayVar(&s.clusters, "cluster", []string{"sim"}, "`KIND` of cluster: sim or kind; repeated for several")
	f.IntVar(&s.cluster.Nodes, "nodes", defaultNodes, "`NUMBER` of nodes of each cluster that run pods")
	s.cluster.AddKindFlags(f)
	f.IntVar(&s.parallel, "parallel", defaultParallel, "`NUMBER` of runs at a time on one cluster")
	f.StringVar(&s.out, "out", "docs/verification/clusters.md", "`FILE` to write the table into")
	if err := parse(f, args, usage, stdout); err != nil {
		return err
	}
	if s.parallel < 1 || s.parallel > 13 {
		return fmt.Errorf("--parallel is %d; it must be between 1 and 13, which are all the runs", s.parallel)
	}
	if s.cluster.Nodes < 1 || s.cluster.Nodes > 10 {
		return fmt.Errorf("--nodes is %d; it must be between 1 and 10", s.cluster.Nodes)
	}
	return checkClusters(s.clusters)
}

// ours are the clusters that this command can use, since it starts and deletes them
// itself.
var ours = []string{driver.Sim, driver.Kind}

// checkClusters returns an error if the names can't be compared.
func checkClusters(names []string) error {
	if len(names) == 0 {
		return fmt.Errorf("name at least one cluster with --cluster: %s", strings.Join(ours, ", "))
	}
	for i, name := range names {
		if !slices.Contains(ours, name) {
			return fmt.Errorf("--cluster is %q; this command can bring up: %s", name, strings.Join(ours, ", "))
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("--cluster %s is given twice; a cluster is not compared with itself", name)
		}
	}
	return nil
}
