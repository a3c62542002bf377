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

// maxDiscard bounds how much of an unread body is read so that the connection can be
// kept.
const maxDiscard = 256 << 10

const unknownLength = -1

func (c *conn) answer(req *http.Request) {
	c.head = math.MaxInt                               // the body has its own bounds
	c.tcp.SetReadDeadline(time.Now().Add(bodyTimeout)) //nolint:errcheck // the read fails then
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

// refuse answers what is not a request, if the client may still read.
func (c *conn) refuse(err error) {
	c.last, c.linger, c.headOnly = true, true, false
	switch {
	case errors.Is(err, errHeadTooLarge):
		c.problem(nil, http.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("The request line and headers take more than %d bytes.", maxHead))
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.problem(nil, http.StatusRequestTimeout, fmt.Sprintf("The request's headers did not arrive within %s.", headTimeout))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, new(*net.OpError)):
		c.linger = false // the client is gone
		return
	default:
		c.problem(nil, http.StatusBadRequest, "This is not an HTTP/1.1 request: "+err.Error())
	}
	c.flush() //nolint:errcheck // the connection ends either way
}

// send sends a complete response.
func (c *conn) send(req *http.Request, status int, contentType string, body []byte) {
	c.start(req, status, contentType, len(body))
	c.write(body)
}

// start writes the head of a response whose body has length bytes, or unknownLength. It
// decides whether the connection can be used again after it.
func (c *conn) start(req *http.Request, status int, contentType string, length int) {
	if req != nil && !discard(req.Body) {
		c.last = true
	}
	if c.server.parting.Load() && !c.pipelined() {
		c.last = true
	}
	w := c.writer
	fmt.Fprintf(w, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nX-Served-By: %s\r\nCache-Control: no-store\r\n", //nolint:errcheck // flush returns the error
		status, http.StatusText(status), time.Now().UTC().Format(http.TimeFormat), contentType, c.server.opts.podName)
	switch {
	case length != unknownLength:
		fmt.Fprintf(w, "Content-Length: %d\r\n", length) //nolint:errcheck // flush returns the error
	case req.ProtoAtLeast(1, 1):
		io.WriteString(w, "Transfer-Encoding: chunked\r\n") //nolint:errcheck // flush returns the error
	}
	if status == http.StatusMethodNotAllowed {
		fmt.Fprintf(w, "Allow: %s\r\n", routes[req.URL.Path].methods()) //nolint:errcheck // flush returns the error
	}
	if c.last {
		io.WriteString(w, "Connection: close\r\n") //nolint:errcheck // flush returns the error
	}
	io.WriteString(w, "\r\n") //nolint:errcheck // flush returns the error
}

// write writes part of a body, unless the request is HEAD.
func (c *conn) write(part []byte) {
	if !c.headOnly {
		c.writer.Write(part) //nolint:errcheck // flush returns the error
	}
}

// flush sends what was written.
func (c *conn) flush() error {
	if err := c.tcp.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return c.writer.Flush()
}

// A requestBody is the body of a request. The first read sends 100 Continue if the
// client waits for that.
type requestBody struct {
	io.ReadCloser
	conn    *conn
	unasked bool // the client waits for 100 Continue
}

func (b *requestBody) Read(p []byte) (int, error) {
	if b.unasked {
		b.unasked = false
		io.WriteString(b.conn.writer, "HTTP/1.1 100 Continue\r\n\r\n") //nolint:errcheck // flush returns the error
		if err := b.conn.flush(); err != nil {
			return 0, err
		}
	}
	return b.ReadCloser.Read(p)
}

// discard reads the rest of a body, so that the next request can be read. It reports
// whether it has reached the end.
func discard(body io.ReadCloser) bool {
	if b, ok := body.(*requestBody); ok && b.unasked {
		return false // the client was not told to send it, and may or may not
	}
	_, err := io.CopyN(io.Discard, body, maxDiscard)
	return err == io.EOF
}
