package load

import (
	"context"
	"net"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load/https"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// Defaults of a Config.
const (
	defaultDialTimeout       = 2 * time.Second
	defaultResponseTimeout   = 5 * time.Second
	defaultStreamIdleTimeout = 45 * time.Second
	defaultSlowDuration      = 8 * time.Second
	defaultMaxInFlight       = 2000
	defaultStreams           = 8
	defaultGoodbye           = "goodbye"
)

// shortest is the duration of the shortest slow request.
const shortest = time.Second

// usesPerSecond is how often a kept connection is used, if Config does not give their
// number: as often as in the pool of a busy client, so that no idle timeout of a server
// ends one.
const usesPerSecond = 8

// Config describes a load. In JSON, durations are strings such as "1.5s".
type Config struct {
	// Address is the host:port to dial, such as a Service's cluster IP.
	Address string `json:"address"`
	// Host is the Host header; empty: Address.
	Host string `json:"host,omitempty"`
	// Header is sent with every request.
	Header map[string]string `json:"header,omitempty"`
	// PodHeader is the response header that has the name of the pod which answered,
	// such as X-Served-By. Empty: pods are not recorded.
	PodHeader string `json:"podHeader,omitempty"`

	// Protocol is what the clients speak; empty: HTTP/1.1.
	Protocol record.Protocol `json:"protocol,omitempty"`
	// TLS says how; nil: without TLS.
	TLS *https.Settings `json:"tls,omitempty"`

	// Descriptors have the types of gRPC methods: a FileDescriptorSet in its binary form.
	// Empty: the server is asked by reflection, but for grpc.health.v1.
	Descriptors []byte `json:"descriptors,omitempty"`
	// CloseCodes are the codes with which a server may close a held WebSocket connection;
	// empty: 1001 and 1012.
	CloseCodes []int `json:"closeCodes,omitempty"`

	DialTimeout time.Duration `json:"dialTimeout,omitempty"`
	// PortRest is how long a source port rests before it is used again, since a node
	// remembers to which pod of a Service it has sent a connection: at most 120 s. If no
	// port has rested for so long, requests are not sent, and counted. 0: the kernel
	// chooses the ports, and Dial is used.
	PortRest time.Duration `json:"portRest,omitempty"`
	// ResponseTimeout bounds a request, from its first byte to the last byte of the
	// response. The duration of a slow request is added. For a stream, it bounds the
	// wait for the response header.
	ResponseTimeout time.Duration `json:"responseTimeout,omitempty"`
	// StreamIdleTimeout is how long an open stream may be silent before it counts as
	// broken. Negative: for ever.
	StreamIdleTimeout time.Duration `json:"streamIdleTimeout,omitempty"`
	// Goodbye is the name of the event after which a server may end a stream in any way;
	// empty: "goodbye". MustSayGoodbye says that a stream without it is broken even if its
	// response ended in good order, by its length or its last chunk.
	Goodbye        string `json:"goodbye,omitempty"`
	MustSayGoodbye bool   `json:"mustSayGoodbye,omitempty"`
	// Problems says that every error must be a problem document (RFC 9457). The detail
	// of an unexpected status then says if it was not one.
	Problems bool `json:"problems,omitempty"`

	Clients []Client `json:"clients"`
	Targets []Target `json:"targets"`

	// Dial makes the connections if PortRest is 0; nil: a [net.Dialer]. Its context has the timeout.
	Dial func(ctx context.Context, network, address string) (net.Conn, error) `json:"-"`
}

// Client describes one client class; a Config has at most one of each.
type Client struct {
	Class record.Class `json:"class"`
	// Rate is the number of requests per second; 0 for streams.
	Rate float64 `json:"rate,omitempty"`
	// Connections is the number of connections that pooled or blind clients share, or of streams
	// held open. 0: by the rate, or 8 streams.
	Connections int `json:"connections,omitempty"`
	// Duration is that of the longest slow request; 0: 8 s.
	Duration time.Duration `json:"duration,omitempty"`
	// MaxInFlight bounds the requests that wait for a kept connection, and the
	// requests in flight of new and of slow clients. More are skipped. 0: 2,000.
	MaxInFlight int `json:"maxInFlight,omitempty"`
}

// Target is a request, and the response that is expected.
type Target struct {
	// Classes are the client classes that send it; empty: pooled, blind and new.
	Classes []record.Class `json:"classes,omitempty"`
	Method  string         `json:"method,omitempty"` // empty: GET
	// Path has the query, too. In the path of a slow request, {duration} is replaced by
	// how long the response should take, such as 3.25s.
	Path   string            `json:"path"`
	Header map[string]string `json:"header,omitempty"`
	Body   string            `json:"body,omitempty"`
	// SlowUpload makes a request slow: its header is sent at once, its body in pieces.
	SlowUpload bool `json:"slowUpload,omitempty"`
	// Weight is how often it is sent, relative to other targets of its class; 0: 1.
	Weight int `json:"weight,omitempty"`

	// ExpectStatus is the expected status code; 0: any 2xx, or 304.
	ExpectStatus int `json:"expectStatus,omitempty"`
	// AlsoExpect are further status codes that are right.
	AlsoExpect []int `json:"alsoExpect,omitempty"`
	// ExpectProblem says that the body must be a problem document.
	ExpectProblem bool `json:"expectProblem,omitempty"`
	// ExpectJSON says that the body must be JSON, and the Content-Type say so.
	ExpectJSON bool `json:"expectJSON,omitempty"`
}

// withDefaults returns a copy of the configuration, with the defaults set.
func (c *Config) withDefaults() Config {
	out := *c
	if out.Host == "" {
		out.Host = out.Address
	}
	fill(&out.Protocol, record.HTTP1)
	if len(out.CloseCodes) == 0 {
		out.CloseCodes = defaultCloseCodes
	}
	fill(&out.DialTimeout, defaultDialTimeout)
	fill(&out.ResponseTimeout, defaultResponseTimeout)
	fill(&out.StreamIdleTimeout, defaultStreamIdleTimeout)
	fill(&out.Goodbye, defaultGoodbye)
	if out.Dial == nil {
		out.Dial = new(net.Dialer).DialContext
	}
	out.Clients = make([]Client, len(c.Clients))
	for i, client := range c.Clients {
		switch client.Class {
		case record.Pooled, record.Blind:
			fill(&client.Connections, max(1, int(client.Rate/usesPerSecond)))
		case record.Slow:
			fill(&client.Duration, defaultSlowDuration)
		case record.Stream:
			fill(&client.Connections, defaultStreams)
		}
		if client.Class != record.Stream {
			fill(&client.MaxInFlight, defaultMaxInFlight)
		}
		out.Clients[i] = client
	}
	out.Targets = make([]Target, len(c.Targets))
	for i, target := range c.Targets {
		fill(&target.Method, "GET")
		fill(&target.Weight, 1)
		if len(target.Classes) == 0 {
			target.Classes = []record.Class{record.Pooled, record.Blind, record.New}
		}
		out.Targets[i] = target
	}
	return out
}

// fill sets *v if it is zero.
func fill[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}
