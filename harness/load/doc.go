// Package load sends HTTP traffic at a constant rate and keeps the fate of every
// request, to answer whether a rolling update loses any.
//
//	summary, err := load.Run(ctx, load.Config{
//		Address: "10.96.0.20:80",
//		Clients: []load.Client{{Class: record.Reused, Rate: 320}, {Class: record.New, Rate: 150}},
//		Targets: []load.Target{{Path: "/api/v1/toolsets", ExpectJSON: true}},
//	}, func(r record.Request) { ... })
//
// # What makes it honest
//
// The load is open: when a request is due depends on the clock alone, never on
// how the server does, and its latency counts from then. A server that stalls
// for half a second is seen in every request that was due in that half second,
// where a client that waits for one answer before it asks again would see one.
//
// Nothing is tried again. The clients of net/http and fasthttp both repeat a
// request by themselves when a kept connection turns out to be dead, and so hide
// exactly what a rolling update does wrong; this package therefore speaks
// HTTP/1.1 over [net.Conn] itself and takes only the parser from net/http.
//
// Nothing is dropped in silence. What could not be sent, because too many
// requests were waiting, is counted as skipped, and a fault of the generator's
// own (no file descriptors, no ports) ends in an error and never in a verdict.
//
// # The client classes
//
// Reused clients keep their connections and use them in turn, one request at a
// time. They do not look, before they send, whether the server has closed the
// connection meanwhile: many clients don't, and none can be sure. The record
// says where the close had already arrived. A connection ends when a response
// announced it, or with a failure; the next request then dials anew.
//
// New clients dial for each request. Half of them ask for Connection: close, the
// other half hang up after the response.
//
// Slow clients take seconds for each request, evenly between one second and
// their longest, so that some are in flight at any moment: by uploading the body
// piece by piece, or by a path that the server itself answers slowly. Half use a
// kept connection, half a new one.
//
// Stream clients hold server-sent event streams open. A stream that ends after
// the event "goodbye" ended well and is opened again at once; any other end is a
// broken stream.
//
// # Where it runs
//
// In a pod of the cluster, whose packets take the way of the cluster's own. Package
// agentpod makes that pod; package agent is the program in it, which takes its orders
// from outside, and the other end of this conversation; package relay makes
// connections in the pod for whoever is outside. harness/cmd/loadagent is the
// program, and sends a load by hand, too.
//
// # What it cannot see
//
// A response with neither Content-Length nor chunks ends when the connection
// does, so one cut short looks complete, unless it has to be JSON. A fault of a
// middlebox looks like one of the server.
package load
