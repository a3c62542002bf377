// Package conn has the sockets of a server. It accepts connections, reads from them,
// writes to them, and closes them without losing a request. It knows how HTTP/1.1 frames
// messages, and nothing about what a request means.
//
// A [Listener] accepts connections up to a limit, and tells those beyond it that there is
// no room. Each [Conn] is a net.Conn for an HTTP server that reads requests through a
// bufio.Reader and writes each response through a bufio.Writer, as fasthttp does. The
// server calls three methods:
//
//	c.Begin()           the first byte of a request has been read
//	c.Answered(...)     its response is made
//	c.End()             its response is written
//
// From these calls the connection knows whether it is idle, and which of the bytes that
// were read belong to requests that have not been answered. So it can decide what the
// server can't:
//
//   - whether a response may announce the end of the connection, or another request has
//     arrived already (ahead.go);
//   - whether an idle connection may be closed: only if a last read has found nothing in the
//     socket or the TLS layer (read.go, tls.go);
//   - when a client's time is over, with a system call now and then instead of three for
//     each request (deadline.go);
//   - which responses are sent together (write_batch.go);
//   - which connections need no buffers, since nothing happens on them (idle_set.go).
//
// On Linux without TLS, event loops have the connections between requests, and an [Answer]
// answers what it can without the server (loop_linux.go, loop_accept_linux.go,
// loop_conn_linux.go).
//
// [Listener.Drain] ends all connections: drain.go has the order. How the listening socket
// is closed without a reset for a client in its queue is in shut, in listener.go.
package conn
