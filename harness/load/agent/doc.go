// Package agent runs a load inside a pod on behalf of a harness outside.
//
// The most faithful client of a Service is a pod of the cluster: its packets take
// the way that the cluster's own traffic takes. So the load generator runs in a
// pod, as an [Agent], an HTTP/1.1 server that the harness drives through whatever
// way into the cluster it has, any dial function:
//
//	session, err := agent.Start(ctx, dial, "10.244.1.7:9000", config, emit)
//	...
//	summary, err := session.Stop(ctx)
//
// # The protocol
//
// POST /run takes a [load.Config] as JSON and answers with lines of JSON: each
// request as it ends, within 100 ms, and as the last line {"summary": ...} or
// {"error": "a sentence"}. An empty line each second says that the agent lives.
// One run at a time: 409 otherwise. POST /stop ends the schedule; the run's
// response then brings what was in flight, and the summary. When the response's
// connection breaks, the load stops too. GET /healthz answers 200.
//
// A verdict must not be made of half a run. The session therefore ends in an
// error when the last line does not come, when it comes unasked, when the number
// of requests is not the one that the agent says, and when the harness was too
// slow to take them.
package agent
