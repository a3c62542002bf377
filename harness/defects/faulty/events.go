package main

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// heartbeat is the time between two comments on a stream.
const heartbeat = time.Second

// events streams server-sent events (WHATWG HTML, section 9.2): a snapshot at once, a
// comment each second, and a goodbye when the server drains. A stream is the last
// response on its connection.
func (c *conn) events(req *http.Request) {
	c.last = true
	c.start(req, http.StatusOK, "text/event-stream", unknownLength)
	if c.headOnly {
		return
	}
	st := stream{conn: c, chunked: req.ProtoAtLeast(1, 1)}
	if !st.send("event: snapshot\ndata: {\"toolsets\":[\"example\"]}\n\n") {
		return
	}
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if !st.send(": still here\n\n") {
				return
			}
		case <-c.server.goodbye:
			if st.send("event: goodbye\ndata: {\"reason\":\"the server is shutting down; reconnect\"}\n\n") {
				st.end()
			}
			return
		case <-c.gone:
			return
		}
	}
}

// A stream is a body of unknown length.
type stream struct {
	conn    *conn
	chunked bool
}

// send sends one part at once, and reports whether that succeeded.
func (st stream) send(text string) bool {
	if st.chunked {
		text = fmt.Sprintf("%x\r\n%s\r\n", len(text), text)
	}
	io.WriteString(st.conn.writer, text) //nolint:errcheck // flush returns the error
	return st.conn.flush() == nil
}

// end writes the end of the body, without which a client takes it for incomplete.
func (st stream) end() {
	if st.chunked {
		io.WriteString(st.conn.writer, "0\r\n\r\n") //nolint:errcheck // flush returns the error
	}
}
