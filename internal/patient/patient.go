// Package patient is for programs and tests that prepare a cluster: it asks an API
// server again that had too much to do. The service under test does without, as it
// must bear that itself.
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
	firstGap = 250 * time.Millisecond // doubled after each try: half a minute in all
)

// Wrap has the requests of cfg sent again that an overloaded API server refuses: those
// answered 429, 500, 503 or 504, or not in time. An object may have been created all
// the same; the answer to the next try is then 409.
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
			_, _ = io.CopyN(io.Discard, resp.Body, 1<<16) // for the connection's sake
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

// WrappedRoundTripper is for client-go, which looks for the transport below.
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
