package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"kubernaut.io/dynamic-toolset/harness/load/https"
	"kubernaut.io/dynamic-toolset/harness/load/rpc"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// alpn are the names of the protocols over TLS (RFC 7301).
var alpn = map[record.Protocol]string{record.HTTP1: "http/1.1", record.HTTP2: "h2", record.GRPC: "h2", record.WebSocket: "http/1.1"}

// classesOf are the client classes that a protocol has. A WebSocket connection carries
// messages, not requests, and streams of gRPC are not called.
var classesOf = map[record.Protocol][]record.Class{
	record.HTTP1: record.Classes, record.HTTP2: record.Classes,
	record.GRPC:      {record.Pooled, record.New, record.Slow},
	record.WebSocket: {record.New, record.Stream},
}

// checkMethod finds what is wrong with a call, unless only the server can tell.
func (c *Config) checkMethod(t *Target) []error {
	if t.ExpectStatus != 0 || t.ExpectJSON || t.ExpectProblem {
		return []error{fmt.Errorf("the method %s: of gRPC only the status OK can be expected", t.Path)}
	}
	m, err := rpc.Described(t.Path, c.Descriptors)
	if errors.Is(err, rpc.ErrUnknown) && len(c.Descriptors) == 0 {
		return nil // the server is asked
	}
	if err == nil {
		_, err = m.Request(withDuration(t.Body, shortest))
	}
	if err != nil {
		return []error{fmt.Errorf("the method %s: %w", t.Path, err)}
	}
	return nil
}

func (c *Config) checkProtocol() (errs []error) {
	if !slices.Contains(record.Protocols, c.Protocol) {
		return []error{fmt.Errorf("there is no protocol %q; the protocols are %v", c.Protocol, record.Protocols)}
	}
	for _, client := range c.Clients {
		if !slices.Contains(classesOf[c.Protocol], client.Class) {
			errs = append(errs, fmt.Errorf("there are no %s clients of the protocol %s, only %v", client.Class, c.Protocol, classesOf[c.Protocol]))
		}
	}
	if c.Protocol == record.GRPC {
		for i := range c.Targets {
			errs = append(errs, c.checkMethod(&c.Targets[i])...)
		}
	}
	for _, code := range c.CloseCodes {
		if code < 1000 || code > 4999 || code == 1006 {
			errs = append(errs, fmt.Errorf("closeCodes has %d; a close frame has a code from 1000 to 4999, but not 1006", code))
		}
	}
	if c.TLS != nil {
		if _, err := c.TLS.Config(c.Host, alpn[c.Protocol]); err != nil {
			errs = append(errs, fmt.Errorf("tls: %w", err))
		}
	}
	return errs
}

// prepareTLS makes the configuration that all connections share.
func (r *run) prepareTLS() (err error) {
	if r.TLS != nil {
		r.tls, err = r.TLS.Config(r.Host, alpn[r.Protocol])
	}
	return err
}

// secure puts TLS on conn, if the load is to have it. If it fails, conn is closed.
func (r *run) secure(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if r.tls == nil {
		return conn, nil
	}
	// The connection is made; what follows takes the server time, as a response does.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.ResponseTimeout)
	defer cancel()
	c, err := https.Client(ctx, conn, r.tls)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// handshakeOutcome returns the outcome of a request whose connection was made, but not
// TLS on it. A connection that ended meanwhile is lost as it would be without TLS.
func handshakeOutcome(err error) record.Outcome {
	switch {
	case isTimeout(err), errors.Is(err, context.DeadlineExceeded):
		return record.ResponseTimeout
	case isReset(err):
		return record.ResetBefore
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return record.EOFBefore
	}
	return record.DialFailed
}

// otherProtocol says what it is that is no HTTP/1.1, if it can be recognised.
func otherProtocol(r *bufio.Reader) string {
	start, err := r.Peek(min(r.Buffered(), 9))
	switch {
	case err != nil || len(start) < 2:
	case (start[0] == 0x15 || start[0] == 0x16) && start[1] == 3: // an alert or a handshake (RFC 8446, section 5.1)
		return ": the server speaks TLS on this port"
	case len(start) == 9 && (start[3] == 4 || start[3] == 7) && string(start[5:]) == "\x00\x00\x00\x00": // SETTINGS or GOAWAY on stream 0 (RFC 9113, section 4.1)
		return ": the server speaks HTTP/2 on this port"
	}
	return ""
}
