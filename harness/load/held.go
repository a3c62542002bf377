package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load/websocket"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// askEvery is the time between two messages on a held WebSocket connection.
const askEvery = 500 * time.Millisecond

// defaultCloseCodes are the codes that tell a client to come back elsewhere: going away
// (RFC 6455, section 7.4.1) and service restart (the registry of IANA).
var defaultCloseCodes = []int{1001, 1012}

// websockets sends the load of a class over WebSocket.
func (r *run) websockets(ctx context.Context, client Client, ch *choice, t *tally) {
	if client.Class == record.Stream {
		r.hold(ctx, client.Connections, func(q *record.Request) {
			if c := r.openWebSocket(ctx, ch.next(), q, t); c != nil {
				r.keepAsking(ctx, c, q)
				c.Close()
			}
			r.report(q, t, nil)
		})
		return
	}
	r.each(ctx, client, t, func(_ int, due time.Time) {
		m := ch.next()
		q := &record.Request{Class: client.Class, Protocol: r.Protocol, Due: due, Sent: time.Now()}
		t.late.Add(q.Sent.Sub(due))
		if c := r.openWebSocket(ctx, m, q, t); c != nil {
			r.askOnce(c, q)
			c.Close()
		}
		r.report(q, t, nil)
	})
}

// openWebSocket opens a connection. If it fails, q has the outcome.
func (r *run) openWebSocket(ctx context.Context, m *message, q *record.Request, t *tally) *websocket.Conn {
	q.Method, q.Path = m.Method, m.Path
	conn := r.dialConn(ctx, q, t)
	if conn == nil {
		return nil
	}
	local := conn.LocalAddr().String()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.ResponseTimeout)
	defer cancel()
	c, err := websocket.Open(ctx, conn, &websocket.Request{Host: r.Host, Path: m.Path, Header: m.given, Message: m.Body})
	if err == nil {
		q.Status = http.StatusSwitchingProtocols
		r.recognise(c.Header.Get)
		if r.PodHeader != "" {
			q.Pod = c.Header.Get(r.PodHeader)
		}
		return c
	}
	q.End, q.Detail, q.Local = time.Now(), err.Error(), local
	var refused *websocket.HandshakeError
	switch {
	case errors.As(err, &refused):
		body, _ := io.ReadAll(io.LimitReader(refused.Response.Body, shown)) // as much as there is
		q.Status, q.Outcome = refused.Response.StatusCode, record.UnexpectedStatus
		r.recognise(refused.Response.Header.Get)
		q.Detail += ": " + excerpt(body)
		if r.PodHeader != "" {
			q.Pod = refused.Response.Header.Get(r.PodHeader)
		}
	case isOfConnection(err):
		q.Outcome = lostOutcome(err, err, false)
	default:
		q.Outcome = record.Malformed
	}
	return nil
}

// askOnce sends a message and waits for the reply.
func (r *run) askOnce(c *websocket.Conn, q *record.Request) {
	end, err := c.Ask(r.ResponseTimeout)
	q.End, q.Outcome = time.Now(), record.OK
	switch {
	case err != nil:
		q.Outcome, q.Detail = record.ResponseTimeout, err.Error()
	case end != nil:
		q.Outcome, q.Detail = record.EOFMid, "before the reply: "+end.Err.Error()
		if isReset(end.Err) {
			q.Outcome = record.ResetMid
		}
	default:
		q.Events = 1
	}
	if q.Failed() {
		q.Local = c.LocalAddr().String()
	}
}

// keepAsking sends messages and waits for their replies, until the connection or ctx
// ends. A server that says goodbye need not answer what was on its way.
func (r *run) keepAsking(ctx context.Context, c *websocket.Conn, q *record.Request) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	var end *websocket.End
	var err error
	for end == nil && err == nil {
		select {
		case <-ctx.Done():
			q.End, q.Outcome = time.Now(), record.OK
			return
		case <-c.Over():
			end = c.End()
			continue
		case <-pause.C:
		}
		if end, err = c.Ask(r.ResponseTimeout); end == nil && err == nil {
			q.Events++
		}
		pause.Reset(askEvery)
	}
	q.End = time.Now()
	if err == nil && slices.Contains(r.CloseCodes, end.Code) {
		q.Outcome = record.OK
		return
	}
	q.Outcome, q.Local = record.StreamBroken, c.LocalAddr().String()
	q.Detail = fmt.Sprintf("after %d replies: %s", q.Events, r.brokenBy(end, err))
}

// brokenBy describes the end of a held connection.
func (r *run) brokenBy(end *websocket.End, err error) string {
	switch {
	case err != nil:
		return fmt.Sprintf("%v within %v", err, r.ResponseTimeout)
	case end.Code == websocket.Abnormal:
		return fmt.Sprintf("closed without a close frame (1006): %v", end.Err)
	case end.Code == 1005:
		return fmt.Sprintf("closed without a code (1005), which says that all is done; of %v, each tells clients to come back", r.CloseCodes)
	}
	return fmt.Sprintf("closed with %d; of %v, each tells clients to come back", end.Code, r.CloseCodes)
}
