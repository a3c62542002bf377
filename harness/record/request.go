package record

import "time"

// Class is a kind of client. Rolling updates lose requests in different ways
// for each.
type Class string

const (
	// Reused keeps its connections and sends one request after the other on
	// them. Like many clients it doesn't look, before it sends, whether the
	// server has closed the connection meanwhile.
	Reused Class = "reused"
	// New opens a connection for each request.
	New Class = "new"
	// Slow takes seconds for each request, so that some are in flight whenever a
	// pod is told to stop.
	Slow Class = "slow"
	// Stream holds server-sent event streams open.
	Stream Class = "stream"
)

// Classes are all client classes, in the order in which they are shown.
var Classes = []Class{Reused, New, Slow, Stream}

// Outcome is the fate of a request: OK, or how it was lost.
type Outcome string

const (
	OK               Outcome = "ok"
	Refused          Outcome = "connection refused"
	DialTimeout      Outcome = "dial timeout"
	DialFailed       Outcome = "dial failed"           // other than the two above
	ResetBefore      Outcome = "reset before response" // RST before the first byte of the response
	EOFBefore        Outcome = "EOF before response"   // closed before the first byte of the response
	ResetMid         Outcome = "reset mid-response"
	EOFMid           Outcome = "EOF mid-response" // the response was cut short
	ResponseTimeout  Outcome = "response timeout"
	UnexpectedStatus Outcome = "unexpected status"
	WrongBody        Outcome = "wrong body"                        // of a response with the right status
	NotProblem       Outcome = "error body is no problem document" // RFC 9457
	StreamBroken     Outcome = "stream broken without goodbye"
	Malformed        Outcome = "malformed response" // not HTTP/1.1
)

// Failures are all outcomes but OK, in the order in which they are shown.
var Failures = []Outcome{
	Refused, DialTimeout, DialFailed, ResetBefore, EOFBefore, ResetMid, EOFMid, ResponseTimeout,
	UnexpectedStatus, WrongBody, NotProblem, StreamBroken, Malformed,
}

// Request is one request and its fate. Nothing was tried again: a retry would
// hide what is measured. An event stream counts as one request, from its
// opening to its end.
type Request struct {
	Class   Class     `json:"class"`
	Outcome Outcome   `json:"outcome"`
	Due     time.Time `json:"due"`  // when the constant rate wanted it sent
	Sent    time.Time `json:"sent"` // when its first byte was written, or dialling began
	End     time.Time `json:"end"`

	Method string `json:"method"`
	Path   string `json:"path"`
	Status int    `json:"status,omitempty"` // 0: no response

	// Pod is the one that answered, by the response's header. Where there was no
	// response it is the one that answered before on the same connection, and
	// Inferred is set.
	Pod      string `json:"pod,omitempty"`
	Inferred bool   `json:"inferred,omitempty"`

	ConnectionAge time.Duration `json:"connectionAgeNs,omitempty"` // when it was sent
	// ConnectionUse is how many requests the connection had carried before.
	ConnectionUse int `json:"connectionUse,omitempty"`
	// SentAfterClose says that the server's close had already arrived when the
	// request was written: a client that looks first would have been spared.
	SentAfterClose bool `json:"sentAfterClose,omitempty"`
	// CloseAnnounced says that the response announced Connection: close.
	CloseAnnounced bool `json:"closeAnnounced,omitempty"`

	Events int    `json:"events,omitempty"` // of a stream
	Detail string `json:"detail,omitempty"` // the cause, of a failure
	Local  string `json:"local,omitempty"`  // the client's address, of a failure
}

// Failed says whether the request was lost.
func (r *Request) Failed() bool { return r.Outcome != OK }

// Latency is counted from the time at which the request was due, so that a
// stall is seen in all the requests that it delayed.
func (r *Request) Latency() time.Duration { return r.End.Sub(r.Due) }
