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
}

// set puts the protocol into a load.
func (p *Protocol) set(c *load.Config) { c.Protocol, c.TLS = p.Name, p.TLS }

// validateProtocol finds mistakes in the protocol and the message. What both mean to the
// load generator is checked by it.
func (t *Traffic) validateProtocol() []error {
	if len(t.Paths) == 0 || t.Rate <= 0 {
		return nil // said already
	}
	if err := t.trial().Validate(); err != nil {
		return []error{err}
	}
	return nil
}

// trial returns a load of the paths alone, with which the settings can be checked before
// the address is known.
func (t *Traffic) trial() *load.Config {
	c := load.Config{
		Address: "target:1", Host: t.Host, Header: t.Header, PodHeader: t.PodHeader,
		Clients: []load.Client{{Class: record.New, Rate: t.Rate}},
	}
	t.Protocol.set(&c)
	for _, path := range t.Paths {
		c.Targets = append(c.Targets, t.Message.target(load.Target{Path: path, ExpectJSON: t.ExpectJSON}))
	}
	return &c
}

// spoken describes what is spoken.
func (p *Protocol) spoken() string {
	names := map[record.Protocol]string{"": "HTTP/1.1", record.HTTP1: "HTTP/1.1", record.HTTP2: "HTTP/2", record.GRPC: "gRPC", record.WebSocket: "WebSocket"}
	if p.TLS != nil {
		return names[p.Name] + " with TLS"
	}
	return names[p.Name] + " without TLS"
}
