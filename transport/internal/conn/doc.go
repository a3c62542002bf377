// Package conn holds the sockets of a server: it accepts connections, reads from them,
// writes to them, and closes them without losing a request. It knows how HTTP/1.1 is
// framed, and nothing of what a request means.
//
// A [Listener] accepts up to a limit; whoever comes beyond it is told so. Each [Conn] is a
// net.Conn, for an HTTP server that reads requests from a bufio.Reader and writes each
// response through a bufio.Writer, as fasthttp does. The server tells it three things:
//
//	c.Begin()           the first byte of a request is there
//	c.Answered(...)     its response is made
//	c.End()             its response is written
//
// From these the connection knows whether it is idle, and how much of what was read belongs
// to requests that are still to be answered. So it can decide what the server can't:
//
//   - whether a response may announce the end of the connection, or a request is behind it
//     already (ahead.go);
//   - whether an idle connection may be closed: only after a readable check has found
//     nothing in the socket and in the TLS layer (read.go, tls.go);
//   - when a client has had its time, with a system call now and then instead of three for
//     each request (deadline.go);
//   - which responses leave together (write_batch.go);
//   - which connections need no memory, since nothing happens on them (idle_set.go).
//
// [Listener.Drain] ends them all: drain.go has the order, shut in listener.go how the
// listening socket is closed without a reset for a client that is in its queue.
package conn
