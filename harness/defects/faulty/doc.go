// Command faulty is a small HTTP server for a pod, with one planted defect.
//
// It is for testing a verifier of rolling updates, which must report each defect, and
// nothing if there is none. Everything but the planted defect is correct, so that a
// verifier can't find it by some other mistake. Where a defect can't be without a second
// symptom, [defects] says so.
//
// # What correct means
//
// No request is lost when the pod is stopped. This includes clients that send on a kept
// connection without checking whether it was closed, if they use each connection about
// once a second. After SIGTERM:
//
//   - readiness answers 503, liveness 200 to the end, and every response says
//     "Connection: close", unless the client has already sent another request;
//   - for the propagation delay, all requests are answered as before;
//   - then event streams say goodbye, the listener is closed without resetting anyone
//     (listener.go), and requests in flight are finished. A connection that was never told
//     to close is closed only when it has been silent for long, and a last readable check
//     finds nothing on it (conn.go);
//   - the process exits with 0.
//
// Package net/http can't do this: its Shutdown closes idle connections at once, and it
// hides whether a client has sent more than the current request. So this server has its
// own HTTP/1.1 loop (conn.go, response.go), with the request parser of net/http.
//
// # Where the defects are
//
// The shutdown and nearly all defects are in shutdown.go, as deviations from the correct
// sequence. The rest of the server reads a few switches that the sequence sets.
package main
