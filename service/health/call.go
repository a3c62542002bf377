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
	maxHeader = 64 << 10 // bytes of status line and headers that are read
	maxBody   = 4 << 10  // bytes of a body that are read and discarded, to keep the connection
	// drainTime is how long a body may take to arrive. It only decides whether the
	// connection is kept; the status line has decided the check.
	drainTime = 250 * time.Millisecond
	// maxConnAge is how long a connection is reused. It stays with one pod, even one to
	// which the Service no longer routes; a new connection goes where that of a new client
	// would.
	maxConnAge = 5 * time.Minute
	maxInterim = 5 // 1xx answers before the final one
)

// A caller makes single attempts. It uses net/http to read and write messages, but not
// http.Transport. That one dials in goroutines that outlive the request, needs two
// goroutines per idle connection, and can't tell which endpoint a connection belongs to.
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
	c.dialer.SetMultipathTCP(false) // no use for one small request
	return c
}

// A conn is a connection to an endpoint, kept between checks.
type conn struct {
	raw   net.Conn // what close closes, as closing a tls.Conn may block
	rw    net.Conn // raw, or TLS on top of it
	in    *bufio.Reader
	limit *io.LimitedReader // what in reads from
	born  time.Time
}

func (c *conn) close() {
	if c != nil {
		_ = c.raw.Close() // nothing can be done about an error
	}
}

// An outcome is the result of one attempt.
type outcome struct {
	healthy bool
	text    string        // one sentence
	final   bool          // another attempt would have the same result
	latency time.Duration // until the answer or the failure
	kept    *conn         // the connection for the next attempt; nil if it can't be kept
}

// call makes one attempt at t before ctx ends, over the connection kept unless that is nil.
// kept must not be used afterwards.
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
	var status int
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
		cn = nil // the server had closed the kept connection: open a new one
	}
	o := outcome{latency: time.Since(began)}
	o.healthy, o.text = judge(t, status, o.latency)
	// After a bad answer the connection is not kept, so that the next attempt may reach
	// another pod.
	if reusable && o.healthy && time.Since(cn.born) < maxConnAge && cn.drain(ctx, body) {
		o.kept = cn
	} else {
		cn.close()
	}
	return o
}

// open connects to t, with TLS for an https target.
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

// dial connects to the host and port of t, unless its address is refused.
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

// These are joined to errors, to tell where an attempt failed.
var (
	errHandshake = errors.New("the TLS handshake failed")
	errNoAnswer  = errors.New("not one byte of an answer came")
)

// exchange sends the request of t and reads the answer up to its body. reusable means that
// the connection can be reused after the body has been read.
func (cn *conn) exchange(ctx context.Context, t *target) (status int, body io.ReadCloser, reusable bool, err error) {
	if err := cn.raw.SetDeadline(time.Time{}); err != nil {
		return 0, nil, false, errors.Join(errNoAnswer, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cn.raw.SetDeadline(time.Unix(1, 0)) })
	// If the function is running already, its deadline applies to the drain or to the next
	// exchange, which set their own.
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

// Errors that no HTTP server should cause.
var (
	errLongHeader = errors.New("the headers of the answer are longer than 64 KiB")
	errInterim    = errors.New("nothing but interim (1xx) answers came")
)

// drain reads a body, and reports whether it ended in time and the connection holds nothing
// else.
func (cn *conn) drain(ctx context.Context, body io.Reader) bool {
	until := time.Now().Add(drainTime)
	if end, ok := ctx.Deadline(); ok && end.Before(until) {
		until = end
	}
	if err := cn.raw.SetDeadline(until); err != nil {
		return false
	}
	cn.limit.N = 2 * maxBody // a chunked body is longer than its content
	n, err := io.Copy(io.Discard, io.LimitReader(body, maxBody+1))
	return err == nil && n <= maxBody && cn.in.Buffered() == 0 && ctx.Err() == nil
}
