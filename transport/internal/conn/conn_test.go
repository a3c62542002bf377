package conn

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/zap"
)

// pair returns a Conn and its client.
func pair(t *testing.T) (*Conn, net.Conn) {
	t.Helper()
	tcp, err := Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close() //nolint:errcheck // the connection is what counts
	client, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() }) //nolint:errcheck // the end of a test
	l := New(tcp, Options{Log: zap.NewNop(), Limits: Limits{MaxConnections: 10, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: time.Minute}})
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // the end of a test
	return c.(*Conn), client
}

// The drain finds a connection idle and ends its deadline just as a request begins. The
// rest of the request must still be read.
func TestWokenWhileARequestBegins(t *testing.T) {
	c, client := pair(t)
	c.in.began, c.in.ahead.between = now(), false
	c.Begin()
	c.idle.woken.Store(int64(now()))
	if err := c.SetReadDeadline(past); err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		client.Write([]byte("rest")) //nolint:errcheck // the read reports the error
	}()
	var buf [16]byte
	if n, err := c.Read(buf[:]); err != nil || string(buf[:n]) != "rest" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
}

// A request that has arrived when an idle connection is about to be closed is read,
// although the deadline has passed. Without a request the connection ends silently.
func TestReadableCheck(t *testing.T) {
	c, client := pair(t)
	if _, err := client.Write([]byte("GET")); err != nil {
		t.Fatal(err)
	}
	for unread(c.Conn) < 3 {
		time.Sleep(time.Millisecond)
	}
	c.wakeIfIdle(now())
	var buf [16]byte
	if n, err := c.Read(buf[:]); err != nil || string(buf[:n]) != "GET" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	c.wakeIfIdle(now())
	if n, err := c.Read(buf[:]); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("an idle connection: %d, %v", n, err)
	}
	wantEnd(t, client) // at once, and not only when fasthttp calls Close
}

// wantEnd fails the test unless the client learns that its connection has ended.
func wantEnd(t *testing.T, client net.Conn) {
	t.Helper()
	client.SetReadDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // the read tells
	if n, err := client.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the client reads %d, %v", n, err)
	}
}

// Where no socket filter keeps the queue from growing, the connections in it are accepted
// before the listener is closed.
func TestQueueIsEmptiedBeforeTheClose(t *testing.T) {
	tcp, err := Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := New(tcp, Options{Log: zap.NewNop(), Limits: Limits{MaxConnections: 100, ReadTimeout: time.Second, WriteTimeout: time.Second, IdleTimeout: time.Minute}})
	const queued = 50
	for range queued {
		c, err := net.Dial("tcp", tcp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // the end of the test
	}
	shut := make(chan struct{})
	go func() { defer close(shut); l.shut() }()
	for l.phase.Load() != emptying {
		time.Sleep(time.Millisecond)
	}
	accepted := 0
	for {
		c, err := l.Accept()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		accepted++
		defer c.Close() //nolint:errcheck // the end of the test
	}
	<-shut
	if accepted != queued {
		t.Errorf("%d of %d queued connections were accepted", accepted, queued)
	}
	if _, err := net.DialTimeout("tcp", tcp.Addr().String(), 200*time.Millisecond); err == nil {
		t.Error("the listener is still open")
	}
}

// The age limit of a connection varies between 90 % and 110 %.
func TestConnectionAgeIsJittered(t *testing.T) {
	tcp, err := Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close() //nolint:errcheck // the end of the test
	l := New(tcp, Options{Log: zap.NewNop(), Limits: Limits{MaxConnections: 1000, ReadTimeout: time.Second, WriteTimeout: time.Second, IdleTimeout: time.Minute, MaxAge: time.Hour}})
	ages := map[time.Duration]bool{}
	for range 50 {
		a, b := net.Pipe()
		defer a.Close() //nolint:errcheck // the end of the test
		defer b.Close() //nolint:errcheck // the end of the test
		c, ok := l.admit(a)
		if !ok {
			t.Fatal("refused")
		}
		age := c.ending.expires.sub(now())
		if age < 53*time.Minute || age > 67*time.Minute {
			t.Errorf("age %s", age)
		}
		ages[age.Round(time.Second)] = true
	}
	if len(ages) < 10 {
		t.Errorf("only %d different ages of 50", len(ages))
	}
}
