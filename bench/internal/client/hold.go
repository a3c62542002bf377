package client

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// dialAtOnce are the connections that Hold opens before those are answered: no
// more than fit in a server's queue of connections.
const dialAtOnce = 100

// A Held is connections on which nothing happens. End it with Close.
type Held struct{ e *engine }

// Hold opens o.Connections connections, sends one request on each, and returns
// when all are answered; that must be within o.Window. It fails if a request does.
func Hold(ctx context.Context, o Options) (*Held, error) {
	o.Pipelined, o.NewConnections = 1, false
	e, err := newEngine(ctx, &o)
	if err != nil {
		return nil, err
	}
	e.stopped = true
	until := e.now() + o.Window
	for at := 0; at < len(e.conns) && err == nil; at += dialAtOnce {
		for i := at; i < min(at+dialAtOnce, len(e.conns)); i++ {
			c := &e.conns[i]
			if e.dial(c); c.fd >= 0 {
				e.ask(c)
			}
		}
		err = e.settle(until - e.now())
		if err == nil && e.waiting > 0 {
			e.abandon("not answered in time")
		}
		if err == nil && e.failed > 0 {
			err = fmt.Errorf("%d of %d connections had no answer; the first: %s", e.failed, at+dialAtOnce, e.failure)
		}
	}
	if err != nil {
		e.close()
		return nil, err
	}
	return &Held{e}, nil
}

// Lost returns how many of the connections the server has closed meanwhile, or
// that it is many.
func (h *Held) Lost() (int, error) {
	// What epoll knows of is there to be read: the end of a connection, as
	// nothing was asked for.
	n, errno := wait(h.e.ep, h.e.events, time.Millisecond)
	if errno != 0 && errno != unix.EINTR {
		return 0, fmt.Errorf("epoll_pwait2: %w", errno)
	}
	return max(n, 0), nil
}

// Close closes the connections.
func (h *Held) Close() { h.e.close() }
