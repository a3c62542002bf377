// Command zoo verifies servers that nobody here wrote, and compares the verdicts with what
// is known of each (see package zoo). It prints a table, or writes docs/verification/zoo.md:
//
//	go run ./harness/cmd/zoo --write docs/verification/zoo.md
//	go run ./harness/cmd/zoo gunicorn nginx/preStop
//	go run ./harness/cmd/zoo --good --runs 20
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/report"
	"kubernaut.io/dynamic-toolset/harness/zoo"
)

// tries bounds how often a run is repeated for which the host had no time.
const tries = 3

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch right, err := run(ctx, os.Args[1:]); {
	case errors.Is(err, pflag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "zoo:", err)
		os.Exit(2)
	case !right:
		os.Exit(1)
	}
}

type options struct {
	runs, parallel             int
	good, short, list, prepare bool
	write, reports             string
	patterns                   []string
	cluster                    driver.Options
}

func parse(args []string) (*options, error) {
	o := &options{}
	s := pflag.NewFlagSet("zoo", pflag.ContinueOnError)
	s.IntVar(&o.runs, "runs", 1, "`NUMBER` of runs of each variant")
	s.IntVar(&o.parallel, "parallel", 3, "`NUMBER` of runs at the same time")
	s.BoolVar(&o.good, "good", false, "only the servers that must pass each run")
	s.BoolVar(&o.short, "short", false, "only the dozen variants that the ordinary test has")
	s.BoolVar(&o.list, "list", false, "list the variants with what is expected of them, and exit")
	s.BoolVar(&o.prepare, "prepare", false, "build and download the servers, and exit")
	s.StringVar(&o.write, "write", "", "`FILE` for the page with the table; empty: print the table")
	s.StringVar(&o.reports, "reports", "", "`FOLDER` for the reports of the runs; empty: none")
	s.StringVar(&o.cluster.Name, "cluster", driver.Sim, "`KIND` of the cluster: sim or kind. On kind, servers get SIGTERM whatever their image says")
	o.cluster.AddKindFlags(s)
	s.SortFlags = false
	s.Usage = func() {
		fmt.Fprint(os.Stdout, `Usage: zoo [flags] [SERVER | SERVER/VARIANT]...

Verifies servers that nobody here wrote, and compares the verdicts with what is known
of each. Without arguments it runs all. Patterns such as
'*/preStop' are allowed. Run it in a checkout. Servers of Go come from the module
proxy, the others from this host's Debian suite, and are kept in the user's cache.

Exit codes: 0 each verdict was right, 1 one was wrong, 2 something is missing.

`)
		fmt.Print(s.FlagUsagesWrapped(90))
	}
	if err := s.Parse(args); err != nil {
		return nil, err
	}
	o.patterns = s.Args()
	if o.runs < 1 || o.parallel < 1 || o.parallel > 16 {
		return nil, errors.New("--runs must be at least 1, and --parallel between 1 and 16")
	}
	if o.cluster.Name != driver.Sim && o.cluster.Name != driver.Kind {
		return nil, fmt.Errorf("--cluster is %q; it must be sim or kind", o.cluster.Name)
	}
	return o, nil
}

// chosen returns the variants to run.
func (o *options) chosen() ([]zoo.Result, error) {
	var found []zoo.Result
	used := map[string]bool{}
	for _, s := range zoo.Servers() {
		for _, v := range s.Variants {
			if o.good && !v.Good || o.short && !v.Short {
				continue
			}
			match := len(o.patterns) == 0
			for _, p := range o.patterns {
				full := p
				if !strings.Contains(p, "/") {
					full += "/*"
				}
				ok, err := path.Match(full, s.Name+"/"+v.Name)
				if err != nil {
					return nil, fmt.Errorf("the pattern %q: %w", p, err)
				}
				if ok {
					match, used[p] = true, true
				}
			}
			if match {
				found = append(found, zoo.Result{Server: s, Variant: v})
			}
		}
	}
	for _, p := range o.patterns {
		if !used[p] {
			return nil, fmt.Errorf("no variant is called %q; --list lists them", p)
		}
	}
	return found, nil
}

func run(ctx context.Context, args []string) (right bool, err error) {
	o, err := parse(args)
	if err != nil {
		return false, err
	}
	results, err := o.chosen()
	if err != nil {
		return false, err
	}
	if o.list {
		for _, r := range results {
			fmt.Printf("%-28s lost by %s: %s\n", r.Server.Name+"/"+r.Variant.Name, r.Variant.Expect.Lost, r.Variant.Expect.Why)
		}
		return true, nil
	}
	programs := map[string]*zoo.Program{}
	for i := range results {
		r := &results[i]
		if programs[r.Server.Name] == nil && r.Err == "" {
			p, err := zoo.Get(ctx, r.Server, os.Stderr)
			if ctx.Err() != nil {
				return false, err
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "zoo:", err)
				r.Err = err.Error()
				continue
			}
			programs[r.Server.Name] = p
		}
		if p := programs[r.Server.Name]; p != nil {
			r.Version = p.Version
		}
	}
	if o.prepare {
		return !slices.ContainsFunc(results, func(r zoo.Result) bool { return r.Err != "" }), nil
	}
	if err := o.verify(ctx, results, programs); err != nil {
		return false, err
	}
	right = !slices.ContainsFunc(results, func(r zoo.Result) bool { return !r.Right() })
	return right, o.tell(results)
}

// verify runs the variants in one cluster, several at a time.
func (o *options) verify(ctx context.Context, results []zoo.Result, programs map[string]*zoo.Program) (err error) {
	dir, err := os.MkdirTemp("", "zoo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // nothing depends on it
	agent := filepath.Join(dir, "loadagent")
	build := exec.CommandContext(ctx, "go", "build", "-o", agent, "./harness/cmd/loadagent")
	build.Env, build.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the load generator: %w; run this in a checkout", err)
	}
	o.cluster.AgentBinary, o.cluster.Progress = agent, os.Stderr
	c, err := driver.Open(ctx, o.cluster)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()

	runner := &zoo.Runner{Cluster: c, Agent: agent, Dir: dir}
	free := make(chan struct{}, o.parallel)
	var all sync.WaitGroup
	for i := range results {
		r := &results[i]
		p := programs[r.Server.Name]
		if p == nil {
			continue
		}
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			o.runAll(ctx, runner, p, r)
		})
	}
	all.Wait()
	return ctx.Err()
}

// runAll runs one variant as often as asked for.
func (o *options) runAll(ctx context.Context, runner *zoo.Runner, p *zoo.Program, r *zoo.Result) {
	name := r.Server.Name + "/" + r.Variant.Name
	number := 0
	for range o.runs {
		for try := 1; ; try++ {
			number++
			run, err := runner.Verify(ctx, p, r.Variant, zoo.NamespaceOf(p, r.Variant, number))
			if err != nil {
				r.Err = err.Error()
				fmt.Fprintf(os.Stderr, "zoo: %s: no verdict: %v\n", name, err)
				return
			}
			if zoo.TooBusy(run) && try < tries {
				fmt.Fprintf(os.Stderr, "zoo: %s: the host was too busy to send the load in time; again\n", name)
				continue
			}
			o.keep(run, fmt.Sprintf("%s-%d", strings.ReplaceAll(name, "/", "-"), number))
			before := len(r.Wrong)
			r.Add(run)
			word := "right"
			if len(r.Wrong) > before {
				word = "WRONG: " + strings.Join(r.Wrong[before:], "\n    ")
			}
			l := zoo.Count(run)
			fmt.Fprintf(os.Stderr, "zoo: %s: %d requests, lost %d by any client, %d by those that don't look, %d before; %s\n", name, l.Sent, l.Any(), l.Blind, l.Baseline, word)
			break
		}
	}
}

func (o *options) keep(run *record.Run, name string) {
	if o.reports == "" {
		return
	}
	if _, err := report.WriteAll(filepath.Join(o.reports, name), run); err != nil {
		fmt.Fprintln(os.Stderr, "zoo:", err)
	}
}
