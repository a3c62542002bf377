package main

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/internal/signals"
	"kubernaut.io/dynamic-toolset/transport"
)

// exitPatience is how long a process that is to exit at once may take to say so:
// its log may be a pipe that nobody reads.
const exitPatience = 250 * time.Millisecond

// A stopper decides what a signal does, from the first moment of the process to its
// last. Before the service serves there is nothing to drain, and the process ends at
// once: with 0, since to be told to stop is no failure. From then on signals are
// handed to the shutdown. A second SIGINT ends the process at any moment of it.
type stopper struct {
	mu sync.Mutex
	// say and code are what is said, and the exit code, of a process that has not
	// served anything.
	say  func(os.Signal)
	code func(os.Signal) int
	// relay is where signals go from when the service begins to serve; nil before.
	relay chan os.Signal
	// told is called for each of these signals.
	told func()
}

// catchSignals begins to look at signals, until the process ends. A command other
// than serve that is ended has not done what it was asked for, and exits as shells
// expect it: with 128 and the signal's number.
func catchSignals(command string) *stopper {
	p := &stopper{code: exitSignal}
	p.say = func(sig os.Signal) {
		fmt.Fprintf(os.Stderr, "dynamic-toolset %s: ended by a signal before it was done: %v\n", command, sig)
	}
	if command == "serve" {
		p.code = func(os.Signal) int { return exitOK }
		p.say = func(sig os.Signal) {
			fmt.Fprintf(os.Stderr, "dynamic-toolset: told to stop before it has served anything: %v\n", sig)
		}
		// Standard error may be a pipe to a program that the same Ctrl-C has ended. A
		// log line that nobody gets must not end this one before it has drained.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	}
	go p.run(signals.Caught())
	return p
}

func exitSignal(sig os.Signal) int {
	if n, ok := sig.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return exitFailed
}

func (p *stopper) run(caught <-chan os.Signal) {
	interrupts := 0
	for sig := range caught {
		if sig == syscall.SIGINT {
			interrupts++
		}
		if interrupts == 2 {
			// The shutdown says so and returns. But whatever it, the log, or what comes
			// after it waits for: the process ends.
			time.AfterFunc(exitPatience, func() { os.Exit(transport.ExitInterrupted) })
		}
		p.handle(sig)
	}
}

func (p *stopper) handle(sig os.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.relay == nil {
		code := p.code(sig)
		time.AfterFunc(exitPatience, func() { os.Exit(code) })
		p.say(sig)
		os.Exit(code)
	}
	p.told()
	select {
	case p.relay <- sig:
	default: // as many are waiting as the shutdown can have use for
	}
}

// logTo makes log say what happens from now on.
func (p *stopper) logTo(log *zap.Logger) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.say = func(sig os.Signal) {
		log.Info("Received shutdown signal", zap.Stringer("signal", sig))
		log.Info("Nothing has been served yet; exiting at once")
	}
}

// handOver returns the signals from now on: the shutdown decides. told is called
// first for each; it must not block.
func (p *stopper) handOver(told func()) <-chan os.Signal {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.relay, p.told = make(chan os.Signal, 16), told
	return p.relay
}

// stop does what a SIGTERM does, after handOver.
func (p *stopper) stop() { p.handle(syscall.SIGTERM) }
