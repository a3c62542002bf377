package conn

import (
	"io"
	"testing"
	"time"
)

// A request that arrives just as the drain wakes a connection in the idle set is
// answered.
func TestIdleSetAndWokenByBoth(t *testing.T) {
	c, client := pair(t)
	c.in.greeted = true
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

// A connection in the idle set ends when the client has been silent for too long, or
// closes it.
func TestTooLongInTheIdleSet(t *testing.T) {
	c, client := pair(t)
	c.in.greeted = true
	c.owner.limits.IdleTimeout = 50 * time.Millisecond
	c.idle.since.Store(int64(now()))
	if c.wake() {
		t.Error("woken by nothing")
	}
	c.owner.limits.IdleTimeout = time.Hour
	client.Close() //nolint:errcheck // the read reports the error
	if !c.wake() {
		t.Error("the end of the stream is something to read")
	}
}
