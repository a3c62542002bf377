package record

import (
	"strings"
	"time"
)

// Class is a kind of client. A rolling update loses the requests of each in a different
// way.
type Class string

const (
	// Pooled keeps its connections, and sends one request after the other on each. Before
	// it sends, it looks whether the server's close has arrived, and takes another
	// connection then, as the clients of Go, undici, nginx, HAProxy and Envoy do. It still
	// loses a request that crosses the close on the way.
	Pooled Class = "pooled"
	// Blind keeps its connections, too, but does not look before it sends.
	Blind Class = "blind"
	// New opens a connection for each request.
	New Class = "new"
	// Slow takes seconds for each request, so that some are in flight whenever a pod is
	// told to stop.
	Slow Class = "slow"
	// Stream holds server-sent event streams open.
	Stream Class = "stream"
)

// Classes are all client classes, in the order in which reports show them.
var Classes = []Class{Pooled, Blind, New, Slow, Stream}

// Protocol is what a client speaks.
type Protocol string

const (
	HTTP1     Protocol = "http/1.1" // the raw wire, without TLS or with it
	HTTP2     Protocol = "h2"       // with TLS, or with prior knowledge without it (h2c)
	GRPC      Protocol = "grpc"
	WebSocket Protocol = "websocket"
)

// Protocols are all protocols.
var Protocols = []Protocol{HTTP1, HTTP2, GRPC, WebSocket}

// Outcome says whether a request succeeded, or how it was lost.
type Outcome string

const (
	OK               Outcome = "ok"
	Refused          Outcome = "connection refused"
	DialTimeout      Outcome = "dial timeout"
	DialFailed       Outcome = "dial failed"           // for any other reason
	ResetBefore      Outcome = "reset before response" // RST before the first byte of the response
	EOFBefore        Outcome = "EOF before response"   // closed before the first byte of the response
	ResetMid         Outcome = "reset mid-response"
	EOFMid           Outcome = "EOF mid-response" // the response was incomplete
	ResponseTimeout  Outcome = "response timeout"
	UnexpectedStatus Outcome = "unexpected status"
	WrongBody        Outcome = "wrong body"                        // of a response with the right status
	NotProblem       Outcome = "error body is no problem document" // RFC 9457
	StreamBroken     Outcome = "stream broken without goodbye"
	Malformed        Outcome = "malformed response" // not of the protocol
	// StreamReset: the server ended the request by RST_STREAM (HTTP/2, gRPC).
	StreamReset Outcome = "stream reset"
	// NotProcessed: the server said again and again, each time on another connection, that
	// it did not process the request (GOAWAY, REFUSED_STREAM).
	NotProcessed Outcome = "not processed"
)

// Failures are all outcomes but OK, in the order in which reports show them.
var Failures = []Outcome{
	Refused, DialTimeout, DialFailed, ResetBefore, EOFBefore, ResetMid, EOFMid, ResponseTimeout,
	UnexpectedStatus, WrongBody, NotProblem, StreamBroken, Malformed, StreamReset, NotProcessed,
}

// Request is one request and its outcome. No request is sent again: a retry would hide
// what is measured. The exception is one of which the server has said that it did not
// process it (see Again). An event stream is one request, from its start to its end.
type Request struct {
	Class Class `json:"class"`
	// Protocol is what the client spoke.
	Protocol Protocol  `json:"protocol,omitempty"`
	Outcome  Outcome   `json:"outcome"`
	Due      time.Time `json:"due"`  // when the constant rate required it
	Sent     time.Time `json:"sent"` // when its first byte was written, or the dial began
	End      time.Time `json:"end"`

	Method string `json:"method"`
	Path   string `json:"path"`
	Status int    `json:"status,omitempty"` // 0: no response

	// Pod is the pod that the request was sent to, as far as it is known; PodBy says by
	// what. Inferred says that it is a conclusion, not what was seen.
	Pod      string    `json:"pod,omitempty"`
	PodBy    PodSource `json:"podBy,omitempty"`
	Inferred bool      `json:"inferred,omitempty"`
	// NodeRefused says that the client's node refused the connection, and sent it to no pod.
	NodeRefused bool `json:"nodeRefused,omitempty"`
	// Suspects are the pods that may have lost the request, if Pod is not known.
	Suspects []string `json:"suspects,omitempty"`

	// Side says, if a proxy is in the path, on which side of it the request was lost, and
	// SideBy what that rests on. Via is the proxy's pod to which it was sent, as far as it
	// is known.
	Side   Side   `json:"side,omitempty"`
	SideBy string `json:"sideBy,omitempty"`
	Hop    Hop    `json:"hop,omitempty"`
	Via    string `json:"via,omitempty"`

	ConnectionAge time.Duration `json:"connectionAgeNs,omitempty"` // when the request was sent
	// ConnectionUse is the number of earlier requests on the connection.
	ConnectionUse int `json:"connectionUse,omitempty"`
	// SentAfterClose says that the server's close had arrived before the request was
	// written. A client that checks first would not have lost it.
	SentAfterClose bool `json:"sentAfterClose,omitempty"`
	// Again is how often the request was sent again, on another connection, since the
	// server had said that it did not process it, by a GOAWAY with a lower last stream or
	// by REFUSED_STREAM (RFC 9113, section 8.7).
	Again int `json:"again,omitempty"`
	// CloseAnnounced says that the response announced Connection: close.
	CloseAnnounced bool `json:"closeAnnounced,omitempty"`

	Events int    `json:"events,omitempty"` // of a stream
	Detail string `json:"detail,omitempty"` // cause of a failure
	// Local is the client's address, if the request failed or no response names its pod.
	Local string `json:"local,omitempty"`
}

// Side is where a request was lost that went through a proxy.
type Side string

const (
	// AtProxy: the proxy lost it: between the client and the proxy, or by a choice of the
	// proxy that no pod could help.
	AtProxy Side = "the proxy"
	// AtPod: the pod did not answer the proxy, or not as it should.
	AtPod Side = "the pod"
	// AtEither: what was seen fits both.
	AtEither Side = "the proxy or the pod"
)

// Hop is what became of the proxy's own connection to a pod, as far as its node tells.
type Hop string

const (
	HopRefused      Hop = "refused"
	HopUnanswered   Hop = "not answered"
	HopReset        Hop = "reset"
	HopClosed       Hop = "closed"        // as the request came, or while it was in flight
	HopClosedBefore Hop = "closed before" // and the proxy sent on it all the same
	HopStale        Hop = "stale"         // the proxy itself chose a pod that had left the endpoints long before
	HopNone         Hop = "none"          // it tried no pod
)

// PodSource says how the pod of a request is known.
type PodSource string

const (
	ByHeader     PodSource = ""           // the response's header names it
	ByConnection PodSource = "connection" // the responses before on the connection name it
	// ByTracking: the connection tracking of the client's node says where it has sent the
	// connection.
	ByTracking PodSource = "tracking"
	// ByElimination: it is the only pod that can have lost the request.
	ByElimination PodSource = "elimination"
)

// Whose says for a reader which pod the request was sent to.
func (r *Request) Whose() string {
	switch {
	case r.Side == AtProxy && r.Via != "":
		return "the proxy " + r.Via
	case r.Side == AtProxy:
		return "the proxy"
	case r.Side == AtEither:
		return "the proxy or a pod"
	case r.Pod == "" && len(r.Suspects) == 0:
		return "a pod unknown"
	case r.Pod == "" && len(r.Suspects) == 1:
		return "perhaps " + r.Suspects[0]
	case r.Pod == "":
		return "one of " + strings.Join(r.Suspects, ", ")
	case r.PodBy == ByConnection:
		return r.Pod + " (by earlier responses on its connection)"
	case r.PodBy == ByTracking:
		return r.Pod + " (by the node's connection tracking)"
	case r.PodBy == ByElimination:
		return r.Pod + " (by elimination)"
	case r.Inferred:
		return r.Pod + " (inferred)"
	}
	return r.Pod
}

// Failed reports whether the request was lost.
func (r *Request) Failed() bool { return r.Outcome != OK }

// OnlyBlind reports whether the request was lost only since its client did not look: the
// server's close had arrived before the request was sent. Any other loss would have met
// any client.
func (r *Request) OnlyBlind() bool {
	return r.SentAfterClose && (r.Outcome == EOFBefore || r.Outcome == ResetBefore)
}

// Latency returns the time since the request was due, so that a stall shows in all the
// requests that it delayed.
func (r *Request) Latency() time.Duration { return r.End.Sub(r.Due) }
