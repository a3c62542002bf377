package load

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// Bounds of a configuration. They are far beyond what one host can send. They keep a
// typing error from doing harm elsewhere.
const (
	maxRate        = 100_000
	maxConnections = 20_000
	maxInFlight    = 100_000
	maxWeight      = 1_000_000
	maxDuration    = 10 * time.Minute
	maxBody        = 1 << 20
)

// durationMark stands for the duration in the path of a slow request.
const durationMark = "{duration}"

// Validate reports everything that is wrong with the configuration, in a line each.
func (c *Config) Validate() error {
	v := c.withDefaults()
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if host, port, err := net.SplitHostPort(v.Address); err != nil {
		bad("address %q is not host:port, such as 10.96.0.20:80: %w", v.Address, err)
	} else if n, err := strconv.ParseUint(port, 10, 16); host == "" || err != nil || n == 0 {
		bad("address %q needs a host and a port from 1 to 65535, such as 10.96.0.20:80", v.Address)
	}
	if !isVisible(v.Host) {
		bad("host %q has characters that a Host header cannot hold", v.Host)
	}
	if v.PodHeader != "" && !isToken(v.PodHeader) {
		bad("podHeader %q is no header's name", v.PodHeader)
	}
	errs = append(errs, v.checkProtocol()...)
	if strings.ContainsAny(v.Goodbye, "\r\n") {
		bad("goodbye %q has a line break, which an event's name cannot hold", v.Goodbye)
	}
	for name, d := range map[string]time.Duration{"dialTimeout": v.DialTimeout, "responseTimeout": v.ResponseTimeout} {
		if d < 0 || d > maxDuration {
			bad("%s is %v; it must be more than 0 and at most %v", name, d, maxDuration)
		}
	}
	if v.PortRest < 0 || v.PortRest > maxDuration {
		bad("portRest is %v; it must be 0, for ports as the kernel chooses them, or at most %v", v.PortRest, maxDuration)
	}
	errs = append(errs, checkHeader("header", v.Header)...)
	if len(v.Clients) == 0 {
		bad("clients is empty: say which client classes send, such as pooled")
	}
	seen := map[record.Class]bool{}
	for i := range v.Clients {
		client := &v.Clients[i]
		errs = append(errs, client.check(fmt.Sprintf("clients[%d]", i))...)
		if seen[client.Class] {
			bad("clients[%d]: the class %q is there twice: add the rates up", i, client.Class)
		}
		seen[client.Class] = true
		if !slices.ContainsFunc(v.Targets, func(t Target) bool { return slices.Contains(t.Classes, client.Class) }) {
			bad("clients[%d]: no target lists the class %q in its classes (left out, they are pooled, blind and new)", i, client.Class)
		}
	}
	for i := range v.Targets {
		errs = append(errs, v.Targets[i].check(fmt.Sprintf("targets[%d]", i), v.Protocol)...)
	}
	return errors.Join(errs...)
}

func (c *Client) check(where string) (errs []error) {
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(where+": "+format, args...))
	}
	if !slices.Contains(record.Classes, c.Class) {
		bad("there is no class %q; the classes are %v", c.Class, record.Classes)
		return errs
	}
	if c.Class == record.Stream {
		if c.Rate != 0 {
			bad("streams have no rate: say in connections how many to hold open")
		}
		if c.MaxInFlight != 0 {
			bad("streams have no maxInFlight: say in connections how many to hold open")
		}
	} else {
		if !(c.Rate > 0 && c.Rate <= maxRate) { // false for NaN, too
			bad("rate is %v requests per second; it must be more than 0 and at most %d", c.Rate, maxRate)
		}
		if c.MaxInFlight < 0 || c.MaxInFlight > maxInFlight {
			bad("maxInFlight is %d; it must be from 1 to %d", c.MaxInFlight, maxInFlight)
		}
	}
	switch c.Class {
	case record.Pooled, record.Blind, record.Stream:
		if c.Connections < 0 || c.Connections > maxConnections {
			bad("connections is %d; it must be from 1 to %d", c.Connections, maxConnections)
		}
	default:
		if c.Connections != 0 {
			bad("connections has no meaning for the class %q: leave it out", c.Class)
		}
	}
	if c.Class == record.Slow {
		if c.Duration < shortest || c.Duration > maxDuration {
			bad("duration is %v; it must be from %v to %v", c.Duration, shortest, maxDuration)
		}
	} else if c.Duration != 0 {
		bad("duration has a meaning for the class slow only: leave it out")
	}
	return errs
}

func (t *Target) check(where string, protocol record.Protocol) (errs []error) {
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(where+": "+format, args...))
	}
	switch {
	case !isToken(t.Method):
		bad("method %q is no HTTP method", t.Method)
	case t.Method == http.MethodConnect:
		bad("method CONNECT makes a tunnel: no request can follow on its connection")
	case t.Method != strings.ToUpper(t.Method):
		bad("method %q: methods are in capital letters, as %s", t.Method, strings.ToUpper(t.Method))
	}
	if !strings.HasPrefix(t.Path, "/") || !isVisible(t.Path) {
		bad("path %q must start with / and hold visible ASCII characters only (escape others as %%XX)", t.Path)
	}
	if len(t.Body) > maxBody {
		bad("body has %d bytes; %d at most", len(t.Body), maxBody)
	}
	if t.Weight < 0 || t.Weight > maxWeight {
		bad("weight is %d; it must be from 1 to %d", t.Weight, maxWeight)
	}
	errs = append(errs, checkHeader(where+".header", t.Header)...)
	for _, class := range t.Classes {
		if !slices.Contains(record.Classes, class) {
			bad("there is no class %q; the classes are %v", class, record.Classes)
		}
	}
	marked := t.Path
	if protocol == record.GRPC {
		marked = t.Body
	}
	slow := t.SlowUpload || strings.Contains(marked, durationMark)
	switch {
	case t.SlowUpload && strings.Contains(t.Path, durationMark):
		bad("a request is slow by slowUpload or by %s in its path, not by both", durationMark)
	case t.SlowUpload && (protocol == record.GRPC || protocol == record.WebSocket):
		bad("slowUpload is for HTTP only")
	case t.SlowUpload && len(t.Body) < 2:
		bad("slowUpload needs a body of two bytes at least, as it is sent in pieces")
	}
	for _, class := range t.Classes {
		switch {
		case class == record.Slow && !slow:
			bad("for the class slow it needs slowUpload or %s in its path (gRPC: its body)", durationMark)
		case class != record.Slow && slow:
			bad("slowUpload and %s in the path are for the class slow only, not for %q", durationMark, class)
		}
		if class == record.Stream && protocol != record.WebSocket && (t.Body != "" || t.ExpectStatus != 0 || t.ExpectProblem || t.ExpectJSON) {
			bad("of a stream neither a body nor an expectation can be given: 200 and text/event-stream are right")
		}
	}
	if t.ExpectStatus != 0 && (t.ExpectStatus < 200 || t.ExpectStatus > 599) {
		bad("expectStatus is %d; it must be from 200 to 599, or left out for any 2xx and 304", t.ExpectStatus)
	}
	for _, status := range t.AlsoExpect {
		if status < 200 || status > 599 || t.ExpectStatus == 0 {
			bad("alsoExpect has %d; it must be from 200 to 599, beside an expectStatus", status)
		}
	}
	if t.ExpectProblem && t.ExpectStatus < 400 {
		bad("expectProblem needs an expectStatus of 400 or more")
	}
	if t.Method == "HEAD" && (t.ExpectProblem || t.ExpectJSON) {
		bad("a response to HEAD has no body: leave out expectProblem and expectJSON")
	}
	return errs
}

// ownHeaders are the headers that this package writes itself.
var ownHeaders = []string{"Host", "Connection", "Content-Length", "Transfer-Encoding", "Expect", "Upgrade"}

func checkHeader(where string, header map[string]string) (errs []error) {
	for name, value := range header {
		switch {
		case !isToken(name):
			errs = append(errs, fmt.Errorf("%s: %q is no header's name", where, name))
		case slices.ContainsFunc(ownHeaders, func(own string) bool { return strings.EqualFold(own, name) }):
			errs = append(errs, fmt.Errorf("%s: %s is written by the client class itself: leave it out", where, name))
		case strings.ContainsAny(value, "\r\n\x00"):
			errs = append(errs, fmt.Errorf("%s: the value of %s has a line break or a zero byte", where, name))
		}
	}
	return errs
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// isVisible reports whether s is ASCII without spaces and control characters.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
