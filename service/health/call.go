package health

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"kubernaut.io/dynamic-toolset/service"
)

const (
	maxHeader = 64 << 10 // bytes of status line and headers read of one answer
	maxBody   = 4 << 10  // bytes of a body read (and discarded) to keep the connection
	// drainTime is how long a body may take to arrive. It only decides
	// whether the connection can be kept: the status line has decided the
	// check.
	drainTime = 250 * time.Millisecond
	// maxConnAge is how long one connection is reused. A connection sticks to
	// one pod of a Service, even to one that the Service no longer routes to;
	// a new one finds out what a new client would.
	maxConnAge = 5 * time.Minute
	maxInterim = 5 // 1xx answers before the real one
)

// A caller makes single attempts. It is written on top of net/http's reading
// and writing of messages, but does without http.Transport: that one dials in
// goroutines which outlive the request, holds two goroutines per idle
// connection, and can't tell whose a connection is.
type caller struct {
	allow  []netip.Prefix
	dialer net.Dialer
	tls    *tls.Config
}

func newCaller(o *Options) *caller {
	c := &caller{
		allow: o.AllowCIDRs,
		tls: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			RootCAs:            o.RootCAs,
			InsecureSkipVerify: o.InsecureSkipTLSVerify,
			NextProtos:         []string{"http/1.1"},
		},
	}
	c.dialer = net.Dialer{Resolver: o.Resolver, Control: c.control}
	c.dialer.SetMultipathTCP(false) // nothing to gain for one small request
	return c
}

// A conn is a connection to an endpoint, kept between checks.
type conn struct {
	raw   net.Conn // what to close: closing a tls.Conn may block
	rw    net.Conn // raw, or TLS on top of it
	in    *bufio.Reader
	limit *io.LimitedReader // below in
	born  time.Time
}

func (c *conn) close() {
	if c != nil {
		_ = c.raw.Close() // there is nothing to be done about it
	}
}

// An outcome is what one attempt found out.
type outcome struct {
	healthy bool
	text    string        // one sentence
	final   bool          // another attempt can't end differently
	latency time.Duration // until the answer or the failure
	kept    *conn         // for the next attempt; nil if none could be kept
}

// call makes one attempt at t, over kept if that is not nil. It ends when ctx
// ends at the latest, and takes over kept.
func (c *caller) call(ctx context.Context, t *target, kept *conn) outcome {
	began := time.Now()
	var o outcome
	switch {
	case t.invalid != "":
		kept.close()
		o = outcome{text: t.invalid, final: true}
	case t.probe.Kind == service.ProbeTCP:
		kept.close()
		o = c.connect(ctx, t)
	default:
		o = c.get(ctx, t, kept)
	}
	if o.latency == 0 {
		o.latency = time.Since(began)
	}
	return o
}

func (c *caller) connect(ctx context.Context, t *target) outcome {
	began := time.Now()
	raw, err := c.dial(ctx, t)
	if err != nil {
		return failure(ctx, t, err)
	}
	_ = raw.Close()
	d := time.Since(began)
	return outcome{healthy: true, text: "connected to " + clean(t.hostport(), 120) + " in " + took(d), latency: d}
}

func (c *caller) get(ctx context.Context, t *target, kept *conn) outcome {
	began := time.Now()
	cn := kept
	status := 0
	var body io.ReadCloser
	var reusable bool
	for {
		var err error
		if cn == nil {
			if cn, err = c.open(ctx, t); err != nil {
				return failure(ctx, t, err)
			}
		}
		status, body, reusable, err = cn.exchange(ctx, t)
		if err == nil {
			break
		}
		reused := cn == kept
		cn.close()
		if !reused || ctx.Err() != nil || !errors.Is(err, errNoAnswer) {
			return failure(ctx, t, err)
		}
		cn = nil // the other side had closed the kept connection: open a new one
	}
	o := outcome{latency: time.Since(began)}
	o.healthy, o.text = judge(t, status, o.latency)
	// A connection whose answer was bad isn't kept, so that the next attempt
	// may reach another pod.
	if reusable && o.healthy && time.Since(cn.born) < maxConnAge && cn.drain(ctx, body) {
		o.kept = cn
	} else {
		cn.close()
	}
	return o
}

// open connects to t, with TLS if it is an https target.
func (c *caller) open(ctx context.Context, t *target) (*conn, error) {
	raw, err := c.dial(ctx, t)
	if err != nil {
		return nil, err
	}
	cn := &conn{raw: raw, rw: raw, born: time.Now()}
	if t.tls {
		config := c.tls.Clone()
		config.ServerName = t.host
		secure := tls.Client(raw, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			cn.close()
			return nil, errors.Join(errHandshake, err)
		}
		cn.rw = secure
	}
	cn.limit = &io.LimitedReader{R: cn.rw}
	cn.in = bufio.NewReaderSize(cn.limit, 1024)
	return cn, nil
}

// dial connects to t's host and port, if its address isn't refused.
func (c *caller) dial(ctx context.Context, t *target) (raw net.Conn, err error) {
	for _, name := range t.names() {
		raw, err = c.dialer.DialContext(ctx, "tcp", net.JoinHostPort(name, t.port))
		var dns *net.DNSError
		if !errors.As(err, &dns) || !dns.IsNotFound {
			break
		}
	}
	return raw, err
}

// Parts of errors that tell where an attempt failed.
var (
	errHandshake = errors.New("the TLS handshake failed")
	errNoAnswer  = errors.New("not one byte of an answer came")
)

// exchange sends t's request and reads the answer up to its body. reusable
// says whether the connection can be used again once the body is read.
func (cn *conn) exchange(ctx context.Context, t *target) (status int, body io.ReadCloser, reusable bool, err error) {
	if err := cn.raw.SetDeadline(time.Time{}); err != nil {
		return 0, nil, false, errors.Join(errNoAnswer, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cn.raw.SetDeadline(time.Unix(1, 0)) })
	// If the function runs already, the deadline it sets hits the drain or
	// the next exchange, which sets its own.
	defer stop()

	cn.limit.N = maxHeader
	if err := t.request.Write(cn.rw); err != nil {
		return 0, nil, false, errors.Join(errNoAnswer, err)
	}
	if _, err := cn.in.Peek(1); err != nil {
		return 0, nil, false, errors.Join(errNoAnswer, err)
	}
	for range maxInterim {
		res, err := http.ReadResponse(cn.in, t.request)
		if err != nil {
			if cn.limit.N <= 0 {
				err = errLongHeader
			}
			return 0, nil, false, err
		}
		if res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
			return res.StatusCode, res.Body, !res.Close && res.StatusCode >= 200, nil
		}
	}
	return 0, nil, false, errInterim
}

// Ways to answer that no HTTP server should find.
var (
	errLongHeader = errors.New("the headers of the answer are longer than 64 KiB")
	errInterim    = errors.New("nothing but interim (1xx) answers came")
)

// drain reads a body to its end, and says whether it came to one soon enough
// and the connection holds nothing else.
func (cn *conn) drain(ctx context.Context, body io.Reader) bool {
	until := time.Now().Add(drainTime)
	if end, ok := ctx.Deadline(); ok && end.Before(until) {
		until = end
	}
	if err := cn.raw.SetDeadline(until); err != nil {
		return false
	}
	cn.limit.N = 2 * maxBody // chunked bodies are longer than what they hold
	n, err := io.Copy(io.Discard, io.LimitReader(body, maxBody+1))
	return err == nil && n <= maxBody && cn.in.Buffered() == 0 && ctx.Err() == nil
}
