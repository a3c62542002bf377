// Package report is what the measurements of this folder have in common as
// commands: how they end, and what becomes of what they found.
package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/bench/internal/backends"
)

// Exit codes.
const (
	met    = 0 // or help was asked for
	missed = 1 // a target, or the budget
	failed = 2 // there is no measurement
	busy   = 3 // likewise, and the cause is that the machine had other work
)

// ErrTooBusy is the cause of a measurement's error where other programs had the CPUs,
// so that there is nothing to tell.
var ErrTooBusy = errors.New("the machine is too busy")

// Options are the flags that every measurement has.
type Options struct {
	JSON      string // a file to write the results to
	NoTargets bool   // what is missed makes no difference to the exit code
}

// AddFlags adds them to those of a command. missed says what may be missed, such as
// "a target is missed".
func (o *Options) AddFlags(f *pflag.FlagSet, missed string) {
	f.StringVar(&o.JSON, "json", "", "`FILE` to write the results to, as JSON")
	f.BoolVar(&o.NoTargets, "no-targets", false, "exit with 0 also if "+missed)
}

// A Result is what a measurement found. It is written as JSON, too.
type Result interface {
	Print(io.Writer)
	// Missed says whether anything is worse than it should be.
	Missed() bool
}

// Main runs a command until it ends or is interrupted, and returns the exit code: 0, 1
// if something was missed, 2 if there is no measurement, 3 if that is so as the machine
// was too busy (ErrTooBusy). parse reads the flags and
// returns the measurement. The servers that a measurement starts in a process of their
// own are this command, too.
func Main(name string, args []string, parse func(args []string) (*Options, func(context.Context) (Result, error), error)) int {
	if len(args) > 0 && args[0] == backends.Command {
		if err := backends.Main(args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return failed
		}
		return met
	}
	o, measure, err := parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		return met
	}
	var r Result
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		r, err = measure(ctx)
	}
	if err == nil {
		r.Print(os.Stdout)
		err = o.write(r)
	}
	switch {
	case errors.Is(err, ErrTooBusy):
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return busy
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return failed
	case r.Missed() && !o.NoTargets:
		return missed
	}
	return met
}

func (o *Options) write(r Result) error {
	if o.JSON == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.JSON, append(b, '\n'), 0o644) // #nosec G306 -- results are for everyone
}
