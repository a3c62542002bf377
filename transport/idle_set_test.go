package transport

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// A connection that has been silent for a while is in the idle set, and served again when
// the client asks: fasthttp has no part of it meanwhile.
func TestIdleSet(t *testing.T) {
	s := lookupServer(t, func(o *Options) { o.Listen, o.MetricsListen = "127.0.0.1:0", "127.0.0.1:0" })
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // the end of the test
	r := bufio.NewReader(client)
	ask := func() {
		t.Helper()
		client.SetDeadline(time.Now().Add(time.Minute))                               //nolint:errcheck // less than the idle timeout
		io.WriteString(client, "GET /api/v1/toolsets/p7 HTTP/1.1\r\nHost: x\r\n\r\n") //nolint:errcheck // the read tells
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK || len(body) == 0 {
			t.Fatalf("%s, %q, %v", res.Status, body, err)
		}
	}
	inIdleSet := func() bool {
		open, _ := s.api.listener.count()
		return open == 1 && s.api.server.GetOpenConnectionsCount() == 0
	}
	for range 2 {
		ask()
		ask()
		if inIdleSet() {
			t.Fatal("in the idle set at once")
		}
		for end := time.Now().Add(time.Minute); !inIdleSet(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("not in the idle set")
			}
		}
	}
	ask()
	for !inIdleSet() {
		time.Sleep(10 * time.Millisecond)
	}
	// The drain ends it, and without a word.
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if b, err := io.ReadAll(r); err != nil || len(b) > 0 {
		t.Errorf("%q, %v", b, err)
	}
}

// What arrives just as the drain wakes a connection in the idle set is answered.
func TestIdleSetAndWokenByBoth(t *testing.T) {
	c, client := pair(t)
	c.greeted = true
	c.wakeIfIdle(now())
	if _, err := client.Write([]byte("GET")); err != nil {
		t.Fatal(err)
	}
	for unread(c.Conn) < 3 {
		time.Sleep(time.Millisecond)
	}
	if !c.wake() {
		t.Error("a request was overlooked")
	}
	c.wakeIfIdle(now())
	var b [3]byte
	if _, err := io.ReadFull(c.Conn, b[:]); err == nil {
		t.Error("the deadline of the wake is gone")
	}
	if n, err := readNow(c.Conn, b[:]); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	if c.wake() {
		t.Error("there was nothing to wake up for")
	}
	wantEnd(t, client)
}

// A connection in the idle set ends when the client has been silent for too long, or goes.
func TestTooLongInTheIdleSet(t *testing.T) {
	c, client := pair(t)
	c.greeted = true
	c.owner.limits.IdleTimeout = 50 * time.Millisecond
	c.since.Store(int64(now()))
	if c.wake() {
		t.Error("woken by nothing")
	}
	c.owner.limits.IdleTimeout = time.Hour
	client.Close() //nolint:errcheck // the read tells
	if !c.wake() {
		t.Error("the end of the stream is something to read")
	}
}
