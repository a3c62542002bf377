package transport

import (
	"strings"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/transport/internal/profiles"
	"kubernaut.io/dynamic-toolset/transport/middleware"
)

// A route is one method of a path, with everything that is to be known about it. The
// router, the authorizers, the Allow field, the metrics and the test against the OpenAPI
// description all use these.
type route struct {
	method  string // GET includes HEAD
	path    string // {name} stands for one segment
	handler fasthttp.RequestHandler
	who     who
	body    middleware.Body
	// html means that the path exists only for clients that accept HTML. For others it is
	// one where there is nothing.
	html bool

	// as is the path under which metrics and rights know the route, if not its own. So
	// whoever counts probes, or leaves them out, need not know all their names.
	as string
	// right is the method that callers must be allowed, if not the route's own.
	right string
}

// A who says who may call a route.
type who int8

const (
	everybody who = iota // no token is needed, and no rate limit applies
	callers              // with Options.Auth, callers with the right to it; within Options.RateLimit
	operators            // with Auth.Metrics, callers with the right to it
)

const (
	get  = fasthttp.MethodGet
	post = fasthttp.MethodPost
)

// watch is the route of event streams. A stream needs the right to it, and is checked
// again while it lasts.
var watch = route{method: get, path: "/api/v1/toolsets/watch", who: callers}

// apiRoutes returns the routes of the API port. /healthz and /readyz are the names of the
// probes in Kubernaut's API specification.
func (s *Server) apiRoutes() []route {
	return []route{
		{method: get, path: "/", handler: s.api.Page, who: callers, html: true},
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
		{method: get, path: "/api/v1/services/{namespace}/{name}/explain", handler: s.api.Explain, who: callers},
		{method: get, path: "/api/v1/toolset", handler: s.api.GetDocument, who: callers},
		{method: post, path: "/mcp", handler: s.api.MCP, who: callers, body: middleware.JSONBody, right: get}, // it only reads
		{method: post, path: "/api/v1/discover", handler: s.api.Discover, who: callers, body: middleware.JSONBody},
		{method: post, path: "/api/v1/toolsets/generate", handler: s.api.Generate, who: callers, body: middleware.JSONBody},
		{method: post, path: "/api/v1/toolsets/validate", handler: s.api.Validate, who: callers, body: middleware.JSONBody},
	}
}

// metricsRoutes returns the routes of the metrics port. One right covers all profiles,
// including POST to symbol, which only reads.
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

// pattern returns the path under which metrics and rights know the route.
func (r *route) pattern() string {
	if r.as != "" {
		return r.as
	}
	return r.path
}

// metricsPath is the only path that has no actionRoot in actions: it is the same for
// every service.
const metricsPath = "/metrics"

// actionRoot precedes the paths of the API in actions. Without it they would begin with
// /api/, and Kubernetes lets every authenticated user get such paths: its default
// ClusterRole system:discovery has the nonResourceURL "/api/*", for the paths of the API
// server itself.
const actionRoot = "/dynamic-toolset"

// action returns what a caller must be allowed in order to use the route: the method, on
// the path below actionRoot, or on /metrics, which has the same path everywhere.
//
// HEAD shows less than GET and needs no right of its own. Where a path ends with a name,
// the action's path ends with "*" instead. So one decision serves for all names, and
// nobody can make up paths that each need a decision. In RBAC that is a rule for all
// names; a rule for a single name never matches.
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

// methods returns the methods of a route in the form in which they are sent.
func (r *route) methods() []string {
	if r.method == get {
		return []string{get, fasthttp.MethodHead}
	}
	return []string{r.method}
}
