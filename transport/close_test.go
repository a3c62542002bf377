package transport_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// couldBeSeen reports whether a client could have known that its connection was ending:
// there is something to read, or the end of the stream.
func couldBeSeen(c net.Conn) (could bool) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return true
	}
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT) // #nosec G115 -- a file descriptor
		could = err != syscall.EAGAIN
	})
	return could || err != nil
}

// Clients whose connections have been silent for longer than the grace when the stop
// begins send a request within 40 ms of it, at each stage of a connection. Every request
// must be answered, since the grace counts from the stop. No request may go unanswered
// unless its client could have seen the end of the connection before.
//
// Before the grace counted from the stop, the connections were closed within the same 40
// ms. Over TLS, where closing takes longer, some requests in ten thousand were lost.
func TestTrapSilentConnectionsAroundTheClose(t *testing.T) {
	const clients, grace = 200, 2200 * time.Millisecond // beyond idleAfter
	f := start(t, func(o *options) {
		o.IdleGrace, o.DrainTimeout, o.Limits.ReadTimeout = grace, time.Minute, time.Minute
	})
	type client struct {
		tcp  net.Conn
		asks *rawClient
	}
	all := make([]client, clients)
	for i := range all {
		c := f.dialTCP()
		c.SetDeadline(time.Now().Add(time.Minute)) //nolint:errcheck // the read tells
		all[i].tcp, all[i].asks = c.Conn, c
		if f.tls != nil {
			session := tls.Client(c.Conn, f.tls)
			all[i].asks = &rawClient{t, session, bufio.NewReader(session)}
		}
		switch i % 3 {
		case 0: // kept
			all[i].asks.write(getList)
			all[i].asks.read()
		case 1: // with a session, but no request yet
			if session, ok := all[i].asks.Conn.(*tls.Conn); ok {
				if err := session.Handshake(); err != nil {
					t.Fatal(err)
				}
			}
		default: // only connected: the request comes with the handshake
		}
	}
	time.Sleep(grace + 300*time.Millisecond)
	stopped := time.Now()
	done := f.stop()
	var wg sync.WaitGroup
	var answered, lost atomic.Int32
	for i, c := range all {
		wg.Go(func() {
			time.Sleep(rand.N(40 * time.Millisecond))
			if couldBeSeen(c.tcp) {
				if d := time.Since(stopped); d < grace {
					t.Errorf("client %d: the connection ended %s after the stop began", i, d)
				}
				return
			}
			if _, err := io.WriteString(c.asks.Conn, getList); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
			if r, err := c.asks.tryRead(); err != nil || r.StatusCode != 200 || !r.Close {
				t.Errorf("client %d: %v, %v", i, r, err)
				lost.Add(1)
				return
			}
			answered.Add(1)
		})
	}
	wg.Wait()
	if err := <-done; err != nil {
		t.Error(err)
	}
	t.Logf("%d answered, %d lost", answered.Load(), lost.Load())
}

// Idle connections alone don't make the drain fail, however short its timeout.
func TestIdleConnectionsDoNotTimeTheDrainOut(t *testing.T) {
	f := start(t, func(o *options) { o.IdleGrace, o.DrainTimeout = time.Minute, 2*time.Second })
	c := f.dial()
	c.write(getList)
	c.read()
	if err := <-f.stop(); err != nil {
		t.Error(err)
	}
}
