package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// A phase is what a connection is doing.
type phase int

const (
	waiting phase = iota // no byte of the next request has been read
	active               // a request has begun and its response is not yet sent
	leaving              // nothing more will be answered
)

// Bounds of what a client may take, in time and in bytes.
const (
	idleTimeout  = 10 * time.Minute
	headTimeout  = 10 * time.Second
	bodyTimeout  = 10 * time.Minute // a slow upload is one of the things to be served
	writeTimeout = 10 * time.Second
	lingerTime   = 500 * time.Millisecond
	maxHead      = 64 << 10
	maxLinger    = 4 << 20
)

var errHeadTooLarge = errors.New("the request line and headers are too large")

// A conn is one client connection, served by a goroutine of its own. Others may
// only look at it, wake it from its wait, or abort it.
type conn struct {
	tcp    net.Conn
	server *server
	reader *bufio.Reader // of the conn itself, see Read
	writer *bufio.Writer
	gone   chan struct{} // closed by abort

	// What follows belongs to the goroutine that serves the connection.

	head     int  // bytes that the request's head may still take
	headOnly bool // the request is HEAD: its response has no body
	last     bool // the response at hand is the connection's last
	linger   bool // the client was sent a last response; let it arrive

	mu      sync.Mutex
	phase   phase     // written by the connection's own goroutine only
	since   time.Time // when phase became what it is
	served  bool      // at least one request was answered
	aborted bool
}

func newConn(tcp net.Conn, s *server) *conn {
	c := &conn{tcp: tcp, server: s, gone: make(chan struct{}), since: time.Now()}
	c.reader, c.writer = bufio.NewReader(c), bufio.NewWriter(tcp)
	return c
}

// serve answers requests until one is the last.
func (c *conn) serve() {
	defer c.close()
	for !c.last && c.next() {
		req, err := http.ReadRequest(c.reader)
		if err != nil {
			c.refuse(err)
			return
		}
		c.answer(req)
	}
}

// next waits for the first byte of a request.
func (c *conn) next() bool {
	if c.reader.Buffered() == 0 {
		c.enter(waiting, idleTimeout)
	}
	if _, err := c.reader.Peek(1); err != nil {
		return false
	}
	c.head = maxHead
	c.enter(active, headTimeout)
	return true
}

// enter changes the phase and lets reads take so long.
func (c *conn) enter(p phase, timeout time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.served = c.served || c.phase == active
	c.phase, c.since = p, time.Now()
	c.tcp.SetReadDeadline(c.since.Add(timeout)) //nolint:errcheck // the read tells
}

func (c *conn) in(p phase) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == p
}

// Read reads for the connection's buffer. When the wait for a request is ended
// by its deadline, it checks once more for a request that is there already, and
// otherwise ends the connection without a word: an unasked-for response would be
// taken for the answer to a request that is on its way.
func (c *conn) Read(p []byte) (int, error) {
	if c.phase == active {
		if c.head <= 0 {
			return 0, errHeadTooLarge
		}
		p = p[:min(len(p), c.head)]
	}
	n, err := c.tcp.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) && c.phase == waiting {
		n, err = c.readableCheck(p), nil
		if n == 0 {
			err = io.EOF
		}
	}
	if c.phase == active {
		c.head -= n
	}
	return n, err
}

// readableCheck reads what has arrived by now, and decides by it whether the
// connection goes on.
func (c *conn) readableCheck(p []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := readNow(c.tcp, p)
	if n == 0 {
		c.phase = leaving
	}
	return n
}

// wakeIfSilent ends the wait of a connection that has been silent since before
// t. One that was told to close does not wait.
func (c *conn) wakeIfSilent(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == waiting && c.since.Before(t) {
		c.tcp.SetReadDeadline(past) //nolint:errcheck // a closed connection needs no waking
	}
}

// pipelined reports whether the client has sent more after the request that is
// being answered. Such a response must not say that the connection closes: what
// is behind it would be lost.
func (c *conn) pipelined() bool { return c.reader.Buffered() > 0 || unread(c.tcp) > 0 }

// abort closes the connection whatever is going on on it, if it is in phase p.
func (c *conn) abort(p phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == p {
		c.cut()
	}
}

// abortIdle closes the connection if it has been used and waits for its next
// request, without looking whether that has come.
func (c *conn) abortIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == waiting && c.served {
		c.cut()
	}
}

// cut is called with the lock held.
func (c *conn) cut() {
	if !c.aborted {
		c.aborted = true
		close(c.gone)
		c.tcp.Close() //nolint:errcheck // nothing is left to be done about it
	}
}

// close ends the connection so that the client gets what was sent to it. Were
// the socket closed while the client still sends, the kernel would answer with
// a reset, and the client might lose the response (RFC 9112, section 9.6).
func (c *conn) close() {
	c.enter(leaving, lingerTime)
	if half, ok := c.tcp.(interface{ CloseWrite() error }); ok && c.linger && half.CloseWrite() == nil {
		io.CopyN(io.Discard, c.tcp, maxLinger) //nolint:errcheck // the client's end, or the time's
	}
	c.tcp.Close() //nolint:errcheck // an aborted connection is closed already
}
