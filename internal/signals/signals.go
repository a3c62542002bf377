// Package signals catches the signals that stop the process, from about as early
// as a Go program can: while the packages of the program are initialised, which on
// a busy machine takes some tenths of a second with those of Kubernetes, a signal
// would otherwise still do what it does by default, and end the process with 143.
//
// The order of initialisation is by import path, of those packages whose imports
// are ready ("Package initialization" in the Go specification). So this one imports
// next to nothing, and must go on doing so.
package signals

import (
	"os"
	"os/signal"
	"syscall"
)

// caught holds what nobody has taken yet. Of a signal that is sent again before it
// is looked at, one is enough.
var caught = make(chan os.Signal, 16)

func init() {
	signal.Notify(caught, syscall.SIGTERM, syscall.SIGINT)
	// Whoever starts a program with nohup wants it to outlive the terminal.
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(caught, syscall.SIGHUP)
	}
}

// Caught returns the signals that tell the process to stop: SIGTERM, SIGINT and,
// unless the process was started with it ignored, SIGHUP. All of them since the
// process began are there.
func Caught() <-chan os.Signal { return caught }
