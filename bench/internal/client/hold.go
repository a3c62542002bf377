package client

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// dialAtOnce is the number of connections that Hold opens at a time. It fits into a server's
// queue of connections that are not accepted yet.
const dialAtOnce = 100

// A Held is a set of idle connections. End it with Close.
type Held struct{ e *engine }

// Hold opens o.Connections connections, sends one request on each, and returns when all are
// answered. It fails if a request fails or if this takes longer than o.Window.
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

// Lost returns how many of the connections the server has closed since, at most 1,024.
func (h *Held) Lost() (int, error) {
	// No request is under way, so all that can be read is the end of a connection.
	n, errno := wait(h.e.ep, h.e.events, time.Millisecond)
	if errno != 0 && errno != unix.EINTR {
		return 0, fmt.Errorf("epoll_pwait2: %w", errno)
	}
	return max(n, 0), nil
}

// Close closes the connections.
func (h *Held) Close() { h.e.close() }
