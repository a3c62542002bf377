// Package report has what the measuring commands of bench have in common: flags, output and
// exit codes.
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
	met    = 0 // all targets are met, or help was requested
	missed = 1 // a target is missed, or the budget exceeded
	failed = 2 // there is no result
	busy   = 3 // there is no result because of ErrTooBusy
)

// ErrTooBusy is wrapped by the error of a measurement that has no result because other
// programs used the CPUs.
var ErrTooBusy = errors.New("the machine is too busy")

// Options are the flags that all commands have.
type Options struct {
	JSON      string // file to write the result to
	NoTargets bool   // exit with 0 also if a target is missed
}

// AddFlags adds the options to a command's flags. missed is part of a help text, such as "a
// target is missed".
func (o *Options) AddFlags(f *pflag.FlagSet, missed string) {
	f.StringVar(&o.JSON, "json", "", "`FILE` to write the results to, as JSON")
	f.BoolVar(&o.NoTargets, "no-targets", false, "exit with 0 also if "+missed)
}

// A Result is the result of a measurement. It can be marshalled as JSON.
type Result interface {
	Print(io.Writer)
	// Missed reports whether a target is missed or the budget exceeded.
	Missed() bool
}

// Main runs a command until it ends or is interrupted, and returns the exit code: 0, 1 if a
// target is missed, 2 if there is no result, or 3 if that is because of ErrTooBusy. parse
// parses the flags and returns the function that measures.
//
// If the first argument is backends.Command, Main serves the back ends instead. Measurements
// start them by running their own program once more.
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
