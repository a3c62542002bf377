package api

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/explain"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

const (
	// maxExplanations bounds how many explanations are made at the same time. Each may
	// make a few calls to the API server, which watching needs as well.
	maxExplanations = 4
	// explainTimeout bounds the time for one.
	explainTimeout = 5 * time.Second
)

// Explain answers why the Service that the path names is a toolset or not. It is no lookup:
// it may ask the cluster.
func (a *API) Explain(ctx *fasthttp.RequestCtx) {
	if !a.noQuery(ctx) || a.snapshot(ctx) == nil {
		return
	}
	document, ok := a.explained(ctx, service.Key{Namespace: pathValue(ctx, "namespace"), Name: pathValue(ctx, "name")})
	if !ok {
		return
	}
	ctx.Response.Header.SetCanonical(headerCache, valueNoStore)
	if w := a.status.Load().warning; w != nil {
		ctx.Response.Header.SetCanonical(headerWarning, w)
	}
	body, err := document.JSON()
	if err != nil { // a document always marshals
		panic(err)
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}

// explained returns the explanation of a Service. If there is none it answers so and returns
// false.
func (a *API) explained(ctx *fasthttp.RequestCtx, key service.Key) (document *explain.Document, ok bool) {
	document, refused := a.explanation(key)
	if refused != nil {
		a.problem(ctx, refused.as, refused.text)
		return nil, false
	}
	return document, true
}

// A refusal says why there is no answer.
type refusal struct {
	as   *problem.Type
	text string
}

// explanation returns the explanation of a Service, or why there is none.
func (a *API) explanation(key service.Key) (*explain.Document, *refusal) {
	if a.explain == nil {
		return nil, &refusal{problem.Unavailable, "There is no cluster whose Services could be explained."}
	}
	select {
	case a.explanations <- struct{}{}:
		defer func() { <-a.explanations }()
	default:
		return nil, &refusal{problem.Unavailable, "The service explains as many Services as it can at the same time; try again."}
	}
	wait, cancel := context.WithTimeout(a.life, explainTimeout)
	defer cancel()
	document, err := a.explain(wait, key)
	if missing, ok := errors.AsType[*explain.Missing](err); ok {
		return nil, &refusal{problem.NotFound, "There is no Service " + ended(missing.Which())}
	}
	if err != nil {
		a.log.Warn("A Service could not be explained", zap.Stringer("service", key), zap.Error(err))
		return nil, &refusal{problem.Unavailable, "The Service could not be read from the cluster. " + reply.PublicCause(err)}
	}
	return document, nil
}

var valueNoStore = []byte("no-store")

// pathValue returns a part of the path, as it was sent. It is a copy, as fasthttp uses the
// memory of a request again.
func pathValue(ctx *fasthttp.RequestCtx, name string) string {
	value, _ := ctx.UserValue(name).(string)
	return strings.Clone(value)
}

// ended returns a sentence with its full stop, unless it is a question.
func ended(s string) string {
	if strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

// noQuery answers a query of a request that has no parameters, and reports whether there
// is none.
func (a *API) noQuery(ctx *fasthttp.RequestCtx) bool {
	var wrong []problem.FieldError
	for key := range ctx.QueryArgs().All() {
		if wrong = append(wrong, problem.InQuery(reply.Clipped(key), "is not a parameter of this request; it has none")); len(wrong) >= 20 {
			break
		}
	}
	return a.rightQuery(ctx, wrong)
}
