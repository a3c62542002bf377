// Command compare holds clusters against each other: the server with planted
// defects, and the same server without one, is verified on each, and the verdicts
// must be the same. See --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

const usage = `Usage: compare [flags]

Verifies a right server and the same server with each of twelve planted defects
(harness/defects/faulty) on several clusters, one cluster after the other. The
right server must pass and each defect must be caught in the way that is named
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

// errDiffers says that a verdict is not as it must be.
var errDiffers = errors.New("not every verdict is as it must be; see the table")

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	s := comparison{build: defects.Build, verify: verify.Run, progress: stderr}
	s.open = s.openCluster
	out, err := s.parse(args, stdout)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return exitSame
	case err != nil:
		fmt.Fprintf(stderr, "compare: %v\ncompare: --help explains every flag\n", err)
		return exitUnable
	}
	// A document that can't be written to is better known before the runs.
	document, err := readDocument(out)
	if err != nil {
		fmt.Fprintf(stderr, "compare: %v\n", err)
		return exitUnable
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	columns, err := s.run(ctx)
	if ctx.Err() != nil {
		fmt.Fprintln(stderr, "compare: interrupted; everything that was started has been ended")
		return exitInterrupted
	}
	if len(columns) > 0 {
		fmt.Fprint(stdout, s.table(columns))
	}
	if err == nil {
		if err = document.write(s.section(columns)); err == nil {
			fmt.Fprintf(stderr, "compare: %s is written\n", out)
			err = judge(columns)
		}
	}
	switch {
	case errors.Is(err, errDiffers):
		fmt.Fprintf(stderr, "compare: %v\n", err)
		return exitDiffers
	case err != nil:
		fmt.Fprintf(stderr, "compare: nothing is written: %v\n", err)
		return exitUnable
	}
	return exitSame
}

// parse reads the flags and returns the document's path.
func (s *comparison) parse(args []string, stdout io.Writer) (out string, err error) {
	f := pflag.NewFlagSet("compare", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.SortFlags = false
	f.StringArrayVar(&s.clusters, "cluster", []string{"sim"}, "`KIND` of cluster: sim or kind; repeated for several")
	f.IntVar(&s.cluster.Nodes, "nodes", defaultNodes, "`NUMBER` of nodes of each cluster that run pods")
	s.cluster.AddKindFlags(f)
	f.IntVar(&s.parallel, "parallel", defaultParallel, "`NUMBER` of runs at a time on one cluster")
	f.StringVar(&out, "out", "docs/verification/clusters.md", "`FILE` to write the table into")
	f.Usage = func() { fmt.Fprint(stdout, usage+f.FlagUsagesWrapped(90)) }
	if err := f.Parse(args); err != nil {
		return "", err
	}
	if f.NArg() > 0 {
		return "", fmt.Errorf("%q is no flag; this command takes flags only", f.Arg(0))
	}
	if s.parallel < 1 || s.parallel > 13 {
		return "", fmt.Errorf("--parallel is %d; it must be between 1 and 13, which are all the runs", s.parallel)
	}
	if s.cluster.Nodes < 1 || s.cluster.Nodes > 10 {
		return "", fmt.Errorf("--nodes is %d; it must be between 1 and 10", s.cluster.Nodes)
	}
	return out, checkClusters(s.clusters)
}
