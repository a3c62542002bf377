package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// The phases of a listener.
const (
	accepting int32 = iota
	paused          // accepts nothing, though the kernel does
	emptying        // accepts what is queued, and then ends
)

const (
	// handshakeTime is how long handshakes may still take after new ones are ignored.
	handshakeTime = 200 * time.Millisecond
	// emptyWait is how long there must be no connection for the accept queue to count
	// as empty.
	emptyWait = 20 * time.Millisecond
)

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// A listener accepts connections and can be closed without resetting anyone.
type listener struct {
	tcp   *net.TCPListener
	phase atomic.Int32
	ended chan struct{} // closed when accept has returned
}

// listen opens a listener. Multipath TCP is off: it refuses the socket filter
// that shut attaches (EOPNOTSUPP).
func listen(addr string) (*listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("can't listen: %w; choose another address with --listen", err)
	}
	return &listener{tcp: l.(*net.TCPListener), ended: make(chan struct{})}, nil
}

// accept calls admit with each connection, until the listener is paused, shut or
// closed.
func (l *listener) accept(log *slog.Logger, admit func(net.Conn)) {
	defer close(l.ended)
	pause := 5 * time.Millisecond
	for {
		phase := l.phase.Load()
		switch phase {
		case paused:
			return
		case emptying:
			// Set just before the accept, so that there is at least one attempt.
			l.tcp.SetDeadline(time.Now().Add(emptyWait)) //nolint:errcheck // the accept fails then
		}
		c, err := l.tcp.AcceptTCP()
		switch {
		case err == nil:
			pause = 5 * time.Millisecond
			admit(c)
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			if phase == emptying {
				return
			}
		default:
			// For example, too many open files. This may pass.
			log.Warn("Can't accept a connection; trying again", "error", err.Error(), "pause", pause.String())
			time.Sleep(pause)
			pause = min(2*pause, time.Second)
		}
	}
}

// enter sets the phase, and waits until accept has returned because of it.
func (l *listener) enter(phase int32) {
	l.phase.Store(phase)
	l.tcp.SetDeadline(past) //nolint:errcheck // wakes accept; a closed listener needs no waking
	<-l.ended
}

// shut closes the listener without resetting a client that the kernel has accepted: new
// SYNs are ignored, handshakes in progress are completed, and what is queued is served.
func (l *listener) shut(log *slog.Logger) {
	if err := ignoreNewConnections(l.tcp); err != nil {
		log.Warn("The socket filter can't be attached; closing the listener when its queue is empty", "error", err.Error())
	} else {
		time.Sleep(handshakeTime)
	}
	l.enter(emptying)
	l.close()
}

// close closes the socket at once. The kernel resets connections that were not
// accepted.
func (l *listener) close() { l.tcp.Close() } //nolint:errcheck // closing twice is harmless
