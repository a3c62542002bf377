package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"go.uber.org/zap"
)

// Bounds of a call to HolmesGPT. It checks all of its toolsets before it answers.
const (
	reloadTimeout  = 60 * time.Second
	reloadAttempts = 3
	reloadPause    = 30 * time.Second
)

// A reloader tells HolmesGPT, by a POST to an address that an administrator has given, that
// its document was written. It waits until the kubelet must have updated the file; changes
// in the meantime begin the time anew.
type reloader struct {
	url    string
	delay  time.Duration
	pause  time.Duration
	client *http.Client
	log    *zap.Logger
	set    *metrics.Set
	news   chan struct{} // holds a token when there was a write
}

func newReloader(address string, delay time.Duration, log *zap.Logger, set *metrics.Set) *reloader {
	r := &reloader{
		url: address, delay: delay, pause: reloadPause, log: log, set: set, news: make(chan struct{}, 1),
		// The address is the administrator's own, so no address is refused. A redirect is not
		// followed: a POST would become a GET.
		client: &http.Client{Timeout: reloadTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	for _, result := range []string{"success", "failure"} {
		set.GetOrCreateCounter(reloads(result))
	}
	return r
}

func reloads(result string) string {
	return fmt.Sprintf("toolset_holmesgpt_reloads_total{result=%q}", result)
}

// written says that the document was written. It does not block.
func (r *reloader) written() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// run makes the calls until ctx ends. It never fails.
func (r *reloader) run(ctx context.Context) error {
	defer r.client.CloseIdleConnections()
	var due <-chan time.Time
	left := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.news:
			due, left = time.After(r.delay), reloadAttempts
			continue
		case <-due:
		}
		due = nil
		left--
		err := r.call(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			r.set.GetOrCreateCounter(reloads("success")).Inc()
			r.log.Info("HolmesGPT has loaded its toolsets again", zap.String("url", r.shown()))
		default:
			r.set.GetOrCreateCounter(reloads("failure")).Inc()
			r.log.Warn("HolmesGPT could not be told to load its toolsets again", zap.String("url", r.shown()), zap.Error(err), zap.Int("attempts left", left),
				zap.String("remedy", "check --holmesgpt-reload-url, and that a network policy allows the call; HolmesGPT has that address since July 2026"))
			if left > 0 {
				due = time.After(r.pause)
			}
		}
	}
}

// shown returns the URL without its query, which might hold a secret.
func (r *reloader) shown() string {
	u, err := url.Parse(r.url)
	if err != nil {
		return ""
	}
	u.RawQuery = ""
	return u.String()
}

func (r *reloader) call(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "dynamic-toolset")
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()                                //nolint:errcheck // it was read
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) //nolint:errcheck // only for the next use of the connection
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}
