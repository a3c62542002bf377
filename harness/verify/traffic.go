package verify

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// Traffic is what the clients send.
type Traffic struct {
	// Rate is in requests per second, of all classes together.
	Rate  float64
	Paths []string // of reused and new clients: GET, 2xx expected
	// ErrorPaths are asked for now and then, and must answer 404.
	ErrorPaths []string
	// SlowPath is a GET that takes as long as {duration} in it says; or SlowUpload
	// is a POST whose body (SlowBody, JSON) is sent slowly. Neither: no slow
	// clients.
	SlowPath, SlowUpload, SlowBody string
	SlowFor                        time.Duration // the longest
	// StreamPath is of server-sent events; empty: no stream clients.
	StreamPath string
	Streams    int // how many are open at a time

	Host      string            // of the Host header; empty: the Service's DNS name
	Header    map[string]string // of every request
	PodHeader string            // of the response, with the pod's name
	// ExpectJSON: the bodies of Paths are JSON.
	ExpectJSON bool
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
	if t.SlowPath != "" && !strings.Contains(t.SlowPath, "{duration}") {
		problems = append(problems, fmt.Errorf("the slow path %q must say where the duration belongs, such as /slow?for={duration}", t.SlowPath))
	}
	for _, p := range append(append([]string{t.SlowPath, t.SlowUpload, t.StreamPath}, t.Paths...), t.ErrorPaths...) {
		if p != "" && !strings.HasPrefix(p, "/") {
			problems = append(problems, fmt.Errorf("the path %q must begin with /", p))
		}
	}
	return errors.Join(problems...)
}

// Of all requests, this part is of slow clients, of the rest this part of new
// ones. Slow ones are few, as each is in flight for seconds.
const (
	slowPart = 0.02
	minSlow  = 4.0 // a second, so that some are always on every pod
	newPart  = 1.0 / 3
	// errorEvery: among so many requests, one is to provoke an error.
	errorEvery = 50
)

// config is the load for a target at an address.
func (t *Traffic) config(address, host string, problems bool) load.Config {
	c := load.Config{
		Address: address, Host: host, Header: t.Header, PodHeader: t.PodHeader, Problems: problems,
		ResponseTimeout: 10 * time.Second,
	}
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
	c.Clients = append([]load.Client{
		{Class: record.Reused, Rate: rest * (1 - newPart)}, {Class: record.New, Rate: rest * newPart},
	}, c.Clients...)
	for _, p := range t.Paths {
		c.Targets = append(c.Targets, load.Target{Path: p, ExpectJSON: t.ExpectJSON, Weight: errorEvery - 1})
	}
	for _, p := range t.ErrorPaths {
		c.Targets = append(c.Targets, load.Target{Path: p, ExpectStatus: http.StatusNotFound, ExpectProblem: problems, Weight: max(1, len(t.Paths)/len(t.ErrorPaths))})
	}
	slow, stream := []record.Class{record.Slow}, []record.Class{record.Stream}
	if t.SlowPath != "" {
		c.Targets = append(c.Targets, load.Target{Classes: slow, Path: t.SlowPath})
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
