package outbound

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	maxHeader  = 64 << 10 // bytes of status line and headers that are read
	maxInterim = 5        // 1xx answers before the final one
)

// A Conn is a connection for HTTP/1.1. It uses net/http to read and write messages, but not
// http.Transport. That one dials in goroutines that outlive the request, needs two
// goroutines per idle connection, and can't tell which endpoint a connection belongs to.
type Conn struct {
	// Born is when the connection was made.
	Born time.Time

	raw   net.Conn // what Close closes, as closing a tls.Conn may block
	rw    net.Conn // raw, or TLS on top of it
	in    *bufio.Reader
	limit *io.LimitedReader // what in reads from
}

// Close closes the connection. A nil Conn may be closed, too.
func (c *Conn) Close() {
	if c != nil {
		_ = c.raw.Close() // nothing can be done about an error
	}
}

// These are joined to errors, to tell where an attempt failed.
var (
	ErrHandshake = errors.New("the TLS handshake failed")
	ErrNoAnswer  = errors.New("not one byte of an answer came")
)

// Errors that no HTTP server should cause.
var (
	errLongHeader = errors.New("the headers of the answer are longer than 64 KiB")
	errInterim    = errors.New("nothing but interim (1xx) answers came")
)

// Exchange sends a request and reads the answer up to its body, before ctx
// ends. The body must be read by ReadBody. reusable means that the connection can be reused
// afterwards.
func (c *Conn) Exchange(ctx context.Context, request *http.Request) (response *http.Response, reusable bool, err error) {
	if err := c.raw.SetDeadline(time.Time{}); err != nil {
		return nil, false, errors.Join(ErrNoAnswer, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.raw.SetDeadline(time.Unix(1, 0)) })
	// If the function is running already, its deadline applies to the body or to the next
	// exchange, which set their own.
	defer stop()

	c.limit.N = maxHeader
	if err := c.send(request); err != nil {
		return nil, false, errors.Join(ErrNoAnswer, err)
	}
	if _, err := c.in.Peek(1); err != nil {
		return nil, false, errors.Join(ErrNoAnswer, err)
	}
	for range maxInterim {
		res, err := http.ReadResponse(c.in, request)
		if err != nil {
			if c.limit.N <= 0 {
				err = errLongHeader
			}
			return nil, false, err
		}
		if res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
			return res, !res.Close && res.StatusCode >= 200, nil
		}
	}
	return nil, false, errInterim
}

func (c *Conn) send(request *http.Request) error {
	w := writers.Get().(*bufio.Writer)
	defer writers.Put(w)
	w.Reset(c.rw)
	defer w.Reset(nil) // what is kept must not keep the connection
	if err := request.Write(w); err != nil {
		return err
	}
	return w.Flush()
}

// writers are the buffers for requests. net/http would make one of 4 KiB for each of them.
var writers = sync.Pool{New: func() any { return bufio.NewWriter(nil) }}

// ReadBody copies the first limit bytes of the body of the last answer to w, within patience
// and before ctx ends. It reports whether that was the whole body, and nothing follows it.
func (c *Conn) ReadBody(ctx context.Context, body io.Reader, w io.Writer, limit int64, patience time.Duration) (whole bool) {
	until := time.Now().Add(patience)
	if end, ok := ctx.Deadline(); ok && end.Before(until) {
		until = end
	}
	if err := c.raw.SetDeadline(until); err != nil {
		return false
	}
	c.limit.N = 2 * limit // a chunked body is longer than its content
	n, err := io.Copy(w, io.LimitReader(body, limit+1))
	return err == nil && n <= limit && c.in.Buffered() == 0 && ctx.Err() == nil
}
