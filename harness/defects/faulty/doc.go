// Command faulty is a small HTTP server for a pod, with one planted defect.
//
// A verifier of rolling updates is worth what it catches. It is run against
// this server: without a defect nothing may be reported, with a defect that
// defect must be. Everything but the planted defect is right, so that a
// verifier can't find it by something else that is wrong beside it; where a
// defect can't be had without a second symptom, [defects] says so.
//
// # What right means
//
// No request is lost while the pod is stopped, not even one of a client that
// sends on a kept connection without looking whether it was closed, as long as
// it uses each connection about once a second. After SIGTERM:
//
//   - readiness answers 503, liveness 200 to the end, and every response says
//     "Connection: close", unless the client has already sent another request;
//   - for the propagation delay everything is answered as ever;
//   - then event streams say goodbye, the listener is closed without resetting
//     anyone (listener.go), requests in flight end, and a connection that was
//     never told to close is closed only when it has been silent for long and a
//     last readable check finds nothing on it (conn.go);
//   - the process exits with 0.
//
// Package net/http can't do this: its Shutdown closes idle connections at once,
// and it hides whether a client has sent more than the request at hand. So the
// HTTP/1.1 loop is ours (conn.go, response.go); it reads requests with net/http's
// parser.
//
// # Where the defects are
//
// The stop and nearly all defects are in shutdown.go, as deviations from the
// right sequence. The rest of the server does not know of them: it asks a few
// switches that the sequence sets.
package main
