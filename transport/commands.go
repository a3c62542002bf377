package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service"
)

const (
	// maxWait bounds ?wait= so that a waiting request ends within the drain.
	maxWait = 25 * time.Second
	// discoveryTimeout bounds a discovery that nobody waits for.
	discoveryTimeout = 2 * time.Minute
	// generateTimeout bounds the writing of the ConfigMap for a request.
	generateTimeout = 10 * time.Second
	// maxValidations is how many documents are looked at at the same time. Those that
	// wait are within the bound of all bodies.
	maxValidations = 2
)

// noBody checks the body of a command that takes no arguments in it: it may be
// empty or any JSON.
func (s *Server) noBody(ctx *fasthttp.RequestCtx) bool {
	body := ctx.Request.Body()
	if len(bytes.TrimSpace(body)) > 0 && !json.Valid(body) {
		s.api.problem(ctx, problem.Validation, "The body is not well-formed JSON; leave it empty.",
			problem.InBody(problem.Body, "", "must be empty or well-formed JSON"))
		return false
	}
	return true
}

// findings validates a document when its turn has come: one of many small values takes
// many times its size while it is looked at.
func (s *Server) findings(doc []byte) ([]service.Invalid, error) {
	s.validations <- struct{}{}
	defer func() { <-s.validations }()
	return service.Validate(doc)
}

func (s *Server) validate(ctx *fasthttp.RequestCtx) {
	findings, err := s.findings(ctx.Request.Body())
	if err != nil {
		s.api.problem(ctx, problem.Validation, "The document can't be checked: "+err.Error()+".",
			problem.InBody(problem.Body, "", err.Error()))
		return
	}
	wrong := make([]problem.FieldError, len(findings)) // an empty array, not null
	for i, f := range findings {
		wrong[i] = problem.InBody(f.Pointer, f.Field, f.Message)
	}
	writeJSON(ctx, fasthttp.StatusOK, struct {
		Valid  bool                 `json:"valid"`
		Errors []problem.FieldError `json:"errors"`
	}{len(wrong) == 0, wrong})
}

func writeJSON(ctx *fasthttp.RequestCtx, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // the types given always marshal
		panic(err)
	}
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}

// A discovery is one run of Options.Discover; requests that come while it
// runs share it.
type discovery struct {
	done chan struct{}
	err  error
}

// startDiscovery joins the discovery under way or begins one.
func (s *Server) startDiscovery() *discovery {
	for {
		d := s.discovery.Load()
		if d != nil {
			return d
		}
		d = &discovery{done: make(chan struct{})}
		if !s.discovery.CompareAndSwap(nil, d) {
			continue
		}
		s.background.Go(func() {
			ctx, cancel := context.WithTimeout(s.life, discoveryTimeout)
			defer cancel()
			d.err = s.opts.Discover(ctx)
			if d.err != nil {
				s.log.Warn("Discovery on request failed", zap.Error(d.err))
			}
			s.discovery.Store(nil)
			close(d.done)
		})
		return d
	}
}

func (s *Server) discover(ctx *fasthttp.RequestCtx) {
	if !s.noBody(ctx) {
		return
	}
	wait, ok := s.waitParameter(ctx)
	if !ok {
		return
	}
	if s.opts.Discover == nil {
		s.api.problem(ctx, problem.Unavailable, "There is no cluster to discover anything in.")
		return
	}
	d := s.startDiscovery()
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
				s.api.problem(ctx, problem.Unavailable, "The discovery failed, the last state is still served. "+publicCause(d.err))
				return
			}
			answer.Status = "done"
		case <-timer.C:
			answer.Status = "running"
		}
	}
	if snap := s.opts.Catalogue.Snapshot(); snap != nil {
		answer.Total = snap.Toolsets().Len()
	}
	status := fasthttp.StatusAccepted
	if answer.Status == "done" {
		status = fasthttp.StatusOK
	}
	writeJSON(ctx, status, answer)
}

// publicCause tells a client why a command failed: what the error itself says is
// fit for clients, by a method Public, and else where to look. Other errors may
// name addresses.
func publicCause(err error) string {
	var public interface{ Public() string }
	if errors.As(err, &public) {
		return "The cause: " + public.Public() + "."
	}
	return "The cause is in the service's log."
}

// waitParameter reads ?wait=DURATION; 0 when it is not given.
func (s *Server) waitParameter(ctx *fasthttp.RequestCtx) (time.Duration, bool) {
	if !ctx.QueryArgs().Has("wait") {
		return 0, true
	}
	value := ctx.QueryArgs().Peek("wait")
	d, err := time.ParseDuration(string(value))
	if err != nil || d <= 0 || d > maxWait {
		message := fmt.Sprintf("must be a duration such as 5s, above 0 and at most %s, not %s", maxWait, quoted(value))
		s.api.problem(ctx, problem.Validation, "The query has a mistake: wait "+message+".", problem.InQuery("wait", message))
		return 0, false
	}
	return d, true
}

func (s *Server) generate(ctx *fasthttp.RequestCtx) {
	if !s.noBody(ctx) {
		return
	}
	snap := s.snapshot(ctx)
	if snap == nil {
		return
	}
	if s.opts.Generate != nil {
		wctx, cancel := context.WithTimeout(s.life, generateTimeout)
		defer cancel()
		version, err := s.opts.Generate(wctx)
		if err != nil {
			s.log.Warn("Writing the ConfigMap on request failed", zap.Error(err))
			s.api.problem(ctx, problem.Unavailable, "The ConfigMap is not up to date; it is tried again in the background. "+publicCause(err))
			return
		}
		s.opts.Catalogue.SetConfigMapVersion(version) // so that the answer shows it
		snap = s.opts.Catalogue.Snapshot()
	}
	ctx.Response.Header.SetContentTypeBytes(contentJSON)
	ctx.SetBody(snap.Toolsets().JSON())
}
