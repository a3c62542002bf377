package transport

import (
	"strings"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/transport/internal/profiles"
	"kubernaut.io/dynamic-toolset/transport/middleware"
)

// A route is what one method of a path does, and all that is to be known about it: the
// router, the authorizers, Allow, the metrics and the test against the OpenAPI description
// are made of these.
type route struct {
	method  string // GET is for HEAD as well
	path    string // {name} stands for one segment
	handler fasthttp.RequestHandler
	who     who
	body    middleware.Body

	// as is the path that it is counted and allowed as, if not its own: who counts probes,
	// or leaves them out, need not know by which name they come.
	as string
	// right is the method that must be allowed, if not its own.
	right string
}

// A who says who may ask for a route.
type who int8

const (
	everybody who = iota // without a token, as often as they like
	callers              // with Options.Auth, those who have the right; within Options.RateLimit
	operators            // with Auth.Metrics, those who have the right
)

const (
	get  = fasthttp.MethodGet
	post = fasthttp.MethodPost
)

// watch is what an event stream needs, and asks for again while it lasts.
var watch = route{method: get, path: "/api/v1/toolsets/watch", who: callers}

// apiRoutes are those of the API port. Kubernaut's API specification calls the probes
// /healthz and /readyz.
func (s *Server) apiRoutes() []route {
	return []route{
		{method: get, path: "/health", handler: s.api.Live},
		{method: get, path: "/health/live", handler: s.api.Live},
		{method: get, path: "/healthz", handler: s.api.Live, as: "/health"},
		{method: get, path: "/health/ready", handler: s.api.Ready},
		{method: get, path: "/ready", handler: s.api.Ready},
		{method: get, path: "/readyz", handler: s.api.Ready, as: "/ready"},
		{method: get, path: "/version", handler: s.api.Version},
		{method: get, path: "/openapi.json", handler: s.api.OpenAPI},

		{method: get, path: "/api/v1/toolsets", handler: s.api.ListToolsets, who: callers},
		{method: get, path: "/api/v1/toolsets/{name}", handler: s.api.GetToolset, who: callers},
		{method: watch.method, path: watch.path, handler: s.api.Watch, who: watch.who},
		{method: get, path: "/api/v1/services", handler: s.api.ListServices, who: callers},
		{method: get, path: "/api/v1/toolset", handler: s.api.GetDocument, who: callers},
		{method: post, path: "/api/v1/discover", handler: s.api.Discover, who: callers, body: middleware.JSONBody},
		{method: post, path: "/api/v1/toolsets/generate", handler: s.api.Generate, who: callers, body: middleware.JSONBody},
		{method: post, path: "/api/v1/toolsets/validate", handler: s.api.Validate, who: callers, body: middleware.JSONBody},
	}
}

// metricsRoutes are those of the metrics port. All profiles are one right, also to POST
// symbol, which only reads.
func (s *Server) metricsRoutes() []route {
	routes := []route{{method: get, path: metricsPath, handler: s.writeMetrics, who: operators}}
	if !s.opts.Pprof {
		return routes
	}
	const profile = profiles.Path + "/{profile}"
	p := profiles.New(s.life, s.problem, s.opts.Limits.WriteTimeout, s.log)
	return append(routes,
		route{method: get, path: profiles.Path, handler: p.Index, who: operators, as: profile},
		route{method: get, path: profile, handler: p.Profile, who: operators},
		route{method: get, path: profiles.Path + "/symbol", handler: p.Symbol, who: operators, as: profile},
		route{method: post, path: profiles.Path + "/symbol", handler: p.Symbol, who: operators, as: profile, right: get, body: middleware.AnyBody},
	)
}

// pattern returns the path by which the metrics and the rights know a route.
func (r *route) pattern() string {
	if r.as != "" {
		return r.as
	}
	return r.path
}

// metricsPath is the only right that has the path it has everywhere.
const metricsPath = "/metrics"

// actionRoot precedes the paths of the API in actions. Without it they would begin
// with /api/, and Kubernetes lets every authenticated user get what does: its
// default ClusterRole system:discovery has the nonResourceURL "/api/*", which is
// meant for the API server's own paths.
const actionRoot = "/dynamic-toolset"

// action returns what a caller must be allowed for a route: the method on the path below
// actionRoot, or on /metrics, as everybody has it.
//
// A HEAD is a GET of which less is seen, and needs no right of its own. The
// action of a path with a name in it ends with "*" in the name's place, whatever
// the name: so one decision serves for all names, and nobody can make up paths
// that must be decided about. That is what a rule of RBAC for all names looks
// like; a rule for a single name never matches it.
func (r *route) action() auth.Action {
	method, path := r.method, r.pattern()
	if r.right != "" {
		method = r.right
	}
	if i := strings.IndexByte(path, '{'); i >= 0 {
		path = path[:i] + "*"
	}
	if path != metricsPath {
		path = actionRoot + path
	}
	return auth.Action{Verb: strings.ToLower(method), Path: path}
}

// methods returns the methods of a route, as they are sent.
func (r *route) methods() []string {
	if r.method == get {
		return []string{get, fasthttp.MethodHead}
	}
	return []string{r.method}
}
