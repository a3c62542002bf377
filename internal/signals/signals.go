// Package signals catches the signals that stop the process from about as early as a Go
// program can: while its packages are being initialised. With those of Kubernetes that
// takes some tenths of a second on a busy machine, in which a signal would otherwise end
// the process with 143.
//
// Packages are initialised in the order of their import paths once their imports are
// ready ("Package initialization" in the Go specification). So this package imports
// almost nothing, and must not import more.
package signals

import (
	"os"
	"os/signal"
	"syscall"
)

// caught holds signals until somebody receives them. If the same signal comes again
// before that, one is enough.
var caught = make(chan os.Signal, 16)

func init() {
	signal.Notify(caught, syscall.SIGTERM, syscall.SIGINT)
	// A program that was started with nohup should outlive its terminal.
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(caught, syscall.SIGHUP)
	}
}

// Caught returns a channel with the signals that tell the process to stop: SIGTERM,
// SIGINT and, unless it was ignored when the process was started, SIGHUP. It has all of
// them since the process began.
func Caught() <-chan os.Signal { return caught }
