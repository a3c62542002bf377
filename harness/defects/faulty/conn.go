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
	waiting phase = iota // no byte of the next request has been read yet
	active               // a request has begun, and its response is not sent yet
	leaving              // nothing more will be answered
)

// Bounds of the time and the bytes that a client may take.
const (
	idleTimeout  = 10 * time.Minute
	headTimeout  = 10 * time.Second
	bodyTimeout  = 10 * time.Minute // slow uploads are to be served
	writeTimeout = 10 * time.Second
	lingerTime   = 500 * time.Millisecond
	maxHead      = 64 << 10
	maxLinger    = 4 << 20
)

var errHeadTooLarge = errors.New("the request line and headers are too large")

// A conn is a client connection, which its own goroutine serves. Other goroutines may
// only read its phase, wake it while it waits, or abort it.
type conn struct {
	tcp    net.Conn
	server *server
	reader *bufio.Reader // reads from the conn; see Read
	writer *bufio.Writer
	gone   chan struct{} // closed by abort

	// The fields down to linger belong to the goroutine that serves the connection.

	head     int  // bytes that the head of the request may still take
	headOnly bool // the request is HEAD, so its response has no body
	last     bool // the current response is the last
	linger   bool // a last response was sent; wait until it has arrived

	mu      sync.Mutex
	phase   phase     // set by the connection's own goroutine only
	since   time.Time // when phase was set
	served  bool      // at least one request was answered
	aborted bool
}

func newConn(tcp net.Conn, s *server) *conn {
	c := &conn{tcp: tcp, server: s, gone: make(chan struct{}), since: time.Now()}
	c.reader, c.writer = bufio.NewReader(c), bufio.NewWriter(tcp)
	return c
}

// serve answers requests until a response is the last.
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

// next waits for the first byte of a request. It returns false if there will be none.
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

// enter sets the phase, and the time that reads may take.
func (c *conn) enter(p phase, timeout time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.served = c.served || c.phase == active
	c.phase, c.since = p, time.Now()
	c.tcp.SetReadDeadline(c.since.Add(timeout)) //nolint:errcheck // the read fails then
}

func (c *conn) in(p phase) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == p
}

// Read fills the buffer of the connection. If its wait for a request is ended by the
// deadline, it checks once more if a request has arrived. If not, it ends the
// connection without a response, which a client could take for the response to a
// request that it has just sent.
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

// readableCheck reads what has arrived by now. If that is nothing, the connection ends.
func (c *conn) readableCheck(p []byte) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := readNow(c.tcp, p)
	if n == 0 {
		c.phase = leaving
	}
	return n
}

// wakeIfSilent ends the wait of a connection that has been silent since before t.
func (c *conn) wakeIfSilent(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == waiting && c.since.Before(t) {
		c.tcp.SetReadDeadline(past) //nolint:errcheck // a closed connection does not wait
	}
}

// pipelined reports whether the client has sent more after the current request. Then
// the response must not announce the close, as what follows would be lost.
func (c *conn) pipelined() bool { return c.reader.Buffered() > 0 || unread(c.tcp) > 0 }

// abort closes the connection at once, if it is in phase p.
func (c *conn) abort(p phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == p {
		c.cut()
	}
}

// abortIdle closes the connection if it was used and waits for its next request,
// without a check whether that has arrived.
func (c *conn) abortIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == waiting && c.served {
		c.cut()
	}
}

// cut closes the connection. c.mu must be held.
func (c *conn) cut() {
	if !c.aborted {
		c.aborted = true
		close(c.gone)
		c.tcp.Close() //nolint:errcheck // there is nothing else to do
	}
}

// close ends the connection such that the client gets the last response. If the socket
// were closed while the client still sends, the kernel would answer with a reset, and
// the client might lose that response (RFC 9112, section 9.6).
func (c *conn) close() {
	c.enter(leaving, lingerTime)
	if half, ok := c.tcp.(interface{ CloseWrite() error }); ok && c.linger && half.CloseWrite() == nil {
		io.CopyN(io.Discard, c.tcp, maxLinger) //nolint:errcheck // until the client closes, or the time is over
	}
	c.tcp.Close() //nolint:errcheck // an aborted connection is closed already
}
