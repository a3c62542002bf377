// Command dd007 measures what each step of the DD-007 shutdown is worth: the
// same server under the same load in the same cluster, stopped in three ways. It
// writes a table and a picture. See --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

const usage = `Usage: dd007 [flags]

Measures three ways to stop a server during rolling restarts:

  naive           on SIGTERM it closes its listener and exits, as a program that
                  does nothing about signals nearly does
  readiness-only  on SIGTERM readiness turns 503, and 5 s later it exits
  full            DD-007: readiness 503, 5 s, then the drain

The server is harness/defects/faulty, the cluster a simulated one. Run it in a
checkout, with Go in PATH. It writes dd-007.md and dd-007.svg.

Flags:
`

// modes are the server's ways to stop, in the order of the table.
var modes = []struct{ name, what string }{
	{"naive", "SIGTERM: close the listener and exit"},
	{"readiness-only", "readiness 503, 5 s, exit"},
	{"full", "DD-007: readiness 503, 5 s, drain, exit"},
}

type settings struct {
	out      string
	rate     float64
	restarts int
	replicas int
	command  []string
}

func main() {
	s := settings{command: append([]string{"go", "run", "./harness/cmd/dd007"}, os.Args[1:]...)}
	f := pflag.NewFlagSet("dd007", pflag.ContinueOnError)
	f.StringVar(&s.out, "out", "docs/verification", "`FOLDER` for the table and the picture")
	f.Float64Var(&s.rate, "rate", 500, "requests per second (`NUMBER`)")
	f.IntVar(&s.restarts, "restarts", 3, "rolling restarts of each (`NUMBER`)")
	f.IntVar(&s.replicas, "replicas", 3, "replicas (`NUMBER`)")
	f.Usage = func() { fmt.Print(usage + f.FlagUsages()) }
	err := f.Parse(os.Args[1:])
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = s.measure(ctx, os.Stderr)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dd007:", err)
		os.Exit(2)
	}
}

// measure runs the three verifications and writes what they showed.
func (s *settings) measure(ctx context.Context, progress io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "dd007-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	subject, err := defects.Build(ctx, dir)
	if err != nil {
		return err
	}
	c, err := driver.Open(ctx, driver.Options{Name: driver.Sim, Progress: progress})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.LoadImage(ctx, subject.Image()); err != nil {
		return err
	}
	var runs []*record.Run
	for _, mode := range modes {
		fmt.Fprintf(progress, "%s: %s\n", mode.name, mode.what)
		o, err := s.options(subject, mode.name)
		if err != nil {
			return err
		}
		o.Say = func(format string, args ...any) { fmt.Fprintf(progress, "  "+format+"\n", args...) }
		run, err := verify.Run(ctx, c, o)
		if err != nil {
			return fmt.Errorf("%s: %w", mode.name, err)
		}
		runs = append(runs, run)
	}
	return s.write(runs)
}

// options are those of one mode: all the same but for the server's flag.
func (s *settings) options(subject *defects.Subject, mode string) (verify.Options, error) {
	o, err := subject.Options(defects.Deployment{Namespace: "dd007-" + mode, Replicas: s.replicas, Args: []string{"--shutdown=" + mode}})
	if err != nil {
		return o, err
	}
	o.Command, o.Baseline, o.Traffic.Rate = s.command, 5*time.Second, s.rate
	// What is measured is what is lost, not what is logged on the way to it.
	o.Milestones, o.Signal = nil, ""
	o.Steps, err = scenario.Parse(o.Scenario, s.restarts)
	return o, err
}
