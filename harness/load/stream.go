package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load/internal/sse"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// breath is the pause before a stream is opened again that failed or ended at once, so
// that an outage does not cause a busy loop.
const breath = 100 * time.Millisecond

// streams holds event streams open until ctx ends.
func (r *run) streams(ctx context.Context, client Client, ch *choice, t *tally) {
	var all sync.WaitGroup
	for range client.Connections {
		all.Go(func() {
			for ctx.Err() == nil {
				now := time.Now()
				req := &record.Request{Class: record.Stream, Protocol: r.Protocol, Due: now, Sent: now}
				sent := r.stream(ctx, &job{message: ch.next(), due: now}, req, t)
				if !sent || req.Failed() || req.End.Sub(req.Sent) < breath {
					select {
					case <-ctx.Done():
					case <-time.After(breath):
					}
				}
			}
		})
	}
	all.Wait()
}

// stream opens an event stream and reads it to its end. It reports whether it was asked
// for: without a source port it is not.
func (r *run) stream(ctx context.Context, j *job, req *record.Request, t *tally) bool {
	req.Method, req.Path = j.Method, j.Path
	c, err := r.dial(ctx, req, t)
	if err != nil {
		return false
	}
	if c == nil {
		r.report(req, t, nil)
		return true
	}
	defer hangUp(c)
	resp, err := c.ask(j, r.ResponseTimeout, r.PodHeader, req)
	if err == nil {
		if resp.StatusCode != http.StatusOK || mediaType(resp) != "text/event-stream" {
			c.refuseStream(j, resp, req)
		} else {
			r.follow(ctx, c, resp, req)
		}
		req.End = time.Now()
	}
	r.report(req, t, c)
	return true
}

// refuseStream records a response that is not a stream.
func (c *connection) refuseStream(j *job, resp *http.Response, req *record.Request) {
	c.wire.left = maxResponse
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		req.Outcome = lostOutcome(err, c.wire.err, true)
		req.Detail = fmt.Sprintf("after status %d and %d bytes of the body: %v", resp.StatusCode, len(body), err)
	case resp.StatusCode != http.StatusOK:
		req.Outcome, req.Detail = record.UnexpectedStatus, j.describe(resp, body)
	default:
		req.Outcome = record.WrongBody
		req.Detail = fmt.Sprintf("its type is %q, not text/event-stream: %s", resp.Header.Get("Content-Type"), excerpt(body))
	}
}

// follow reads the events of an open stream until it ends. When ctx ends, it closes the
// connection.
func (r *run) follow(ctx context.Context, c *connection, resp *http.Response, req *record.Request) {
	defer context.AfterFunc(ctx, func() { hangUp(c) })()
	c.wire.idle = max(0, r.StreamIdleTimeout)
	err := c.SetDeadline(time.Time{})
	source, goodbye := sse.NewReader(resp.Body), false
	for err == nil {
		c.wire.left = maxEvent
		var name string
		if name, err = source.Next(); err != nil {
			break
		}
		req.Events++
		if name == r.Goodbye && !goodbye {
			// The server now has as much time to end the stream as it had to begin it.
			goodbye, c.wire.idle = true, 0
			err = c.SetReadDeadline(time.Now().Add(r.ResponseTimeout))
		}
	}
	switch {
	case goodbye, isOurs(err) && ctx.Err() != nil:
		req.Outcome = record.OK
	case err == io.EOF && !r.MustSayGoodbye && saysItsEnd(resp):
		req.Outcome = record.OK // the server had no more to say
	default:
		req.Outcome = record.StreamBroken
		how := howItEnded(err, c.wire.idle)
		if err == io.EOF && !saysItsEnd(resp) {
			how = "the connection was closed, and the response has neither a length nor chunks that would tell if it was complete"
		}
		req.Detail = fmt.Sprintf("after %d events: %s", req.Events, how)
	}
}

// saysItsEnd reports whether a response that is cut off can be told from a complete one.
// One that lasts until the connection is closed can't.
func saysItsEnd(resp *http.Response) bool {
	return resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0
}

// howItEnded describes how a stream ended without a goodbye.
func howItEnded(err error, idle time.Duration) string {
	switch {
	case err == io.EOF:
		return "the stream ended in good order, but without a goodbye"
	case isTimeout(err):
		return fmt.Sprintf("no byte for %v", idle)
	default:
		return err.Error()
	}
}
