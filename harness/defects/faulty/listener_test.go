package main

import (
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

func listening(t *testing.T) *listener {
	t.Helper()
	l, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

// Connections that the kernel has accepted are accepted before the listener is closed,
// even if that takes longer than handshakeTime.
func TestShutEmptiesTheQueue(t *testing.T) {
	l := listening(t)
	const queued = 100
	for range queued {
		mustDial(t, l.tcp.Addr().String())
	}
	var admitted atomic.Int32
	go l.accept(slog.New(slog.DiscardHandler), func(c net.Conn) {
		defer c.Close() //nolint:errcheck // it is only counted
		admitted.Add(1)
		time.Sleep(4 * time.Millisecond) // so that the queue is long when the listener is shut
	})
	l.shut(slog.New(slog.DiscardHandler))
	if n := admitted.Load(); n != queued {
		t.Errorf("%d of %d queued connections were accepted", n, queued)
	}
}

// With the filter, a new connection is neither accepted nor refused, and existing ones
// continue.
func TestFilterIgnoresNewConnections(t *testing.T) {
	l := listening(t)
	before := mustDial(t, l.tcp.Addr().String())
	if err := ignoreNewConnections(l.tcp); err != nil {
		t.Fatal(err)
	}
	c, err := dialWithin(l.tcp.Addr().String(), 300*time.Millisecond)
	if nerr, ok := err.(net.Error); !ok || !nerr.Timeout() {
		t.Errorf("a new connection: %v, %v; want a timeout", c, err)
	}
	go l.accept(slog.New(slog.DiscardHandler), func(c net.Conn) {
		defer c.Close()         //nolint:errcheck // one line is enough
		c.Write([]byte("hi\n")) //nolint:errcheck // the reader notices
	})
	if line, err := before.r.ReadString('\n'); err != nil {
		t.Errorf("the connection from before: %q, %v", line, err)
	}
	l.shut(slog.New(slog.DiscardHandler))
}

// A paused listener leaves new connections to the kernel, which resets them when it is
// closed.
func TestPauseThenClose(t *testing.T) {
	l := listening(t)
	go l.accept(slog.New(slog.DiscardHandler), func(c net.Conn) {
		t.Error("a paused listener accepted a connection")
		c.Close() //nolint:errcheck // the test has failed
	})
	l.enter(paused)
	c := mustDial(t, l.tcp.Addr().String())
	l.close()
	if _, err := c.receive(); err == nil {
		t.Error("there is a response")
	}
}
