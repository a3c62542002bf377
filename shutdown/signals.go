package shutdown

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/internal/signals"
)

// exitPatience is how long a process that is about to exit at once may take to say so.
// Its log may be a pipe that nobody reads.
const exitPatience = 250 * time.Millisecond

// Signals decides what a signal does, from the first moment of the process to its last.
// Before anything is served there is nothing to drain, and a signal ends the process at
// once. After HandOver a Sequence decides. A second SIGINT ends the process at any time.
type Signals struct {
	mu sync.Mutex
	// say and code give the message and the exit code of a process that a signal ends at
	// once.
	say  func(os.Signal)
	code func(os.Signal) int
	// relay receives the signals after HandOver; nil before.
	relay chan os.Signal
	// told is called for each signal that goes to relay.
	told func()
}

// Catch starts to catch signals, until the process ends. When a signal comes before
// HandOver, the process calls say and exits with code; see [ExitCode].
func Catch(code func(os.Signal) int, say func(os.Signal)) *Signals {
	s := &Signals{code: code, say: say}
	go s.run(signals.Caught())
	return s
}

// IgnorePipes makes writes to a closed standard error fail instead of ending the process.
// It may be a pipe to a program that the same Ctrl-C has ended: a log line that nobody
// reads must not end this process before it has drained.
func IgnorePipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// ExitCode returns 128 plus the signal's number: the exit code by which shells know that
// a signal ended a command before it had done its work.
func ExitCode(sig os.Signal) int {
	if n, ok := sig.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return ExitDrainFailed
}

func (s *Signals) run(caught <-chan os.Signal) {
	interrupts := 0
	for sig := range caught {
		if sig == syscall.SIGINT {
			interrupts++
		}
		if interrupts == 2 {
			// The sequence says so and returns. This timer ends the process even if the
			// sequence, the log or something after it hangs.
			time.AfterFunc(exitPatience, func() { os.Exit(ExitInterrupted) })
		}
		s.handle(sig)
	}
}

func (s *Signals) handle(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.relay == nil {
		code := s.code(sig)
		time.AfterFunc(exitPatience, func() { os.Exit(code) })
		s.say(sig)
		os.Exit(code)
	}
	s.told()
	select {
	case s.relay <- sig:
	default: // the sequence has more signals waiting than it can need
	}
}

// LogTo sends the messages about signals to log from now on.
func (s *Signals) LogTo(log *zap.Logger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.say = func(sig os.Signal) {
		log.Info("Received shutdown signal", zap.Stringer("signal", sig))
		log.Info("Nothing has been served yet; exiting at once")
	}
}

// HandOver returns a channel that receives the signals from now on, for [Sequence.Wait].
// Before that, told is called for each; it must not block.
func (s *Signals) HandOver(told func()) <-chan os.Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.relay, s.told = make(chan os.Signal, 16), told
	return s.relay
}

// Stop does the same as a SIGTERM. It must be called after HandOver.
func (s *Signals) Stop() { s.handle(syscall.SIGTERM) }
