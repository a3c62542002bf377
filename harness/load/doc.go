// Package load sends HTTP traffic at a constant rate and records the outcome of every
// request. It shows whether a rolling update loses any.
//
//	summary, err := load.Run(ctx, load.Config{
//		Address: "10.96.0.20:80",
//		Clients: []load.Client{{Class: record.Pooled, Rate: 320}, {Class: record.New, Rate: 150}},
//		Targets: []load.Target{{Path: "/api/v1/toolsets", ExpectJSON: true}},
//	}, func(r record.Request) { ... })
//
// # What makes it honest
//
// The load is open: the clock alone decides when a request is due, whatever the server
// does, and latency counts from then. If a server stalls for half a second, this shows in
// every request that was due in that time. A client that waits for each answer before it
// sends the next request would show it in one.
//
// No request is sent twice. The clients of net/http and fasthttp repeat a request by
// themselves if a kept connection turns out to be closed, and so hide exactly the
// mistakes of a rolling update. So this package writes HTTP/1.1 to a [net.Conn] itself,
// and takes only the parser of responses from net/http.
//
// Nothing is left out in silence. Requests that could not be sent, since too many were
// waiting, are counted as skipped. If the generator itself fails, for want of file
// descriptors or ports, the run ends in an error and there is no verdict.
//
// # The client classes
//
// Pooled clients keep their connections and use them in turn, for one request at a time.
// Before they send, they look whether the server has closed the connection, and dial again
// then, as the clients of Go, undici, nginx, HAProxy and Envoy do. None can be sure: a
// request may cross the close on the way, and is lost then. They also dial again after a
// failure, or after a response that announced the close.
//
// Blind clients do the same, but do not look, as many clients. The record says of each
// request whether the close had already arrived when it was sent: that one was lost only
// since its client did not look.
//
// New clients dial for each request. Half of them ask for Connection: close, the others
// close after the response.
//
// Slow clients take seconds for each request, evenly spread from one second to a maximum,
// so that some are in flight at any moment. They upload the body in pieces, or use a path
// that the server answers slowly. Half use a kept connection, at which they look first, half a new one.
//
// Stream clients hold server-sent event streams open. A stream that ends after the event
// "goodbye", or whose response is complete, ended well, and is opened again at once. Any
// other end is a broken stream.
//
// A node remembers for two minutes to which pod it has sent a connection. So source ports
// can be made to rest for as long (Config.PortRest).
//
// # Protocols
//
// HTTP/1.1 is written on the raw wire, with TLS below it if need be (package https). The
// other protocols are in packages of their own, which make no connection and send nothing
// twice: h2 (HTTP/2), rpc (gRPC) and websocket.
//
// Over HTTP/2 and gRPC a connection carries several requests at a time, and the client
// always reads, so that it knows of a close before it sends. A request that the server
// says it did not process, by GOAWAY or REFUSED_STREAM, is sent again on a new connection
// as RFC 9113 allows, at most 5 times, and its record counts that (record.Request.Again).
// A request on a connection that ends otherwise is lost.
//
// WebSocket has two classes. New clients connect, send one message or ping, wait for the
// reply, and close. Stream clients hold connections, and do the same twice a second. A held
// connection ended well if the server closed it with 1001 or 1012, and a message that was
// on its way then counts as not lost: unlike GOAWAY, the close does not say what was read.
//
// # Where it runs
//
// It runs in a pod, so that its packets take the same way as the cluster's own traffic.
// Package agentpod starts that pod. The program in it is harness/cmd/loadagent, which can
// also send a load by hand. Package agent has its protocol, for both ends. Package relay
// makes connections in the pod for a harness outside.
//
// # What it cannot see
//
// A response with neither Content-Length nor chunks ends with its connection. If it was
// cut short it looks complete, unless it has to be JSON. A fault of a middlebox looks like
// one of the server.
package load
