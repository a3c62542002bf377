package load

import (
	"context"
	"net"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// Defaults of what a Config leaves out.
const (
	defaultDialTimeout       = 2 * time.Second
	defaultResponseTimeout   = 5 * time.Second
	defaultStreamIdleTimeout = 45 * time.Second
	defaultSlowDuration      = 8 * time.Second
	defaultMaxInFlight       = 2000
	defaultStreams           = 8
	defaultGoodbye           = "goodbye"
)

// shortest is how long the quickest of the slow requests takes.
const shortest = time.Second

// usesPerSecond is how often a reused connection is used where the number of
// connections is left to us: often enough that a server's idle timeout doesn't
// touch it, as a busy client's pool would be.
const usesPerSecond = 8

// Config is a load. In JSON, durations are strings such as "1.5s".
type Config struct {
	// Address is the host:port to dial, such as a Service's cluster IP.
	Address string `json:"address"`
	// Host is the Host header; empty: Address.
	Host string `json:"host,omitempty"`
	// Header goes with every request.
	Header map[string]string `json:"header,omitempty"`
	// PodHeader is the response header that names the pod which answered, such as
	// X-Served-By. Empty: no response is attributed.
	PodHeader string `json:"podHeader,omitempty"`

	DialTimeout time.Duration `json:"dialTimeout,omitempty"`
	// ResponseTimeout bounds a request from its first byte sent to the last byte
	// of its response; of a slow one, its duration is added; of a stream, it
	// bounds the wait for the response header.
	ResponseTimeout time.Duration `json:"responseTimeout,omitempty"`
	// StreamIdleTimeout is for how long an open stream may bring no byte; longer,
	// it counts as broken. Negative: for ever.
	StreamIdleTimeout time.Duration `json:"streamIdleTimeout,omitempty"`
	// Goodbye is the event after which a server may end a stream.
	Goodbye string `json:"goodbye,omitempty"`
	// Problems says that the server promises every error to be a problem document
	// (RFC 9457): the detail of an unexpected error then says whether it was one.
	Problems bool `json:"problems,omitempty"`

	Clients []Client `json:"clients"`
	Targets []Target `json:"targets"`

	// Dial makes the connections; nil: a [net.Dialer]. The time it may take is in
	// its context.
	Dial func(ctx context.Context, network, address string) (net.Conn, error) `json:"-"`
}

// Client is one client class, at most one of each.
type Client struct {
	Class record.Class `json:"class"`
	// Rate is in requests per second. Streams have none.
	Rate float64 `json:"rate,omitempty"`
	// Connections is how many connections reused clients share, or how many
	// streams are held open; 0: chosen by the rate, or 8 streams.
	Connections int `json:"connections,omitempty"`
	// Duration is of the longest slow request; 0: 8 s.
	Duration time.Duration `json:"duration,omitempty"`
	// MaxInFlight is how many requests may wait for one of the reused connections,
	// or be in flight at once for new and slow clients; one more is skipped. 0:
	// 2,000.
	MaxInFlight int `json:"maxInFlight,omitempty"`
}

// Target is a request to send and the response that is right.
type Target struct {
	// Classes are the client classes that send it; empty: reused and new.
	Classes []record.Class `json:"classes,omitempty"`
	Method  string         `json:"method,omitempty"` // empty: GET
	// Path is the request's target with its query. Of a slow request, {duration}
	// stands for how long the server shall take, such as 3.25s.
	Path   string            `json:"path"`
	Header map[string]string `json:"header,omitempty"`
	Body   string            `json:"body,omitempty"`
	// SlowUpload makes a request slow: its header is sent at once and its body in
	// pieces.
	SlowUpload bool `json:"slowUpload,omitempty"`
	// Weight is how often it is sent in relation to the others of its class; 0: 1.
	Weight int `json:"weight,omitempty"`

	// ExpectStatus is the right status code; 0: 304 or any that starts with 2.
	ExpectStatus int `json:"expectStatus,omitempty"`
	// ExpectProblem says that the body must be a problem document.
	ExpectProblem bool `json:"expectProblem,omitempty"`
	// ExpectJSON says that the body must be JSON, by its content and its type.
	ExpectJSON bool `json:"expectJSON,omitempty"`
}

// withDefaults returns the configuration with what it leaves out filled in.
func (c *Config) withDefaults() Config {
	out := *c
	if out.Host == "" {
		out.Host = out.Address
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
		case record.Reused:
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
			target.Classes = []record.Class{record.Reused, record.New}
		}
		out.Targets[i] = target
	}
	return out
}

// fill sets what is zero.
func fill[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}
