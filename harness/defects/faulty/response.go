package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// maxDiscard is how much of a body that no handler wanted is read to keep the
// connection.
const maxDiscard = 256 << 10

const unknownLength = -1

// answer answers one request.
func (c *conn) answer(req *http.Request) {
	c.head = math.MaxInt                               // the body has bounds of its own
	c.tcp.SetReadDeadline(time.Now().Add(bodyTimeout)) //nolint:errcheck // the read tells
	c.last = req.Close || !req.ProtoAtLeast(1, 1)      // HTTP/1.0 has no chunks and seldom keeps connections
	c.headOnly = req.Method == http.MethodHead
	expects := strings.ToLower(req.Header.Get("Expect")) // RFC 9110, section 10.1.1
	waits := expects == "100-continue" && req.ContentLength != 0 && req.ProtoAtLeast(1, 1)
	req.Body = &requestBody{ReadCloser: req.Body, conn: c, unasked: waits}
	switch {
	case req.ProtoMajor != 1:
		c.last = true
		c.problem(req, http.StatusHTTPVersionNotSupported, "This server speaks HTTP/1.1 only.")
	case req.Host == "" && req.ProtoAtLeast(1, 1):
		c.last = true
		c.problem(req, http.StatusBadRequest, "The request has no Host header; send one.")
	case expects != "" && expects != "100-continue":
		c.problem(req, http.StatusExpectationFailed, "The only expectation that can be met is 100-continue.")
	default:
		c.route(req)
	}
	if c.flush() != nil {
		c.last = true
	}
	c.linger = c.last
}

// refuse answers what is not a request, if the client can be expected to listen.
func (c *conn) refuse(err error) {
	c.last, c.linger, c.headOnly = true, true, false
	switch {
	case errors.Is(err, errHeadTooLarge):
		c.problem(nil, http.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("The request line and headers take more than %d bytes.", maxHead))
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.problem(nil, http.StatusRequestTimeout, fmt.Sprintf("The request's headers did not arrive within %s.", headTimeout))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, new(*net.OpError)):
		c.linger = false // the client has gone
		return
	default:
		c.problem(nil, http.StatusBadRequest, "This is not an HTTP/1.1 request: "+err.Error())
	}
	c.flush() //nolint:errcheck // the connection ends either way
}

// send sends a whole response.
func (c *conn) send(req *http.Request, status int, contentType string, body []byte) {
	c.start(req, status, contentType, len(body))
	c.write(body)
}

// start writes the head of a response whose body has that many bytes, or an
// unknownLength. Here it is decided whether the connection goes on after it.
func (c *conn) start(req *http.Request, status int, contentType string, length int) {
	if req != nil && !discard(req.Body) {
		c.last = true
	}
	if c.server.parting.Load() && !c.pipelined() {
		c.last = true
	}
	w := c.writer
	fmt.Fprintf(w, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nX-Served-By: %s\r\nCache-Control: no-store\r\n", //nolint:errcheck // flush tells
		status, http.StatusText(status), time.Now().UTC().Format(http.TimeFormat), contentType, c.server.opts.podName)
	switch {
	case length != unknownLength:
		fmt.Fprintf(w, "Content-Length: %d\r\n", length) //nolint:errcheck // flush tells
	case req.ProtoAtLeast(1, 1):
		io.WriteString(w, "Transfer-Encoding: chunked\r\n") //nolint:errcheck // flush tells
	}
	if status == http.StatusMethodNotAllowed {
		fmt.Fprintf(w, "Allow: %s\r\n", routes[req.URL.Path].methods()) //nolint:errcheck // flush tells
	}
	if c.last {
		io.WriteString(w, "Connection: close\r\n") //nolint:errcheck // flush tells
	}
	io.WriteString(w, "\r\n") //nolint:errcheck // flush tells
}

// write writes a part of a body.
func (c *conn) write(part []byte) {
	if !c.headOnly {
		c.writer.Write(part) //nolint:errcheck // flush tells
	}
}

// flush sends what was written.
func (c *conn) flush() error {
	if err := c.tcp.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return c.writer.Flush()
}

// A requestBody is a request's body; reading it tells a client that asked first
// to go on.
type requestBody struct {
	io.ReadCloser
	conn    *conn
	unasked bool // the client waits for "100 Continue"
}

func (b *requestBody) Read(p []byte) (int, error) {
	if b.unasked {
		b.unasked = false
		io.WriteString(b.conn.writer, "HTTP/1.1 100 Continue\r\n\r\n") //nolint:errcheck // flush tells
		if err := b.conn.flush(); err != nil {
			return 0, err
		}
	}
	return b.ReadCloser.Read(p)
}

// discard reads the rest of a body, so that the next request can be read, and
// reports whether it is at its end.
func discard(body io.ReadCloser) bool {
	if b, ok := body.(*requestBody); ok && b.unasked {
		return false // it was never asked for, and may come or not
	}
	_, err := io.CopyN(io.Discard, body, maxDiscard)
	return err == io.EOF
}
