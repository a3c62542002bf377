// Package api has the handlers of the API port, a file for each endpoint. The methods of
// an [API] are fasthttp handlers.
//
// Lookups are answered from the current snapshot of the catalogue. They render nothing,
// take no lock and allocate nothing; send.go has what they share.
//
// The package knows no paths and no ports. The router decides which request is for which
// handler, and the middleware who may call it.
package api

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/explain"
	"kubernaut.io/dynamic-toolset/service/snapshot"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
	"kubernaut.io/dynamic-toolset/transport/mcp"
	"kubernaut.io/dynamic-toolset/transport/page"
)

// Options configure an API. Discover, Generate, Explain, PageState, StreamRight and
// RefuseCommand may be nil.
type Options struct {
	Catalogue *catalogue.Catalogue
	// Discover lists the cluster again and makes all health checks now. nil: requests for
	// it are answered with 503.
	Discover func(context.Context) error
	// Generate writes the ConfigMap and returns its resourceVersion. nil if nothing is
	// written, as with manifests.
	Generate func(context.Context) (version string, err error)
	// Explain explains a Service. The error is an *explain.Missing if there is none. nil:
	// requests for it are answered with 503.
	Explain func(context.Context, service.Key) (*explain.Document, error)
	// PageState returns what the page says about the service. It must not block.
	PageState    func() page.State
	MaxWatchers  int           // number of event streams; none if negative
	WriteTimeout time.Duration // for one event of a stream
	Version      string
	// MCPOrigins are origins of pages that may use MCP, besides those of the machine itself.
	MCPOrigins []string

	Problem reply.Problem
	Metrics *metrics.Set
	// StreamRight returns the right of an event stream to continue; nil if streams need
	// no right.
	StreamRight func(*fasthttp.RequestCtx) Right
	// RefuseCommand answers a GET at the path of a command if no toolset has its name,
	// and reports whether it did.
	RefuseCommand func(ctx *fasthttp.RequestCtx, name []byte) bool

	// Life is the context of background work; its end ends that work. Background waits
	// for the work.
	Life       context.Context
	Background *sync.WaitGroup
	Log        *zap.Logger
}

// A Right is a right that must be checked again from time to time.
type Right interface {
	// Extend checks the right again. It returns the time until the next check, or the
	// reason why the right has ended.
	Extend() (again time.Duration, end string)
}

// Status is the state of the connection to the cluster.
type Status struct {
	// NotReady says why the service should get no traffic; empty if it is ready.
	NotReady string
	// StaleSince is when the cluster could last be read; zero if it can be read now.
	// While it is set, answers say that they may be out of date.
	StaleSince time.Time
}

// An API has the handlers of the API port as methods.
type API struct {
	problem       reply.Problem
	catalogue     *catalogue.Catalogue
	discover      func(context.Context) error
	generate      func(context.Context) (string, error)
	explain       func(context.Context, service.Key) (*explain.Document, error)
	streamRight   func(*fasthttp.RequestCtx) Right
	refuseCommand func(*fasthttp.RequestCtx, []byte) bool
	log           *zap.Logger

	version, description []byte
	versionText          string

	status   atomic.Pointer[currentStatus]
	stopping atomic.Bool

	maxWatchers  int
	writeTimeout time.Duration
	watchers     atomic.Int64
	goodbye      chan struct{} // closed when event streams must end

	// validations holds a token for each document that is being validated.
	validations chan struct{}
	// explanations holds a token for each explanation that is being made.
	explanations chan struct{}

	mcp        *mcp.Server
	mcpOrigins []string
	toolCalls  toolCalls

	page      *page.Page
	pageState func() page.State
	// drawings holds a token for each page that is being drawn.
	drawings chan struct{}

	life       context.Context
	background *sync.WaitGroup
	discovery  atomic.Pointer[discovery]
}

// New returns an API. SetStatus must be called before the first request.
func New(o Options) *API {
	a := &API{
		problem: o.Problem, catalogue: o.Catalogue, discover: o.Discover, generate: o.Generate, explain: o.Explain,
		streamRight: o.StreamRight, refuseCommand: o.RefuseCommand, log: o.Log,
		version: renderVersion(o.Version), versionText: o.Version, description: renderDescription(),
		maxWatchers: o.MaxWatchers, writeTimeout: o.WriteTimeout, goodbye: make(chan struct{}),
		validations: make(chan struct{}, maxValidations), explanations: make(chan struct{}, maxExplanations),
		page: page.New(), pageState: o.PageState, drawings: make(chan struct{}, maxDrawings),
		life: o.Life, background: o.Background,
	}
	a.mcp, a.mcpOrigins, a.toolCalls = NewMCP(o.Version, a.view), o.MCPOrigins, newToolCalls(o.Metrics)
	if a.streamRight == nil {
		a.streamRight = func(*fasthttp.RequestCtx) Right { return nil }
	}
	return a
}

// currentStatus is a Status with the header that follows from it.
type currentStatus struct {
	Status
	warning []byte // nil while the data is current
}

// SetStatus sets the state of the connection to the cluster.
func (a *API) SetStatus(now Status) {
	if old := a.status.Load(); old != nil && old.Status == now {
		return
	}
	c := &currentStatus{Status: now}
	if !now.StaleSince.IsZero() {
		// Warning 110 is "Response is Stale" (RFC 7234, section 5.5.1).
		c.warning = fmt.Appendf(nil, `110 dynamic-toolset "Response is Stale: the cluster could not be read since %s"`, snapshot.FormatTime(now.StaleSince))
	}
	a.status.Store(c)
}

// StaleSince returns the StaleSince of the current Status.
func (a *API) StaleSince() time.Time { return a.status.Load().StaleSince }

// Stop makes readiness answer 503 from now on.
func (a *API) Stop() { a.stopping.Store(true) }

// EndStreams ends all event streams, with a goodbye event.
func (a *API) EndStreams() { close(a.goodbye) }

// Watchers returns the number of open event streams.
func (a *API) Watchers() int64 { return a.watchers.Load() }

// IsReady reports whether readiness answers 200.
func (a *API) IsReady() bool {
	return !a.stopping.Load() && a.catalogue.Snapshot() != nil && a.status.Load().NotReady == ""
}

// snapshot returns the current snapshot. If there is none yet it answers so and returns
// nil.
func (a *API) snapshot(ctx *fasthttp.RequestCtx) *snapshot.Snapshot {
	snap := a.catalogue.Snapshot()
	if snap == nil {
		a.problem(ctx, problem.Unavailable, startingText)
	}
	return snap
}

const startingText = "The service is starting: it has not read the cluster yet. Try again in a second."
