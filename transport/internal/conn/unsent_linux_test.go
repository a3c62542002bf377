package conn

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// The kernel accepts only a small part of a response that the client does not read.
func TestUnreadResponsesAreNotHeldByTheKernel(t *testing.T) {
	c, _ := pair(t)
	raw, ok := rawConn(c.Conn)
	if !ok {
		t.Fatal("no socket")
	}
	var limit int
	var err error
	if controlErr := raw.Control(func(fd uintptr) { limit, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT) }); controlErr != nil || err != nil { // #nosec G115 -- a file descriptor
		t.Fatal(controlErr, err)
	}
	if limit != unsentLimit {
		t.Errorf("the limit of an accepted connection is %d bytes, want %d", limit, unsentLimit)
	}
	c.in.moved = now() // a response is made
	written := make(chan struct{})
	go func() {
		defer close(written)
		c.Write(make([]byte, 30<<20)) //nolint:errcheck // it ends with the connection
	}()
	unsent := func() (n int) {
		raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQNSD) }) //nolint:errcheck,gosec // 0 shows
		return n
	}
	testenv.Eventually(t, testenv.Patience, "the client's window is full", func() bool { return unsent() > 0 })
	most := 0
	for range 100 {
		most = max(most, unsent())
		time.Sleep(2 * time.Millisecond)
	}
	if most > 4*unsentLimit { // a write that has begun may exceed the limit by a segment
		t.Errorf("the kernel holds %d bytes that the client has no room for", most)
	}
	c.abort()
	<-written
}
