package load

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// A job is a request that is due.
type job struct {
	*message
	due      time.Time
	duration time.Duration // of a slow request
	hangUp   bool          // send Connection: close
}

// pieceEvery is the time between two pieces of a slow upload.
const pieceEvery = 250 * time.Millisecond

// maxInterim bounds the interim responses (1xx) before a response.
const maxInterim = 8

// exchange sends the request, reads the response and records the outcome in r. It
// reports whether the connection can be used again.
func (c *connection) exchange(j *job, timeout time.Duration, podHeader string, r *record.Request) (again bool) {
	resp, err := c.ask(j, timeout, podHeader, r)
	if err != nil {
		return false
	}
	c.wire.left = maxResponse
	c.body.Reset()
	_, err = c.body.ReadFrom(resp.Body)
	r.End = time.Now()
	if err != nil {
		r.Outcome = lostOutcome(err, c.wire.err, true)
		r.Detail = fmt.Sprintf("after status %d and %d bytes of the body: %v", resp.StatusCode, c.body.Len(), err)
		return false
	}
	if n := c.reader.Buffered(); n > 0 {
		r.Outcome = record.Malformed
		r.Detail = fmt.Sprintf("%d bytes followed the end of the response", n)
		return false
	}
	r.Outcome, r.Detail = j.judge(resp, c.body.Bytes())
	return !resp.Close && !j.hangUp && !c.cut
}

// errLost says that r has the outcome already.
var errLost = errors.New("the request was lost")

// ask sends the request and reads the header of the response. If it returns an error, r
// has the outcome.
func (c *connection) ask(j *job, timeout time.Duration, podHeader string, r *record.Request) (*http.Response, error) {
	path := j.path(j.duration)
	r.Method, r.Path = j.Method, path
	if c.uses > 0 {
		r.ConnectionUse = c.uses
		r.ConnectionAge = r.Sent.Sub(c.opened)
		// One that looks did so just before. A close that has arrived since then is one
		// that crossed the request.
		r.SentAfterClose = !looks(r.Class) && c.hasClosed()
	}
	c.uses++
	c.cut = false
	c.wire.expect()
	c.wire.got = c.reader.Buffered() // what TLS had to read to see if the server has closed
	c.out = j.appendTo(c.out[:0], path, j.hangUp)

	deadline := time.Now().Add(j.duration + timeout)
	sendErr := c.SetDeadline(deadline)
	if sendErr == nil {
		_, sendErr = c.Write(c.out)
	}
	var resp *http.Response
	var err error
	if j.SlowUpload && sendErr == nil {
		sendErr, err = c.upload(j.Body, j.duration, deadline)
	}
	if err == nil {
		// Even if sending failed there may be a response: a server may answer and close
		// without reading the whole request.
		resp, err = c.readHeader(j.asked)
	}
	if err == nil {
		c.cut = c.cut || sendErr != nil
		r.Status = resp.StatusCode
		r.CloseAnnounced = resp.Close
		c.attribute(r, resp, podHeader)
		c.recognise(resp.Header)
		return resp, nil
	}
	r.End = time.Now()
	c.attribute(r, nil, podHeader)
	begun := c.wire.got > 0
	r.Outcome = lostOutcome(err, c.wire.err, begun)
	r.Detail = err.Error()
	if c.wire.err != nil { // the parser's error is only a consequence
		r.Detail = c.wire.err.Error()
	}
	if sendErr != nil && !begun {
		// Only a reset makes a write fail, and then no read reports it any more.
		r.Outcome = record.ResetBefore
		if isTimeout(sendErr) {
			r.Outcome = record.ResponseTimeout
		}
		r.Detail = "while sending: " + sendErr.Error()
	}
	return nil, errLost
}

// upload sends the body in pieces, evenly over the given time. It stops as soon as
// there is something to read: an early response, or the end of the connection. The
// latter is readErr, since a socket reports a reset only once.
func (c *connection) upload(body string, over time.Duration, deadline time.Time) (sendErr, readErr error) {
	begin := time.Now()
	pieces := min(len(body), max(1, int(over/pieceEvery)))
	for i := range pieces {
		// It waits by reading, so that it notices at once what the server does.
		if err := c.SetReadDeadline(begin.Add(over * time.Duration(i+1) / time.Duration(pieces))); err != nil {
			return err, nil
		}
		_, err := c.reader.Peek(1)
		if err == nil {
			c.cut = true
			break
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) { // our deadline; TCP has timeouts of its own
			return nil, err
		}
		c.wire.err = nil
		if _, err := io.WriteString(c, body[len(body)*i/pieces:len(body)*(i+1)/pieces]); err != nil {
			sendErr = err
			break
		}
	}
	if err := c.SetReadDeadline(deadline); err != nil && sendErr == nil {
		sendErr = err
	}
	return sendErr, nil
}

// attribute records which pod answered: by the response's header, or else the one that
// answered before on this connection, which leads to no other.
func (c *connection) attribute(r *record.Request, resp *http.Response, podHeader string) {
	if resp != nil && podHeader != "" {
		if pod := resp.Header.Get(podHeader); pod != "" {
			c.pod, r.Pod = strings.Clone(pod), pod
			return
		}
	}
	if r.Pod = c.pod; r.Pod != "" {
		r.Inferred, r.PodBy = true, record.ByConnection
	}
}

// maxSignature bounds each header that is kept of a server's signature.
const maxSignature = 200

// recognise keeps what the first response says about the server.
func (c *connection) recognise(h http.Header) {
	if c.recognised {
		return
	}
	c.recognised = true
	c.server = signatureOf(h.Get)
}

// signatureOf returns a server's signature from the headers of a response.
func signatureOf(header func(name string) string) record.Signature {
	get := func(name string) string {
		v := header(name)
		return strings.Clone(v[:min(len(v), maxSignature)])
	}
	return record.Signature{Server: get("Server"), PoweredBy: get("X-Powered-By"), Via: get("Via"), KeepAlive: get("Keep-Alive")}
}

// recognise keeps what the first response says about the server, in protocols that are not
// the raw wire.
func (r *run) recognise(header func(name string) string) {
	r.recognised.Do(func() {
		s := signatureOf(header)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.server = s
	})
}

// readHeader reads the header of the response to asked, and skips interim ones.
func (c *connection) readHeader(asked *http.Request) (*http.Response, error) {
	for range maxInterim {
		if _, err := c.reader.Peek(1); err != nil {
			return nil, err
		}
		const start = "HTTP/1."
		first, err := c.reader.Peek(min(len(start), c.reader.Buffered()))
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(start, string(first)) {
			return nil, fmt.Errorf("it begins with %q%s", first, otherProtocol(c.reader))
		}
		resp, err := http.ReadResponse(c.reader, asked)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode < 100 || resp.StatusCode > 999 { // the parser accepts 000 and +12
			return nil, fmt.Errorf("it has the status %q", resp.Status)
		}
		if resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
	return nil, fmt.Errorf("more than %d interim responses", maxInterim)
}
