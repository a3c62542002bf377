package shutdown

import (
	"context"
	"os"
	"syscall"

	"go.uber.org/zap"
)

// Wait waits for the first of signals, runs the sequence and returns the exit code of the
// process. SIGTERM, SIGINT and SIGHUP all start the same sequence. Further signals change
// nothing, since Kubernetes and its tools may send several SIGTERMs, and a terminal that
// is closed sends SIGHUP. Only a second SIGINT, which comes from a person at a terminal,
// makes Wait return at once.
func (s *Sequence) Wait(signals <-chan os.Signal) int {
	sig := <-signals
	s.Log.Info("Received shutdown signal", zap.Stringer("signal", sig))
	done := make(chan error, 1)
	go func() { done <- s.Run(context.Background()) }()
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
				s.Log.Warn("Interrupted a second time; exiting at once, requests in flight are lost")
				return ExitInterrupted
			}
			s.Log.Info("Already shutting down; the sequence goes on", zap.Stringer("signal", sig))
		}
	}
}
