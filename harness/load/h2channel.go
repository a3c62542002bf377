package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load/h2"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// An h2Channel is a connection of HTTP/2.
type h2Channel struct {
	*h2.Conn
	run *run
}

func newH2Channel(conn net.Conn, r *run) *h2Channel { return &h2Channel{h2.New(conn), r} }

func (c *h2Channel) usable() bool { return c.Usable() }
func (c *h2Channel) retire()      { c.Retire() }
func (c *h2Channel) close()       { _ = c.Close() } // always nil

// request returns the request of a job.
func (c *h2Channel) request(j *job) *h2.Request {
	req := &h2.Request{Method: j.Method, Scheme: "http", Authority: c.run.Host, Path: j.path(j.duration), Header: j.fields, Body: j.Body}
	if c.run.TLS != nil {
		req.Scheme = "https"
	}
	if j.SlowUpload {
		req.Over = j.duration
	}
	return req
}

// exchange implements channel.
func (c *h2Channel) exchange(ctx context.Context, j *job, q *record.Request) (again bool) {
	ctx, cancel := context.WithTimeout(ctx, j.duration+c.run.ResponseTimeout)
	defer cancel()
	resp, err := c.Do(ctx, c.request(j))
	if err != nil {
		q.End = time.Now()
		return lostOnH2(err, false, q)
	}
	defer resp.Body.Close() //nolint:errcheck // always nil
	c.head(resp, q)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	q.End = time.Now()
	if err == nil && len(body) > maxResponse {
		err = &h2.LostError{Err: errTooLarge, Malformed: true}
	}
	if err == nil {
		err = checkLength(j, resp, len(body))
	}
	if err != nil {
		again = lostOnH2(err, true, q)
		q.Detail = fmt.Sprintf("after status %d and %d bytes of the body: %s", resp.Status, len(body), q.Detail)
		return again
	}
	q.Outcome, q.Detail = j.judge(&http.Response{StatusCode: resp.Status, Header: resp.Header}, body)
	return false
}

// head records what the header of a response says.
func (c *h2Channel) head(resp *h2.Response, q *record.Request) {
	q.Status = resp.Status
	c.run.recognise(resp.Header.Get)
	if c.run.PodHeader != "" {
		q.Pod = resp.Header.Get(c.run.PodHeader)
	}
	q.Inferred = false
}

// checkLength finds a body that is shorter or longer than announced (RFC 9113, section
// 8.1.1).
func checkLength(j *job, resp *h2.Response, got int) error {
	length := resp.Header.Get("Content-Length")
	if length == "" || j.Method == http.MethodHead || resp.Status == http.StatusNotModified {
		return nil
	}
	if want, err := strconv.Atoi(length); err != nil || want != got {
		return &h2.LostError{Err: fmt.Errorf("the response ended, though its Content-Length is %s", length), Malformed: true}
	}
	return nil
}

// lostOnH2 records how a request was lost. begun says whether the response had begun. It
// returns true if the server did not process the request.
func lostOnH2(err error, begun bool, q *record.Request) (again bool) {
	var reset *h2.ResetError
	var lost *h2.LostError
	q.Detail = err.Error()
	switch {
	case errors.Is(err, h2.ErrUnprocessed), errors.Is(err, h2.ErrUnusable):
		q.Outcome = record.NotProcessed
		return true
	case errors.As(err, &reset):
		q.Outcome = record.StreamReset
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		q.Outcome = record.ResponseTimeout
	case errors.As(err, &lost) && !lost.Malformed && isOfConnection(lost.Err):
		q.Outcome = lostOutcome(err, lost.Err, begun)
	default:
		q.Outcome = record.Malformed
	}
	return false
}

// isOfConnection reports whether err says that a connection ended, rather than that what
// came was wrong.
func isOfConnection(err error) bool {
	var op *net.OpError
	return isEnd(err) || isReset(err) || isTimeout(err) || errors.As(err, &op)
}
