// Package h2 is a client's end of one HTTP/2 connection (RFC 9113), which says of each
// request what became of it.
//
//	c := h2.New(conn)
//	defer c.Close()
//	resp, err := c.Do(ctx, &h2.Request{Method: "GET", Scheme: "http", Authority: "a", Path: "/"})
//	... io.ReadAll(resp.Body) ...
//
// It uses the framer of golang.org/x/net/http2. The transport of net/http can't be used:
// it sends a request again by itself, does not tell if it did, and does not tell a
// connection that was closed from one that said GOAWAY before.
//
// # What became of a request
//
// The server may say that it did not process a request, and will not: by GOAWAY with a
// last stream identifier below that of the request, or by RST_STREAM with REFUSED_STREAM
// (RFC 9113, sections 6.8 and 8.7). The error is [ErrUnprocessed] then, and a client may
// send the request again on another connection. This package never does that by itself.
//
// After GOAWAY the connection takes no more requests ([Conn.Usable]), but those that the
// server has promised to process go on. If the connection ends before they are answered,
// they are lost, as is any request on a connection that ends without GOAWAY. The error is
// a [*LostError].
//
// # Limits
//
// There is no server push, no priority and no dynamic table for what is sent. A client
// whose connection was closed while it was idle notices, since it always reads: so no
// request is sent after a close that has arrived.
package h2
