package verify

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// Traffic describes what the clients send.
type Traffic struct {
	// Rate is the number of requests per second, of all classes together.
	Rate  float64
	Paths []string // requested by pooled, blind and new clients; see Message
	// ErrorPaths are requested now and then, and must give 404.
	ErrorPaths []string
	// MCPPath takes messages of the Model Context Protocol; empty: no agents. Pooled, blind
	// and new clients call a tool there as often as they request one of Paths: with the stateless
	// revision, as often as with the one before it.
	MCPPath string
	// MCPTool is the tool that is called, without arguments. It must have a result.
	MCPTool string
	// Slow clients either GET SlowPath, in which {duration} is replaced by how long the
	// response should take, or POST the JSON SlowBody to SlowUpload, slowly. If both
	// are empty there are no slow clients.
	SlowPath, SlowUpload, SlowBody string
	SlowFor                        time.Duration // the longest duration
	// StreamPath serves server-sent events; empty: no stream clients.
	StreamPath string
	Streams    int // open at a time
	// Goodbye is the event that a stream must have before its end; empty: none, but the
	// response must be complete unless an event "goodbye" came.
	Goodbye string

	Host      string            // Host header; empty: the Service's DNS name
	Header    map[string]string // of every request
	PodHeader string            // header of responses that has the pod's name
	// ExpectJSON: responses of Paths must be JSON.
	ExpectJSON bool

	Message           // what is sent to Paths
	Protocol Protocol // what is spoken
}

func (t *Traffic) validate() error {
	var problems []error
	if t.Rate < 10 || t.Rate > 20000 {
		problems = append(problems, fmt.Errorf("a rate of %g requests per second is not between 10 and 20000", t.Rate))
	}
	if len(t.Paths) == 0 {
		problems = append(problems, errors.New("name at least one path to ask for"))
	}
	if t.SlowPath != "" && t.SlowUpload != "" {
		problems = append(problems, errors.New("slow requests are either asked for by a path or made by an upload, not both"))
	}
	if t.SlowPath != "" && t.Protocol.Name != record.GRPC && !strings.Contains(t.SlowPath, "{duration}") {
		problems = append(problems, fmt.Errorf("the slow path %q must say where the duration belongs, such as /slow?for={duration}", t.SlowPath))
	}
	if (t.MCPPath == "") != (t.MCPTool == "") {
		problems = append(problems, errors.New("name both the path for agents and the tool that they call, or neither"))
	}
	for _, p := range append(append([]string{t.MCPPath, t.SlowPath, t.SlowUpload, t.StreamPath}, t.Paths...), t.ErrorPaths...) {
		if p != "" && !strings.HasPrefix(p, "/") {
			problems = append(problems, fmt.Errorf("the path %q must begin with /", p))
		}
	}
	if len(problems) == 0 {
		problems = t.validateProtocol()
	}
	return errors.Join(problems...)
}

// Shares of the classes. Slow clients send slowPart of all requests, which is little,
// as each of them is in flight for seconds. Pooled, blind and new clients share the rest.
const (
	slowPart = 0.02
	minSlow  = 4.0 // per second, so that each pod always has some
	// errorEvery: one of so many requests is to an error path.
	errorEvery = 50
)

// portRest is how long a source port is left alone. A node's connection tracking keeps a
// connection for up to 120 s after its last packet, in all states but ESTABLISHED.
const portRest = 125 * time.Second

// config returns the load for a target at an address.
func (t *Traffic) config(address, host string, problems bool) load.Config {
	c := load.Config{
		Address: address, Host: host, Header: t.Header, PodHeader: t.PodHeader, Problems: problems,
		ResponseTimeout: 10 * time.Second, PortRest: portRest, Goodbye: t.Goodbye, MustSayGoodbye: t.Goodbye != "",
	}
	t.Protocol.set(&c)
	rest := t.Rate
	for _, class := range t.classes() {
		switch class {
		case record.Slow:
			rate := min(max(t.Rate*slowPart, minSlow), t.Rate/2)
			rest -= rate
			c.Clients = append(c.Clients, load.Client{Class: class, Rate: rate, Duration: t.SlowFor})
		case record.Stream:
			c.Clients = append(c.Clients, load.Client{Class: class, Connections: t.Streams})
		}
	}
	if t.Protocol.Name == record.WebSocket {
		c.Clients = append([]load.Client{{Class: record.New, Rate: rest}}, c.Clients...)
		for _, p := range t.Paths {
			c.Targets = append(c.Targets, load.Target{Path: p, Body: t.Message.Body, Classes: t.classes()})
		}
		return c
	}
	if slices.Contains(t.classes(), record.Blind) {
		c.Clients = append([]load.Client{{Class: record.Pooled, Rate: rest / 3}, {Class: record.Blind, Rate: rest / 3}}, c.Clients...)
	} else {
		c.Clients = append([]load.Client{{Class: record.Pooled, Rate: rest * 2 / 3}}, c.Clients...)
	}
	c.Clients = append(c.Clients, load.Client{Class: record.New, Rate: rest / 3})
	for _, p := range t.Paths {
		c.Targets = append(c.Targets, t.Message.target(load.Target{Path: p, ExpectJSON: t.ExpectJSON, Weight: errorEvery - 1}))
	}
	for _, p := range t.ErrorPaths {
		c.Targets = append(c.Targets, load.Target{Path: p, ExpectStatus: http.StatusNotFound, ExpectProblem: problems, Weight: max(1, len(t.Paths)/len(t.ErrorPaths))})
	}
	if t.MCPPath != "" {
		c.Targets = append(c.Targets, t.toolCalls()...)
	}
	slow, stream := []record.Class{record.Slow}, []record.Class{record.Stream}
	if t.SlowPath != "" {
		c.Targets = append(c.Targets, t.slow())
	}
	if t.SlowUpload != "" {
		c.Targets = append(c.Targets, load.Target{
			Classes: slow, Method: http.MethodPost, Path: t.SlowUpload, SlowUpload: true,
			Header: map[string]string{"Content-Type": "application/json"}, Body: t.SlowBody,
		})
	}
	if t.StreamPath != "" {
		c.Targets = append(c.Targets, load.Target{Classes: stream, Path: t.StreamPath})
	}
	return c
}

// toolCalls returns the calls of a tool, in two revisions of the Model Context Protocol.
func (t *Traffic) toolCalls() []load.Target {
	const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{}%s}}`
	const meta = `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	target := func(body string, header map[string]string) load.Target {
		header["Content-Type"], header["Accept"] = "application/json", "application/json, text/event-stream"
		return load.Target{Method: http.MethodPost, Path: t.MCPPath, Header: header, Body: body, ExpectStatus: http.StatusOK, ExpectJSON: true, Weight: errorEvery / 2}
	}
	return []load.Target{
		target(fmt.Sprintf(call, t.MCPTool, meta), map[string]string{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": t.MCPTool}),
		target(fmt.Sprintf(call, t.MCPTool, ""), map[string]string{"MCP-Protocol-Version": "2025-11-25"}),
	}
}
