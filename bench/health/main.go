// Command health measures the health checks of ten thousand endpoints: real
// HTTP servers in a process of their own, first all of them well, then some
// slow and some hanging. See --help, and docs/scale.md for what came out.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/bench/internal/farm"
	"kubernaut.io/dynamic-toolset/service/health"
)

const usage = `Usage: health [flags]

Checks the health of many endpoints, twice: with all of them well, and with some
that are slow and some that take a request and never answer it. It measures

  - how many checks start in each second, from the start on
  - how late the checks of those that are well start, and how regularly
  - the connections, the file descriptors, the CPU time and the memory of the
    process that checks, which is not that of the endpoints

It prints a table, writes it as JSON with --json, and exits with 1 if the budget
is exceeded. It takes about four minutes, and needs a limit of open files of 4,000
(ulimit -n).

Flags:
`

type settings struct {
	endpoints   int
	interval    time.Duration
	timeout     time.Duration
	slow, hang  float64
	slowAfter   time.Duration
	warmUp      time.Duration
	duration    time.Duration
	concurrency int
	json        string
	noTargets   bool
}

func parse(args []string) (*settings, error) {
	s := &settings{}
	f := pflag.NewFlagSet("health", pflag.ContinueOnError)
	f.IntVar(&s.endpoints, "endpoints", 10_000, "`NUMBER` of endpoints")
	f.DurationVar(&s.interval, "interval", health.DefaultInterval, "`DURATION` between two checks of one endpoint")
	f.DurationVar(&s.timeout, "timeout", health.DefaultTimeout, "`DURATION` of one attempt")
	f.IntVar(&s.concurrency, "concurrency", health.DefaultConcurrency, "`NUMBER` of attempts under way at once")
	f.Float64Var(&s.slow, "slow", 5, "`PERCENT` of the endpoints that are slow, in the second measurement")
	f.Float64Var(&s.hang, "hang", 5, "`PERCENT` that hang")
	f.DurationVar(&s.slowAfter, "slow-after", 3*time.Second, "`DURATION` after which slow ones answer")
	f.DurationVar(&s.warmUp, "warm-up", time.Minute, "`DURATION` of the start, measured by itself")
	f.DurationVar(&s.duration, "duration", time.Minute, "`DURATION` of the measurement after it")
	f.StringVar(&s.json, "json", "", "`FILE` to write the results to, as JSON")
	f.BoolVar(&s.noTargets, "no-targets", false, "exit with 0 also if the budget is exceeded")
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

// run returns the exit code: 1 for a budget exceeded, 2 for no measurement.
func run(args []string) int {
	if len(args) > 0 && args[0] == farm.Command {
		if err := farm.Main(args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		return 0
	}
	s, err := parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		var r *result
		if r, err = s.measure(ctx); err == nil {
			r.print(os.Stdout)
			if s.json != "" {
				err = writeJSON(s.json, r)
			}
			switch {
			case err != nil:
			case r.exceeded() && !s.noTargets:
				return 1
			default:
				return 0
			}
		}
	}
	fmt.Fprintln(os.Stderr, "health:", err)
	return 2
}

func writeJSON(file string, r *result) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644) // #nosec G306 -- results are for everyone
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "health: "+format+"\n", args...) }
