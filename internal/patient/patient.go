// Package patient repeats requests that an overloaded API server has refused. It is for
// programs and tests that prepare a cluster. The service itself must not use it, since it
// must cope with such a server by itself.
package patient

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
)

const (
	tries    = 8
	firstGap = 250 * time.Millisecond // doubled after each attempt: half a minute in all
)

// Wrap makes a client of cfg repeat requests that an overloaded API server has refused:
// those answered with 429, 500, 503 or 504, or not in time. The object of such a request
// may have been created all the same; then the repeated request is answered with 409.
func Wrap(cfg *rest.Config) *rest.Config {
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return again{next, firstGap} })
	return cfg
}

type again struct {
	next http.RoundTripper
	gap  time.Duration
}

func (a again) RoundTrip(r *http.Request) (*http.Response, error) {
	gap := a.gap
	for n := 1; ; n++ {
		resp, err := a.next.RoundTrip(r)
		if n == tries || !overloaded(resp, err) || r.Body != nil && r.GetBody == nil {
			return resp, err
		}
		if resp != nil {
			_, _ = io.CopyN(io.Discard, resp.Body, 1<<16) // so that the connection can be used again
			_ = resp.Body.Close()
		}
		pause := time.NewTimer(gap)
		select {
		case <-pause.C:
		case <-r.Context().Done():
			pause.Stop()
			return nil, r.Context().Err()
		}
		gap *= 2
		r = r.Clone(r.Context())
		if r.GetBody != nil {
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// WrappedRoundTripper lets client-go find the transport below.
func (a again) WrappedRoundTripper() http.RoundTripper { return a.next }

func overloaded(resp *http.Response, err error) bool {
	if err != nil {
		var n net.Error
		return errors.As(err, &n) && n.Timeout()
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
