package transport

import (
	"context"
	"os"
	"syscall"

	"go.uber.org/zap"
)

// Exit codes of a service that was told to stop.
const (
	ExitOK          = 0
	ExitDrainFailed = 1
	ExitInterrupted = 130 // a second SIGINT
)

// WaitForSignal waits for the first of signals, stops the server and returns
// the exit code of the process. Whichever it is, SIGTERM, SIGINT or SIGHUP, the
// sequence is the same. Further ones change nothing: Kubernetes and its tools may
// send several SIGTERMs, a terminal that is closed sends SIGHUP. Only a second
// SIGINT, which is a person at a terminal, gives up at once.
func (s *Server) WaitForSignal(signals <-chan os.Signal) int {
	sig := <-signals
	s.log.Info("Received shutdown signal", zap.Stringer("signal", sig))
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	interrupts := 0
	if sig == syscall.SIGINT {
		interrupts = 1
	}
	for {
		select {
		case err := <-done:
			if err != nil {
				return ExitDrainFailed
			}
			return ExitOK
		case sig := <-signals:
			if sig == syscall.SIGINT {
				interrupts++
			}
			if interrupts >= 2 {
				s.log.Warn("Interrupted a second time; exiting at once, requests in flight are lost")
				return ExitInterrupted
			}
			s.log.Info("Already shutting down; the sequence goes on", zap.Stringer("signal", sig))
		}
	}
}
