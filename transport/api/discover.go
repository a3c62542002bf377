package api

import (
	"context"
	"fmt"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

const (
	// maxWait bounds ?wait=, so that a request that waits ends within the drain.
	maxWait = 25 * time.Second
	// discoveryTimeout bounds a discovery, which goes on when no request waits for it any
	// more.
	discoveryTimeout = 2 * time.Minute
)

// A discovery is one call of Options.Discover. Requests that come while it runs share it.
type discovery struct {
	done chan struct{}
	err  error
}

// startDiscovery returns the discovery that is running, or starts one.
func (a *API) startDiscovery() *discovery {
	for {
		d := a.discovery.Load()
		if d != nil {
			return d
		}
		d = &discovery{done: make(chan struct{})}
		if !a.discovery.CompareAndSwap(nil, d) {
			continue
		}
		a.background.Go(func() {
			ctx, cancel := context.WithTimeout(a.life, discoveryTimeout)
			defer cancel()
			d.err = a.discover(ctx)
			if d.err != nil {
				a.log.Warn("Discovery on request failed", zap.Error(d.err))
			}
			a.discovery.Store(nil)
			close(d.done)
		})
		return d
	}
}

// Discover lists the cluster again and makes all health checks. It answers at once, or
// waits for the end as long as the query says.
func (a *API) Discover(ctx *fasthttp.RequestCtx) {
	if !a.noBody(ctx) {
		return
	}
	wait, ok := a.waitParameter(ctx)
	if !ok {
		return
	}
	if a.discover == nil {
		a.problem(ctx, problem.Unavailable, "There is no cluster to discover anything in.")
		return
	}
	d := a.startDiscovery()
	answer := struct {
		Status string `json:"status"`
		Total  int    `json:"total"`
	}{Status: "started"}
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-d.done:
			if d.err != nil {
				a.problem(ctx, problem.Unavailable, "The discovery failed, the last state is still served. "+reply.PublicCause(d.err))
				return
			}
			answer.Status = "done"
		case <-timer.C:
			answer.Status = "running"
		}
	}
	if snap := a.catalogue.Snapshot(); snap != nil {
		answer.Total = snap.Toolsets().Len()
	}
	status := fasthttp.StatusAccepted
	if answer.Status == "done" {
		status = fasthttp.StatusOK
	}
	writeJSON(ctx, status, answer)
}

// waitParameter parses ?wait=DURATION; 0 if it is not given. If it is wrong it answers so
// and returns false.
func (a *API) waitParameter(ctx *fasthttp.RequestCtx) (time.Duration, bool) {
	if !ctx.QueryArgs().Has("wait") {
		return 0, true
	}
	value := ctx.QueryArgs().Peek("wait")
	d, err := time.ParseDuration(string(value))
	if err != nil || d <= 0 || d > maxWait {
		message := fmt.Sprintf("must be a duration such as 5s, above 0 and at most %s, not %s", maxWait, reply.Quoted(value))
		a.problem(ctx, problem.Validation, "The query has a mistake: wait "+message+".", problem.InQuery("wait", message))
		return 0, false
	}
	return d, true
}
