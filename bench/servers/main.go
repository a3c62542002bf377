// Command servers measures the service side by side with other HTTP servers that answer the
// same requests with the same bytes. See --help for its use and docs/benchmarks.md for
// results.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/bench/internal/comparison"
	"kubernaut.io/dynamic-toolset/bench/internal/report"
	"kubernaut.io/dynamic-toolset/bench/internal/server"
)

const usage = `Usage: servers [flags]
       servers render FILE.json [--charts DIR]

Starts this service and other servers on one CPU, all with the same answers.
A client on another CPU measures them in rounds, one after the other; the servers
that are not measured are idle:

  - answers per second, and per second of the server's CPU time, if each
    connection sends the next request as soon as it has its answer: by name,
    unchanged (304), lists of 4 KB and 400 KB, 16 requests at once (pipelined),
    and new connections
  - latency (p50, p99, p99.9), counted from when each request was due, at fixed
    rates, which are shares of what bare fasthttp can answer
  - memory of 10,000 idle connections
  - answers per second over TLS
  - the cost of authentication with a real API server, a token and RBAC

It prints a table; --json also writes the results to a file, and --charts draws
charts. The exit code is 1 if a target is missed, 2 if there is no result, for
which one failed request is enough, and 3 if there is none because other programs
used the CPUs. A target is about the median of ratios of two windows that followed
one another, so that other work on the machine matters little. Still, a quiet
machine gives better figures. The windows of --quick are too short for any.
"render" prints and draws the results of an earlier run.

Run it in the repository, with Go in PATH. It takes up to ten minutes.

  make bench
  make bench BENCH='--json bench.json --charts charts'
  make bench BENCH='--quick'
  make bench BENCH='--contestant nginx --auth=false'

Flags:
`

type settings struct {
	report.Options
	charts      string
	rounds      int
	window      time.Duration
	connections int
	idle        int
	latency     bool
	auth        bool
	tls         bool
	quick       bool
	servers     []string
	serverCPU   int
	clientCPU   int
	priority    bool
	binary      string
	seed        uint64
	command     string
}

const (
	maxRounds = 1000
	maxWindow = 10 * time.Minute
	maxIdle   = 50_000
)

func parse(args []string) (*settings, error) {
	s := &settings{command: strings.TrimSpace("go run ./bench/servers " + strings.Join(args, " "))}
	others := slices.DeleteFunc(entrants(), always)
	f := pflag.NewFlagSet("servers", pflag.ContinueOnError)
	s.AddFlags(f, "a target is missed")
	f.StringVar(&s.charts, "charts", "", "`DIR` to write the charts to, as SVG files")
	f.IntVar(&s.rounds, "rounds", 5, "`NUMBER` of rounds; each has one window for every measurement of every server")
	f.DurationVar(&s.window, "window", time.Second, "`DURATION` of each window")
	f.IntVar(&s.connections, "connections", 64, "`NUMBER` of the client's connections")
	f.IntVar(&s.idle, "idle-connections", 10_000, "`NUMBER` of idle connections whose memory is measured; 0 leaves it out")
	f.BoolVar(&s.latency, "latency", true, "measure latency at fixed rates")
	f.BoolVar(&s.auth, "auth", true, "measure authentication; this starts etcd and a Kubernetes API server")
	f.BoolVar(&s.tls, "tls", true, "measure this service, bare fasthttp and nginx over TLS")
	f.StringArrayVar(&s.servers, "contestant", others, "`NAME` of a server to measure besides this service and bare fasthttp; may be given several times")
	f.BoolVar(&s.quick, "quick", false, "only see within a minute that it works: one round of 100 ms and 500 idle connections unless other flags set them; the figures mean nothing, and missed targets don't count")
	f.IntVar(&s.serverCPU, "server-cpu", -1, "`CPU` of the servers; by default the last one that this program may use")
	f.IntVar(&s.clientCPU, "client-cpu", -1, "`CPU` of the client; by default one of another core, if there is any")
	f.BoolVar(&s.priority, "priority", false, "take precedence over other programs, for better figures on a busy machine (needs root)")
	f.StringVar(&s.binary, "binary", "", "`FILE` with the service's binary; by default it is built")
	f.Uint64Var(&s.seed, "seed", 1, "`NUMBER` that determines the random times at which requests are due")
	f.Usage = func() { fmt.Print(usage + f.FlagUsages()) }
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if s.quick {
		for name, set := range map[string]func(){
			"rounds": func() { s.rounds = 1 }, "window": func() { s.window = 100 * time.Millisecond }, "idle-connections": func() { s.idle = 500 },
		} {
			if !f.Changed(name) {
				set()
			}
		}
		s.NoTargets = true // the windows are too short
	}
	for _, name := range s.servers {
		if !slices.Contains(others, name) && !always(name) {
			return nil, fmt.Errorf("--contestant=%s: there is no such server, but %s", name, strings.Join(others, ", "))
		}
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("%q is not expected here; see --help", f.Arg(0))
	case s.rounds < 1 || s.rounds > maxRounds:
		return nil, fmt.Errorf("--rounds is %d; it must be 1 to %d", s.rounds, maxRounds)
	case s.window < 10*time.Millisecond || s.window > maxWindow:
		return nil, fmt.Errorf("--window is %v; it must be 10ms to %v", s.window, maxWindow)
	case s.connections < 1 || s.connections > 1000:
		return nil, fmt.Errorf("--connections is %d; it must be 1 to 1000", s.connections)
	case s.idle < 0 || s.idle > maxIdle:
		return nil, fmt.Errorf("--idle-connections is %d; it must be 0 to %d", s.idle, maxIdle)
	}
	return s, nil
}

// entrants returns the names of all servers, in the order of the tables.
func entrants() []string {
	return append([]string{server.Ours, comparison.OursWithoutLoop}, server.Names()[1:]...)
}

// always reports whether a server is measured in any case: ours, which has the answers that
// the others give, and the reference.
func always(name string) bool { return name == server.Ours || name == comparison.Reference }

func main() { os.Exit(run(os.Args[1:])) }

// run returns the exit code.
func run(args []string) int {
	if len(args) > 0 && args[0] == server.Command {
		if err := server.Main(args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		return 0
	}
	return report.Main("servers", args, func(args []string) (*report.Options, func(context.Context) (report.Result, error), error) {
		if len(args) > 0 && args[0] == "render" {
			return parseRender(args[1:])
		}
		s, err := parse(args)
		if err != nil {
			return nil, nil, err
		}
		return &s.Options, func(ctx context.Context) (report.Result, error) {
			// Check this now and not only after the ten minutes of the measurement.
			if err := errors.Join(writable(s.JSON), makeDir(s.charts)); err != nil {
				return nil, err
			}
			r, err := s.measure(ctx)
			if err != nil {
				return nil, err
			}
			return r, writeCharts(s.charts, r)
		}, nil
	})
}

// writable returns an error unless the file of --json can be written.
func writable(name string) error {
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644) // #nosec G302 G304 -- results are for everyone, where the user wants them
	if err != nil {
		return fmt.Errorf("--json: %w", err)
	}
	return f.Close()
}

func makeDir(name string) error {
	if name == "" {
		return nil
	}
	if err := os.MkdirAll(name, 0o755); err != nil { // #nosec G301 -- as above
		return fmt.Errorf("--charts: %w", err)
	}
	return nil
}

// parseRender parses the arguments of the command "render", and returns a function that reads
// the result of an earlier run.
func parseRender(args []string) (*report.Options, func(context.Context) (report.Result, error), error) {
	o, charts := &report.Options{}, ""
	f := pflag.NewFlagSet("servers render", pflag.ContinueOnError)
	f.StringVar(&charts, "charts", "", "`DIR` to write the charts to, as SVG files")
	f.Usage = func() { fmt.Print(usage) }
	if err := f.Parse(args); err != nil {
		return nil, nil, err
	}
	if f.NArg() != 1 {
		return nil, nil, errors.New("render needs one argument, the FILE that --json has written; see --help")
	}
	// The exit code of the earlier run has already told whether targets were missed.
	o.NoTargets = true
	return o, func(context.Context) (report.Result, error) {
		file, err := os.Open(f.Arg(0)) // #nosec G304 -- named by whoever runs this
		if err != nil {
			return nil, err
		}
		defer file.Close() //nolint:errcheck // only read
		r, err := comparison.Read(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Arg(0), err)
		}
		return r, writeCharts(charts, r)
	}, nil
}

func writeCharts(dir string, r *comparison.Result) error {
	if dir == "" {
		return nil
	}
	return r.WriteCharts(dir)
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "servers: "+format+"\n", args...) }
