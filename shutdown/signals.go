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

// exitPatience is how long a process that is to exit at once may take to say so:
// its log may be a pipe that nobody reads.
const exitPatience = 250 * time.Millisecond

// Signals decide what a signal does, from the first moment of the process to its last.
// Before anything is served there is nothing to drain, and the process ends at once.
// From HandOver on a Sequence decides. A second SIGINT ends the process at any moment.
type Signals struct {
	mu sync.Mutex
	// say and code are what is said, and the exit code, of a process that has nothing to
	// drain.
	say  func(os.Signal)
	code func(os.Signal) int
	// relay is where signals go from HandOver on; nil before.
	relay chan os.Signal
	// told is called for each of these signals.
	told func()
}

// Catch begins to look at signals, until the process ends. A process that is told to stop
// before HandOver says so with say and exits with code; see [ExitCode].
func Catch(code func(os.Signal) int, say func(os.Signal)) *Signals {
	s := &Signals{code: code, say: say}
	go s.run(signals.Caught())
	return s
}

// IgnorePipes has writes to a closed standard error fail, rather than end the process: it
// may be a pipe to a program that the same Ctrl-C has ended, and a log line that nobody
// gets must not end this one before it has drained.
func IgnorePipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// ExitCode is 128 and the signal's number, by which shells know a command that was ended by
// a signal before it had done what it was asked for.
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
			// The sequence says so and returns. But whatever it, the log, or what comes
			// after it waits for: the process ends.
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
	default: // as many are waiting as the sequence can have use for
	}
}

// LogTo makes log say what happens from now on.
func (s *Signals) LogTo(log *zap.Logger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.say = func(sig os.Signal) {
		log.Info("Received shutdown signal", zap.Stringer("signal", sig))
		log.Info("Nothing has been served yet; exiting at once")
	}
}

// HandOver returns the signals from now on, for [Sequence.Wait]. told is called first for
// each; it must not block.
func (s *Signals) HandOver(told func()) <-chan os.Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.relay, s.told = make(chan os.Signal, 16), told
	return s.relay
}

// Stop does what a SIGTERM does, after HandOver.
func (s *Signals) Stop() { s.handle(syscall.SIGTERM) }
