package api

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service/snapshot"
	"kubernaut.io/dynamic-toolset/transport/internal/conn"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

// presenceInterval is how often a quiet stream checks that its client is still there.
// Otherwise a client that has gone would keep its place until the next heartbeat.
const presenceInterval = time.Second

// HeartbeatInterval is how often a quiet stream sends a comment, so that proxies keep it
// open and a client that has gone is noticed.
const HeartbeatInterval = 15 * time.Second

// Watch streams the changes of the toolsets as server-sent events (WHATWG HTML, section
// 9.2): one "snapshot" event with the list, then a "change" event for each change. A
// client that reconnects with Last-Event-ID gets the changes that it missed instead of
// the snapshot, if this process still has them. When the server drains, the stream ends
// with a "goodbye" event.
func (a *API) Watch(ctx *fasthttp.RequestCtx) {
	snap := a.snapshot(ctx)
	if snap == nil {
		return
	}
	h := &ctx.Response.Header
	if a.maxWatchers < 0 {
		reply.RetryAfter(ctx, "3600") // trying again helps only after a change of the settings
		a.problem(ctx, problem.Unavailable, "Event streams are switched off here (--max-watchers=0); poll /api/v1/toolsets with If-None-Match.")
		return
	}
	if !ctx.IsHead() {
		if n := a.watchers.Add(1); n > int64(a.maxWatchers) {
			a.watchers.Add(-1)
			reply.RetryAfter(ctx, "5")
			a.problem(ctx, problem.Unavailable, fmt.Sprintf("The service has reached its limit of %d event streams; try again later, or poll with If-None-Match.", a.maxWatchers))
			return
		}
	}
	h.SetContentType("text/event-stream")
	h.SetBytesK(headerCache, "no-store")
	h.Set("X-Accel-Buffering", "no") // else nginx would hold events back
	if w := a.status.Load().warning; w != nil {
		h.SetCanonical(headerWarning, w)
	}
	// A stream is the last response on its connection.
	ctx.SetConnectionClose()
	if ctx.IsHead() {
		return
	}
	st := &stream{api: a, conn: ctx.Conn(), snap: snap, right: a.streamRight(ctx)}
	if id := ctx.Request.Header.Peek("Last-Event-ID"); len(id) > 0 && len(id) <= reply.MaxRequestID {
		st.sequence, st.resumed = snap.ParseEventID(string(id))
	}
	// The server would set one deadline for the whole stream. Each event gets its own
	// instead.
	if err := ctx.SetWriteDeadline(time.Now().Add(a.writeTimeout)); err != nil {
		a.watchers.Add(-1)
		return
	}
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer a.watchers.Add(-1)
		st.run(w)
	})
}

// A stream is the event stream of one client.
type stream struct {
	api      *API
	conn     net.Conn
	snap     *snapshot.Snapshot
	sequence uint64 // of the last change sent
	resumed  bool   // sequence is from the client's Last-Event-ID
	right    Right  // to continue; nil if streams need no right
}

func (st *stream) run(w *bufio.Writer) {
	if !st.extend() {
		return
	}
	if !st.resumed || !st.missed(w) {
		st.whole(w)
	}
	heartbeat := time.NewTicker(HeartbeatInterval)
	defer heartbeat.Stop()
	presence := time.NewTicker(presenceInterval)
	defer presence.Stop()
	var old *time.Timer        // fires when the right must be checked again
	var isOld <-chan time.Time // nil, which never fires, if there is no right to check
	if st.right != nil {
		old = time.NewTimer(0)
		defer old.Stop()
		isOld = old.C
	}
	for {
		if !st.flush(w) {
			return
		}
		select {
		case <-st.snap.Superseded():
			st.snap = st.api.catalogue.Snapshot()
			if !st.extend() { // more may be written than fits into the buffer
				return
			}
			if !st.missed(w) {
				st.whole(w)
			}
		case <-presence.C:
			if conn.HungUp(st.conn) {
				return
			}
		case <-heartbeat.C:
			w.WriteString(": still here\n\n") //nolint:errcheck // flush reports the error
		case <-isOld:
			again, reason := st.right.Extend()
			if reason != "" {
				st.goodbye(w, reason)
				return
			}
			old.Reset(again)
		case <-st.api.goodbye:
			st.goodbye(w, "the server is shutting down; reconnect")
			return
		}
	}
}

// goodbye ends the stream. reason must be text that needs no escaping in JSON.
func (st *stream) goodbye(w *bufio.Writer, reason string) {
	writeEvent(w, "goodbye", st.snap.EventID(st.sequence), []byte(`{"reason":"`+reason+`"}`))
	st.flush(w)
}

// missed writes the changes after the last one that was sent. It returns false if some of
// them are gone.
func (st *stream) missed(w *bufio.Writer) bool {
	changes, first, ok := st.snap.ChangesSince(st.sequence)
	if !ok {
		return false
	}
	for i, c := range changes {
		writeEvent(w, "change", st.snap.EventID(first+uint64(i)), c.Data) // #nosec G115 -- an index
	}
	st.sequence = st.snap.Sequence()
	return true
}

func (st *stream) whole(w *bufio.Writer) {
	// The list may be large. It is on one line, and is written from where it is.
	fmt.Fprintf(w, "event: snapshot\nid: %s\ndata: ", st.snap.EventID(st.snap.Sequence())) //nolint:errcheck // flush tells
	var list snapshot.Stream
	list.Reset(st.snap.Toolsets().Answer, false)
	list.WriteTo(w)       //nolint:errcheck
	w.WriteString("\n\n") //nolint:errcheck
	st.sequence = st.snap.Sequence()
}

// flush sends what was written, within the time for one event.
func (st *stream) flush(w *bufio.Writer) bool { return st.extend() && w.Flush() == nil }

// extend gives whatever is written next the time for one event.
func (st *stream) extend() bool {
	return st.conn.SetWriteDeadline(time.Now().Add(st.api.writeTimeout)) == nil
}

// writeEvent writes one event. data is JSON on one line; each further line would need its
// own "data:".
func writeEvent(w *bufio.Writer, event, id string, data []byte) {
	fmt.Fprintf(w, "event: %s\nid: %s\n", event, id) //nolint:errcheck // flush tells
	for line := range bytes.Lines(data) {
		w.WriteString("data: ") //nolint:errcheck
		w.Write(line)           //nolint:errcheck
	}
	w.WriteString("\n\n") //nolint:errcheck
}
