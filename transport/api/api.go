// Package api answers the requests of the API port, a file for each endpoint. Lookups are
// answered from the current snapshot of the catalogue: they render nothing, take no lock and
// allocate nothing; send.go has what they have in common.
//
// It knows neither paths nor ports: which request is for which handler, and who may call, is
// decided before.
package api

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

// Options configure an API. Discover, Generate and StreamRight may be nil.
type Options struct {
	Catalogue *service.Catalogue
	// Discover lists the cluster anew and checks all health now. nil: 503.
	Discover func(context.Context) error
	// Generate writes the ConfigMap and returns its resourceVersion. nil means
	// that nothing is written (manifests).
	Generate     func(context.Context) (version string, err error)
	MaxWatchers  int           // event streams at a time; none if negative
	WriteTimeout time.Duration // for one event of a stream
	Version      string

	Problem reply.Problem
	// StreamRight returns the right of an event stream to go on; nil if nobody is asked.
	StreamRight func(*fasthttp.RequestCtx) Right
	// RefuseCommand answers a GET of a path that is a command's alone, if name is that of a
	// command.
	RefuseCommand func(ctx *fasthttp.RequestCtx, name []byte) bool

	// Life is that of background work, which Background waits for.
	Life       context.Context
	Background *sync.WaitGroup
	Log        *zap.Logger
}

// A Right is one that grows old.
type Right interface {
	// Extend asks for it again, and returns after what time to do so once more; or why it
	// is gone.
	Extend() (again time.Duration, end string)
}

// Status is the state of the connection to the cluster.
type Status struct {
	// NotReady says why the service should get no traffic; empty when ready.
	NotReady string
	// StaleSince is when the cluster could last be read, if it can't be now:
	// answers say that they may be out of date.
	StaleSince time.Time
}

// An API has the handlers of the API port as its methods.
type API struct {
	problem       reply.Problem
	catalogue     *service.Catalogue
	discover      func(context.Context) error
	generate      func(context.Context) (string, error)
	streamRight   func(*fasthttp.RequestCtx) Right
	refuseCommand func(*fasthttp.RequestCtx, []byte) bool
	log           *zap.Logger

	version, description []byte

	status   atomic.Pointer[currentStatus]
	stopping atomic.Bool

	maxWatchers  int
	writeTimeout time.Duration
	watchers     atomic.Int64
	goodbye      chan struct{} // closed when event streams must end

	// validations has a place for each document that is being validated.
	validations chan struct{}

	life       context.Context
	background *sync.WaitGroup
	discovery  atomic.Pointer[discovery]
}

// New returns an API. SetStatus comes before the first request.
func New(o Options) *API {
	a := &API{
		problem: o.Problem, catalogue: o.Catalogue, discover: o.Discover, generate: o.Generate,
		streamRight: o.StreamRight, refuseCommand: o.RefuseCommand, log: o.Log,
		version: renderVersion(o.Version), description: renderDescription(),
		maxWatchers: o.MaxWatchers, writeTimeout: o.WriteTimeout, goodbye: make(chan struct{}),
		validations: make(chan struct{}, maxValidations),
		life:        o.Life, background: o.Background,
	}
	if a.streamRight == nil {
		a.streamRight = func(*fasthttp.RequestCtx) Right { return nil }
	}
	return a
}

// currentStatus is a Status with what is sent because of it.
type currentStatus struct {
	Status
	warning []byte // nil when the data is fresh
}

// SetStatus says how the connection to the cluster is from now on.
func (a *API) SetStatus(now Status) {
	if old := a.status.Load(); old != nil && old.Status == now {
		return
	}
	c := &currentStatus{Status: now}
	if !now.StaleSince.IsZero() {
		// Warning 110 is "Response is Stale" (RFC 7234, section 5.5.1).
		c.warning = fmt.Appendf(nil, `110 dynamic-toolset "Response is Stale: the cluster could not be read since %s"`, service.FormatTime(now.StaleSince))
	}
	a.status.Store(c)
}

// StaleSince is that of the last SetStatus.
func (a *API) StaleSince() time.Time { return a.status.Load().StaleSince }

// Stop has readiness answer 503 from now on.
func (a *API) Stop() { a.stopping.Store(true) }

// EndStreams ends the event streams with a goodbye.
func (a *API) EndStreams() { close(a.goodbye) }

// Watchers returns how many event streams there are.
func (a *API) Watchers() int64 { return a.watchers.Load() }

// IsReady reports what readiness answers.
func (a *API) IsReady() bool {
	return !a.stopping.Load() && a.catalogue.Snapshot() != nil && a.status.Load().NotReady == ""
}

// snapshot returns the current snapshot, or answers that there is none yet.
func (a *API) snapshot(ctx *fasthttp.RequestCtx) *service.Snapshot {
	snap := a.catalogue.Snapshot()
	if snap == nil {
		a.problem(ctx, problem.Unavailable, "The service is starting: it has not read the cluster yet. Try again in a second.")
	}
	return snap
}
