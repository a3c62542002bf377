package verify

import (
	"kubernaut.io/dynamic-toolset/harness/load"
	"kubernaut.io/dynamic-toolset/harness/load/https"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// A Message says what is sent to each of the paths, and what the right answers are.
type Message struct {
	Method string // empty: GET, or POST if there is a body
	Body   string
	// Statuses are the status codes that are right; none: any 2xx, and 304.
	Statuses []int
}

// target returns t with the message.
func (m *Message) target(t load.Target) load.Target {
	t.Method, t.Body = m.Method, m.Body
	if t.Method == "" && t.Body != "" {
		t.Method = "POST"
	}
	if len(m.Statuses) > 0 {
		t.ExpectStatus, t.AlsoExpect = m.Statuses[0], m.Statuses[1:]
	}
	return t
}

// A Protocol says how the target is spoken to.
type Protocol struct {
	Name record.Protocol // empty: HTTP/1.1
	TLS  *https.Settings // nil: without TLS
	// SlowBody is the JSON request of the slow gRPC method SlowPath, with {duration}.
	SlowBody string
	// Descriptors have the types of gRPC methods (a FileDescriptorSet); empty: the server
	// is asked by reflection.
	Descriptors []byte
	// CloseCodes are those of WebSocket that are a goodbye; empty: 1001 and 1012.
	CloseCodes []int
}

// set puts the protocol into a load.
func (p *Protocol) set(c *load.Config) {
	c.Protocol, c.TLS, c.Descriptors, c.CloseCodes = p.Name, p.TLS, p.Descriptors, p.CloseCodes
}

// slow returns the request of slow clients.
func (t *Traffic) slow() load.Target {
	target := load.Target{Classes: []record.Class{record.Slow}, Path: t.SlowPath}
	if t.Protocol.Name == record.GRPC {
		target.Method, target.Body = "POST", t.Protocol.SlowBody
	}
	return target
}

// validateProtocol finds mistakes in the protocol and the message, before anything is
// started.
func (t *Traffic) validateProtocol() []error {
	c := t.config("target:1", "target", false)
	if err := c.Validate(); err != nil {
		return []error{err}
	}
	return nil
}

// spoken describes what is spoken.
func (p *Protocol) spoken() string {
	names := map[record.Protocol]string{"": "HTTP/1.1", record.HTTP1: "HTTP/1.1", record.HTTP2: "HTTP/2", record.GRPC: "gRPC", record.WebSocket: "WebSocket"}
	if p.TLS != nil {
		return names[p.Name] + " with TLS"
	}
	return names[p.Name] + " without TLS"
}
