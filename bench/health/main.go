// Command health measures the health checks of ten thousand endpoints. They are real HTTP
// servers in a process of their own: at first all are healthy, then some are slow and some
// hang. See --help for its use and docs/scale.md for results.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/bench/internal/report"
	"kubernaut.io/dynamic-toolset/service/health"
)

const usage = `Usage: health [flags]

Checks the health of many endpoints, twice: first all of them are healthy, then
some are slow and some accept a request but never answer it. Then it asks all of
them who they are. It measures

  - how many checks start in each second, from the beginning
  - how regularly the healthy endpoints are checked, and how late these checks start
  - connections, open files, CPU time and memory of the process that checks; the
    endpoints are in another process
  - how long it takes to identify all endpoints, and what that costs

It prints a table and exits with 1 if the budget is exceeded; --json also writes the
results to a file. It takes about six minutes and needs a limit of at least 4,000
open files (ulimit -n).

Flags:
`

type settings struct {
	report.Options
	endpoints   int
	interval    time.Duration
	timeout     time.Duration
	slow, hang  float64
	slowAfter   time.Duration
	warmUp      time.Duration
	duration    time.Duration
	concurrency int
}

func parse(args []string) (*settings, error) {
	s := &settings{}
	f := pflag.NewFlagSet("health", pflag.ContinueOnError)
	f.IntVar(&s.endpoints, "endpoints", 10_000, "`NUMBER` of endpoints")
	f.DurationVar(&s.interval, "interval", health.DefaultInterval, "`DURATION` between two checks of one endpoint")
	f.DurationVar(&s.timeout, "timeout", health.DefaultTimeout, "`DURATION` of one attempt")
	f.IntVar(&s.concurrency, "concurrency", health.DefaultConcurrency, "largest `NUMBER` of attempts at once")
	f.Float64Var(&s.slow, "slow", 5, "`PERCENT` of the endpoints that are slow in the second measurement")
	f.Float64Var(&s.hang, "hang", 5, "`PERCENT` of the endpoints that hang in the second measurement")
	f.DurationVar(&s.slowAfter, "slow-after", 3*time.Second, "`DURATION` after which a slow endpoint answers")
	f.DurationVar(&s.warmUp, "warm-up", time.Minute, "`DURATION` of the warm-up, which is reported separately")
	f.DurationVar(&s.duration, "duration", time.Minute, "`DURATION` of the measurement after the warm-up")
	s.AddFlags(f, "the budget is exceeded")
	f.Usage = func() { fmt.Print(usage + f.FlagUsages()) }
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("%q is not expected here; see --help", f.Arg(0))
	case s.endpoints < 1 || s.endpoints > 100_000:
		return nil, fmt.Errorf("--endpoints is %d; it must be between 1 and 100000", s.endpoints)
	case s.slow < 0 || s.hang < 0 || s.slow+s.hang > 100:
		return nil, errors.New("--slow and --hang must not be negative, nor above 100 % together")
	case s.duration < s.interval || s.warmUp < s.interval:
		return nil, fmt.Errorf("--warm-up and --duration must be at least the --interval, %v", s.interval)
	}
	return s, nil
}

func main() { os.Exit(run(os.Args[1:])) }

// run returns the exit code.
func run(args []string) int {
	return report.Main("health", args, func(args []string) (*report.Options, func(context.Context) (report.Result, error), error) {
		s, err := parse(args)
		if err != nil {
			return nil, nil, err
		}
		return &s.Options, func(ctx context.Context) (report.Result, error) { return s.measure(ctx) }, nil
	})
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "health: "+format+"\n", args...) }
