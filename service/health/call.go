package health

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/outbound"
)

const (
	maxBody = 4 << 10 // bytes of a body that are read and discarded, to keep the connection
	// drainTime is how long a body may take to arrive. It only decides whether the
	// connection is kept; the status line has decided the check.
	drainTime = 250 * time.Millisecond
	// maxConnAge is how long a connection is reused. It stays with one pod, even one to
	// which the Service no longer routes; a new connection goes where that of a new client
	// would.
	maxConnAge = 5 * time.Minute
)

// A caller makes single attempts.
type caller struct {
	dialer *outbound.Dialer
	tls    *tls.Config
}

func newCaller(o *Options) *caller {
	return &caller{
		dialer: outbound.NewDialer(o.AllowCIDRs, o.Resolver),
		tls: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			RootCAs:            o.RootCAs,
			InsecureSkipVerify: o.InsecureSkipTLSVerify,
			NextProtos:         []string{"http/1.1"},
		},
	}
}

// An outcome is the result of one attempt.
type outcome struct {
	healthy bool
	text    string         // one sentence
	final   bool           // another attempt would have the same result
	latency time.Duration  // until the answer or the failure
	kept    *outbound.Conn // the connection for the next attempt; nil if it can't be kept
}

// call makes one attempt at t before ctx ends, over the connection kept unless that is nil.
// kept must not be used afterwards.
func (c *caller) call(ctx context.Context, t *target, kept *outbound.Conn) outcome {
	began := time.Now()
	var o outcome
	switch {
	case t.invalid != "":
		kept.Close()
		o = outcome{text: t.invalid, final: true}
	case t.probe.Kind == service.ProbeTCP:
		kept.Close()
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
	raw, err := c.dialer.Dial(ctx, t.host, t.port)
	if err != nil {
		return failure(ctx, t, err)
	}
	_ = raw.Close()
	d := time.Since(began)
	return outcome{healthy: true, text: "connected to " + outbound.Clean(t.hostport(), 120) + " in " + took(d), latency: d}
}

func (c *caller) get(ctx context.Context, t *target, kept *outbound.Conn) outcome {
	began := time.Now()
	cn := kept
	var response *http.Response
	var reusable bool
	for {
		var err error
		if cn == nil {
			if cn, err = c.open(ctx, t); err != nil {
				return failure(ctx, t, err)
			}
		}
		response, reusable, err = cn.Exchange(ctx, t.request)
		if err == nil {
			break
		}
		reused := cn == kept
		cn.Close()
		if !reused || ctx.Err() != nil || !errors.Is(err, outbound.ErrNoAnswer) {
			return failure(ctx, t, err)
		}
		cn = nil // the server had closed the kept connection: open a new one
	}
	o := outcome{latency: time.Since(began)}
	o.healthy, o.text = judge(t, response.StatusCode, o.latency)
	// After a bad answer the connection is not kept, so that the next attempt may reach
	// another pod.
	if reusable && o.healthy && time.Since(cn.Born) < maxConnAge && cn.ReadBody(ctx, response.Body, io.Discard, maxBody, drainTime) {
		o.kept = cn
	} else {
		cn.Close()
	}
	return o
}

// open connects to t, with TLS for an https target.
func (c *caller) open(ctx context.Context, t *target) (*outbound.Conn, error) {
	if t.tls {
		return c.dialer.Open(ctx, t.host, t.port, c.tls)
	}
	return c.dialer.Open(ctx, t.host, t.port, nil)
}
