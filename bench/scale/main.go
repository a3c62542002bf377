// Command scale measures the service in a large cluster: a real API server with 100,000
// Services, a tenth of them toolsets. See --help for its use and docs/scale.md for results.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/bench/internal/fixtures"
	"kubernaut.io/dynamic-toolset/bench/internal/report"
)

const usage = `Usage: scale [flags]

Starts etcd and a Kubernetes API server, creates Services, a tenth of them
toolsets, starts the service as a process of its own, and measures:

  - how long it takes until the service is ready, and its memory; with
    --workload-evidence also until it knows what the pods of each toolset run
  - while Services change: how long after the API server's answer a change is
    visible in a lookup by name, in a list, and as an event of the stream
  - lookups per second and their latency, in turn with a second service that
    watches only 100 of the Services

It prints a table and exits with 1 if a target is missed; --json also writes the
results to a file. With 100,000 Services it needs 4 GiB of memory and five to ten
minutes, most of them to create the Services. Run it in the repository, with Go in
PATH.

Flags:
`

type settings struct {
	report.Options
	services   int
	rate       float64
	duration   time.Duration
	settle     time.Duration
	idle       time.Duration
	starts     int
	rounds     int
	round      time.Duration
	health     bool
	workloads  bool
	kubeconfig string
	binary     string
	targets    targets
	extra      []string
}

func parse(args []string) (*settings, error) {
	s := &settings{}
	f := pflag.NewFlagSet("scale", pflag.ContinueOnError)
	f.IntVar(&s.services, "services", 100_000, "`NUMBER` of Services")
	f.Float64Var(&s.rate, "rate", 100, "changes per second (`NUMBER`)")
	f.DurationVar(&s.duration, "duration", time.Minute, "`DURATION` of the changes")
	f.DurationVar(&s.settle, "settle", 40*time.Second, "`DURATION` to wait, once the service is ready, for the first health check of all toolsets")
	f.DurationVar(&s.idle, "idle", 10*time.Second, "`DURATION` over which the CPU time without changes is measured")
	f.IntVar(&s.starts, "starts", 3, "`NUMBER` of starts; the slowest counts")
	f.IntVar(&s.rounds, "rounds", 4, "`NUMBER` of rounds; in each, lookups are measured with all Services and then with 100")
	f.DurationVar(&s.round, "round", 3*time.Second, "`DURATION` of each measurement of lookups")
	f.BoolVar(&s.health, "health", true, "check the toolsets' health, at endpoints on loopback addresses")
	f.BoolVar(&s.workloads, "workload-evidence", false, "also create a Deployment for each Service, change images of them, and start the service with --workload-evidence")
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "kubeconfig `FILE` of a cluster to use instead of starting one; its Services are kept for the next run")
	f.StringVar(&s.binary, "binary", "", "`FILE` with the service's binary; by default it is built")
	s.AddFlags(f, "a target is missed")
	f.StringArrayVar(&s.extra, "service-arg", nil, "additional `FLAG` of the service; may be given several times")
	f.DurationVar(&s.targets.Ready, "target-ready", 10*time.Second, "`DURATION` within which the service must be ready")
	f.Int64Var(&s.targets.MemoryMB, "target-memory", 600, "`MEGABYTES` (10^6 bytes) of memory that the service may use")
	f.DurationVar(&s.targets.Visible, "target-visible", 25*time.Millisecond, "`DURATION` within which 99 % of the changes must be visible")
	f.Usage = func() { fmt.Print(usage + f.FlagUsages()) }
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("%q is not expected here; see --help", f.Arg(0))
	case s.services < 2*fixtures.SmallCluster:
		return nil, fmt.Errorf("--services is %d; it must be at least %d", s.services, 2*fixtures.SmallCluster)
	case s.rate <= 0 || s.rate > 1000:
		return nil, fmt.Errorf("--rate is %v; it must be above 0 and at most 1000", s.rate)
	case s.starts < 1 || s.rounds < 1:
		return nil, errors.New("--starts and --rounds must be at least 1")
	}
	return s, nil
}

func main() { os.Exit(run(os.Args[1:])) }

// run returns the exit code.
func run(args []string) int {
	return report.Main("scale", args, func(args []string) (*report.Options, func(context.Context) (report.Result, error), error) {
		s, err := parse(args)
		if err != nil {
			return nil, nil, err
		}
		return &s.Options, func(ctx context.Context) (report.Result, error) { return s.measure(ctx) }, nil
	})
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "scale: "+format+"\n", args...) }
