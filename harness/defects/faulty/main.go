package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1 // the drain timed out, or the address can't be used
	exitUsage       = 2
	exitCrashed     = 3   // --crash-after
	exitInterrupted = 130 // a second SIGINT
)

func main() {
	// From the start, since a pod may be told to stop while it starts.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	os.Exit(run(os.Args[1:], signals))
}

func run(args []string, signals <-chan os.Signal) int {
	o, err := parseOptions(args, os.Getenv, os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(os.Stderr, "faulty: %v\n", err)
		return exitUsage
	}
	log := newLog()
	s := newServer(o, log)
	if err := s.open(); err != nil {
		log.Error("Can't start", "error", err.Error())
		return exitFailed
	}
	log.Info("Listening", "address", s.listener.tcp.Addr().String(), "pod", o.podName,
		"defect", string(o.defect), "shutdown", string(o.shutdown))
	return s.untilStopped(signals)
}

// untilStopped waits for the end of the server, and returns the exit code. Only the
// first signal starts the shutdown. Further SIGTERMs have no effect; a second SIGINT,
// from a person at a terminal, ends the process at once.
func (s *server) untilStopped(signals <-chan os.Signal) int {
	var crash <-chan time.Time
	if after := s.opts.crashAfter; after > 0 {
		crash = time.After(after)
	}
	done := make(chan int, 1)
	stopping, interrupts := false, 0
	for {
		select {
		case code := <-done:
			return code
		case <-crash:
			s.log.Error("Crashing now, as --crash-after asks", "after", s.opts.crashAfter.String(), "exit_code", exitCrashed)
			return exitCrashed
		case sig := <-signals:
			if sig == syscall.SIGINT {
				if interrupts++; interrupts > 1 {
					s.log.Warn("Interrupted a second time; exiting at once")
					return exitInterrupted
				}
			}
			switch {
			case stopping:
				s.log.Info("Already shutting down; the sequence goes on", "signal", sig.String())
			case s.opts.defect == ignoresSIGTERM:
				s.log.Info("A signal is ignored, as --defect asks", "signal", sig.String())
			default:
				s.log.Info("Received shutdown signal", "signal", sig.String())
				if s.opts.defect == exitsAtOnce {
					return exitOK
				}
				stopping = true
				go func() { done <- s.stop() }()
			}
		}
	}
}

// newLog returns a log of JSON lines on standard error, with the keys and levels of the
// project's service.
func newLog() *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.LevelKey {
				return slog.String(slog.LevelKey, strings.ToLower(a.Value.String()))
			}
			return a
		},
	}))
}
