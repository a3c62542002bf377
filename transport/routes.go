package transport

import (
	"bytes"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/auth"
)

// A route is what one method of a path does, and all that is to be known about it: the
// router, the authorizers, Allow, the metrics and the test against the OpenAPI description
// are made of these.
type route struct {
	method  string // GET is for HEAD as well
	path    string // {name} stands for one segment
	handler fasthttp.RequestHandler
	who     who
	body    body

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

// A body says what body a route takes.
type body int8

const (
	bodyless body = iota // none: what is sent is not read
	jsonBody             // one of the type application/json, or an empty one of that type
	anyBody
)

const (
	get  = fasthttp.MethodGet
	post = fasthttp.MethodPost
)

// watchPath is also that by which an event stream asks for its right again.
const watchPath = "/api/v1/toolsets/watch"

// apiRoutes are those of the API port. Kubernaut's API specification calls the probes
// /healthz and /readyz.
func (s *Server) apiRoutes() []route {
	return []route{
		{method: get, path: "/health", handler: s.live},
		{method: get, path: "/health/live", handler: s.live},
		{method: get, path: "/healthz", handler: s.live, as: "/health"},
		{method: get, path: "/health/ready", handler: s.ready},
		{method: get, path: "/ready", handler: s.ready},
		{method: get, path: "/readyz", handler: s.ready, as: "/ready"},
		{method: get, path: "/version", handler: s.version()},
		{method: get, path: "/openapi.json", handler: s.openAPI()},

		{method: get, path: "/api/v1/toolsets", handler: s.listToolsets, who: callers},
		{method: get, path: "/api/v1/toolsets/{name}", handler: s.getToolset, who: callers},
		{method: get, path: watchPath, handler: s.watch, who: callers},
		{method: get, path: "/api/v1/services", handler: s.listServices, who: callers},
		{method: get, path: "/api/v1/toolset", handler: s.getDocument, who: callers},
		{method: post, path: "/api/v1/discover", handler: s.discover, who: callers, body: jsonBody},
		{method: post, path: "/api/v1/toolsets/generate", handler: s.generate, who: callers, body: jsonBody},
		{method: post, path: "/api/v1/toolsets/validate", handler: s.validate, who: callers, body: jsonBody},
	}
}

// metricsRoutes are those of the metrics port. All profiles are one right, also to POST
// symbol, which only reads.
func (s *Server) metricsRoutes() []route {
	routes := []route{{method: get, path: metricsPath, handler: s.writeMetrics, who: operators}}
	if !s.opts.Pprof {
		return routes
	}
	const profile = pprofPath + "/{profile}"
	p := newProfiler(s)
	return append(routes,
		route{method: get, path: pprofPath, handler: p.index, who: operators, as: profile},
		route{method: get, path: profile, handler: p.profile, who: operators},
		route{method: get, path: pprofPath + "/symbol", handler: p.symbol, who: operators, as: profile},
		route{method: post, path: pprofPath + "/symbol", handler: p.symbol, who: operators, as: profile, right: get, body: anyBody},
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

// A nameRoute is a route with a name at the end of its path, GET /api/v1/toolsets/{name},
// beside others that have a fixed word there.
type nameRoute struct {
	prefix  string // of the path, up to the name
	handler fasthttp.RequestHandler
	// words are those that GET has another route for.
	words []string
	// commands are those that only other methods have a route for, with what Allow lists for
	// them while nothing has such a name.
	commands map[string]string
	// exists reports whether something has a name.
	exists func(name []byte) bool
}

// byName returns the nameRoute of a table, nil if there is none.
func byName(routes []route) *nameRoute {
	i := slices.IndexFunc(routes, func(r route) bool { return strings.HasSuffix(r.path, "/{name}") })
	if i < 0 {
		return nil
	}
	n := &nameRoute{prefix: strings.TrimSuffix(routes[i].path, "{name}"), commands: map[string]string{}}
	allowed := map[string][]string{}
	for _, r := range routes {
		if word, below := strings.CutPrefix(r.path, n.prefix); below && word != "{name}" {
			allowed[word] = append(allowed[word], r.methods()...)
		}
	}
	for word, methods := range allowed {
		if slices.Contains(methods, get) {
			n.words = append(n.words, word)
			continue
		}
		methods = append(methods, fasthttp.MethodOptions)
		slices.Sort(methods)
		n.commands[word] = strings.Join(methods, ", ")
	}
	return n
}

// name returns the name in a path; false if there is none.
func (n *nameRoute) name(path []byte) ([]byte, bool) {
	if len(path) <= len(n.prefix) || string(path[:len(n.prefix)]) != n.prefix {
		return nil, false
	}
	name := path[len(n.prefix):]
	return name, bytes.IndexByte(name, '/') < 0
}

// matches reports whether a request is for the route. The router would know as well, but
// hands the name over in a way that allocates.
func (n *nameRoute) matches(ctx *fasthttp.RequestCtx) bool {
	name, ok := n.name(ctx.URI().PathOriginal())
	if !ok || !ctx.Request.Header.IsGet() && !ctx.Request.Header.IsHead() {
		return false
	}
	for _, word := range n.words {
		if string(name) == word {
			return false
		}
	}
	return true
}
