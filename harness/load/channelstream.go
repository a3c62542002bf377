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

// channelStreams holds event streams open over HTTP/2, each on a connection of its own:
// behind a Service, those on one connection would all be on one pod.
func (r *run) channelStreams(ctx context.Context, client Client, ch *choice, t *tally) {
	r.hold(ctx, client.Connections, func(q *record.Request) {
		j := &job{message: ch.next(), due: q.Due}
		q.Method, q.Path = j.Method, j.Path
		for {
			s := r.openChannel(ctx, q, t)
			if s == nil {
				break
			}
			again := s.channel.(*h2Channel).stream(ctx, j, q)
			s.close()
			if q.Failed() {
				q.Local = s.local
			}
			if !again || q.Again == maxAgain {
				break
			}
			sendAgain(q)
		}
		r.report(q, t, nil)
	})
}

// hold calls one in n goroutines, again and again until ctx ends.
func (r *run) hold(ctx context.Context, n int, one func(q *record.Request)) {
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for ctx.Err() == nil {
				now := time.Now()
				q := &record.Request{Class: record.Stream, Protocol: r.Protocol, Due: now, Sent: now}
				one(q)
				if q.Failed() || q.End.Sub(q.Sent) < breath {
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

// stream opens an event stream and reads it to its end, or until ctx ends.
func (c *h2Channel) stream(ctx context.Context, j *job, q *record.Request) (again bool) {
	ofStream, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(c.run.ResponseTimeout, func() { cancel(context.DeadlineExceeded) })
	defer silence.Stop()
	resp, err := c.Do(ofStream, c.request(j))
	q.End = time.Now()
	if err != nil {
		if ctx.Err() != nil { // our own end; nobody is told of it
			q.Outcome = record.OK
			return false
		}
		return lostOnH2(err, false, q)
	}
	defer resp.Body.Close() //nolint:errcheck // always nil
	c.head(resp, q)
	answer := &http.Response{StatusCode: resp.Status, Header: resp.Header}
	if resp.Status != http.StatusOK || mediaType(answer) != "text/event-stream" {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxResponse)) // as much as there is
		q.End, q.Outcome, q.Detail = time.Now(), record.UnexpectedStatus, j.describe(answer, body)
		if resp.Status == http.StatusOK {
			q.Outcome = record.WrongBody
			q.Detail = fmt.Sprintf("its type is %q, not text/event-stream: %s", resp.Header.Get("Content-Type"), excerpt(body))
		}
		return false
	}
	idle := c.run.StreamIdleTimeout
	source, goodbye := sse.NewReader(resp.Body), false
	for err == nil {
		var name string
		switch {
		case goodbye: // it has as long as it had to begin
		case idle > 0:
			silence.Reset(idle)
		default:
			silence.Stop()
		}
		if name, err = source.Next(); err != nil {
			break
		}
		q.Events++
		if name == c.run.Goodbye && !goodbye {
			goodbye = true
			silence.Reset(c.run.ResponseTimeout)
		}
	}
	q.End = time.Now()
	if goodbye || ctx.Err() != nil {
		q.Outcome = record.OK
		return false
	}
	q.Outcome = record.StreamBroken
	q.Detail = fmt.Sprintf("after %d events: %s", q.Events, howItEnded(err, idle))
	return false
}
