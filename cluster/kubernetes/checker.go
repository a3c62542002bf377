package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
)

// A checker finds out in the background whether the API server can be reached, by GET
// /readyz, which is cheap for the server and allowed to every client (by the ClusterRole
// system:public-info-viewer). Only the checker decides that; a watch that fails makes it
// check at once.
type checker struct {
	url               string
	host              string
	client            *http.Client
	conns             *ownConnections
	interval, timeout time.Duration
	log               *zap.Logger
	doubts            chan struct{}

	heardSince func(time.Time) bool // reports whether the server has sent something since, for another call
	back       func(outage)         // called when it answers for the first time, or again after an outage

	mu        sync.Mutex
	reachable bool
	ever      bool
	since     time.Time
	problem   string
}

// An outage is a time without an answer that has ended.
type outage struct {
	began time.Time
	first bool // there was no answer before it
}

// minGap is the least time before a check that a doubt has caused.
const minGap = 300 * time.Millisecond

func newChecker(cfg *rest.Config, opts Options) (*checker, error) {
	c := &checker{
		host: cfg.Host, interval: opts.CheckInterval, timeout: opts.CheckTimeout, log: opts.Logger,
		doubts: make(chan struct{}, 1), since: time.Now(),
	}
	cfg, c.conns = withOwnConnections(cfg)
	base, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("the address of the API server, %q, cannot be used: %w", cluster.Clean(cfg.Host), err)
	}
	c.url = base.JoinPath("readyz").String()
	if c.client, err = rest.HTTPClientFor(cfg); err != nil {
		return nil, fmt.Errorf("the configuration for the API server at %s cannot be used: %w", cfg.Host, err)
	}
	return c, nil
}

// doubt makes the next check come now.
func (c *checker) doubt() {
	select {
	case c.doubts <- struct{}{}:
	default:
	}
}

func (c *checker) run(ctx context.Context) {
	defer c.conns.CloseAll()
	defer c.client.CloseIdleConnections()
	for {
		start := time.Now()
		err := c.check(ctx)
		if ctx.Err() != nil {
			return
		}
		pause := retry.Jitter(c.interval, 0.1)
		if !c.record(err) {
			pause = min(pause, retry.Jitter(time.Second, 0.2)) // so that the recovery is noticed soon
		}
		t := time.NewTimer(pause - time.Since(start))
		select {
		case <-t.C:
		case <-c.doubts:
			t.Reset(minGap - time.Since(start))
			select {
			case <-t.C:
			case <-ctx.Done():
			}
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// check asks twice, the second time on a new connection: it is no outage if a connection
// was lost, or if one of several servers is restarted. It is no outage either if a server
// is too busy to answer in time, but sends the answers to other calls.
func (c *checker) check(ctx context.Context) error {
	err := c.ask(ctx)
	if err == nil || ctx.Err() != nil {
		return err
	}
	c.client.CloseIdleConnections()
	c.conns.CloseAll()
	if !retry.Sleep(ctx, min(100*time.Millisecond, c.timeout/10)) {
		return err
	}
	again := time.Now()
	err = c.ask(ctx)
	if err != nil && !errors.Is(err, errAnswered) && c.heardSince(again) {
		c.log.Debug("The Kubernetes API is slow: it sends Services, but does not say in time that it is ready", zap.Error(err))
		return nil
	}
	return err
}

// errAnswered means that the API server has answered that it is not ready.
var errAnswered = errors.New("not ready")

func (c *checker) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout*48/100)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return cluster.Call{Verbs: "get", Resource: "/readyz", Host: c.host}.Explain(err)
	}
	defer resp.Body.Close()
	io.CopyN(io.Discard, resp.Body, 64<<10) //nolint:errcheck // only to reuse the connection
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w: the API server at %s does not accept our credentials (401)", errAnswered, c.host)
	case resp.StatusCode >= 500:
		return fmt.Errorf("%w: /readyz of the API server at %s answers %d", errAnswered, c.host, resp.StatusCode)
	}
	return nil // also for 403, 404 and 429: it can be reached, and our rights are another matter
}

// record stores the result of a check, and reports whether it was good.
func (c *checker) record(err error) bool {
	c.mu.Lock()
	was, ever, since, known := c.reachable, c.ever, c.since, c.problem
	c.reachable = err == nil
	if err == nil {
		c.ever, c.since, c.problem = true, time.Time{}, ""
	} else {
		c.problem = cluster.Clean(err.Error())
		if was {
			c.since = time.Now()
		}
	}
	c.mu.Unlock()
	switch {
	case err == nil && !was:
		if known != "" {
			c.log.Info("The Kubernetes API is reachable", zap.Duration("after", time.Since(since)))
		}
		c.back(outage{began: since, first: !ever})
	case err != nil && was:
		c.log.Error("The Kubernetes API is unreachable; lookups go on from the last known state", zap.Error(err))
	case err != nil && known == "":
		c.log.Error("The Kubernetes API is unreachable; waiting for it", zap.Error(err))
	}
	return err == nil
}

func (c *checker) status() cluster.Availability {
	c.mu.Lock()
	defer c.mu.Unlock()
	return cluster.Availability{Reachable: c.reachable, UnreachableSince: c.since, LastError: c.problem}
}
