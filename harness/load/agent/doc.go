// Package agent runs a load inside a pod for a harness outside.
//
// The best client of a Service is a pod of the cluster, since its packets take the same
// way as the cluster's own traffic. So the load generator runs in a pod, as an [Agent].
// This is an HTTP/1.1 server that the harness drives through any way into the cluster, in
// the form of a dial function:
//
//	session, err := agent.Start(ctx, dial, "10.244.1.7:9000", config, emit)
//	...
//	summary, err := session.Stop(ctx)
//
// # The protocol
//
// POST /run takes a [load.Config] as JSON. The response is lines of JSON: each request
// within 100 ms of its end, and as the last line {"summary": ...} or {"error": "a
// sentence"}. An empty line each second shows that the agent is alive. While a load runs,
// another POST /run gets 409. POST /stop ends the schedule; the response of the run then
// has what was in flight, and the summary. If its connection breaks, the load stops, too.
// GET /healthz gets 200.
//
// There must not be a verdict on half a run. So a [Session] ends in an error if the last
// line does not come, or comes before the stop, if the summary has another number of
// requests, or if the harness was too slow to take them.
package agent
