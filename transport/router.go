package transport

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
	"kubernaut.io/dynamic-toolset/transport/middleware"
)

// use makes p serve routes, those that need it behind what pass returns for them.
func (p *port) use(routes []route, pass func(*route) middleware.Pass) {
	p.named = byName(routes)
	for _, r := range routes {
		h := p.chain.Handler(middleware.Endpoint{Counted: r.pattern(), Pass: pass(&r), Body: r.body, Handler: r.handler})
		for _, method := range r.methods() {
			p.routes.Handle(method, r.path, h)
		}
		if p.named != nil && r.path == string(p.named.prefix)+"{name}" {
			p.named.handler = h
		}
	}
}

// route finds the handler of a request. A trailing slash makes no difference:
// the router could only redirect, which would turn a POST into a GET.
func (p *port) route(ctx *fasthttp.RequestCtx) {
	if ctx.Request.Header.IsConnect() && ctx.Request.Header.RequestURI()[0] != '/' {
		p.notFound(ctx) // there is no path in it, and this is no proxy
		return
	}
	if path := ctx.URI().PathOriginal(); len(path) > 1 && path[len(path)-1] == '/' {
		ctx.URI().SetPathBytes(path[:len(path)-1])
	}
	if p.named != nil && p.named.matches(ctx) {
		p.named.handler(ctx)
		return
	}
	p.routes.Handler(ctx)
}

func (p *port) answerNotFound(ctx *fasthttp.RequestCtx) {
	p.problem(ctx, problem.NotFound, "There is nothing at this path. GET /openapi.json on the API port lists what there is.")
}

// onlyCommand reports whether a name is that of a command, beside which GET has a route for
// all names.
func (p *port) onlyCommand(name []byte) bool {
	return p.named != nil && p.named.commands[string(name)] != ""
}

// allow corrects the Allow field that the router has set: while nothing has the name of a
// command, there is nothing to get at its path.
func (p *port) allow(ctx *fasthttp.RequestCtx) {
	if p.named == nil {
		return
	}
	name := p.named.name(ctx.URI().PathOriginal())
	if p.onlyCommand(name) && !p.named.exists(name) {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, p.named.commands[string(name)])
	}
}

// options says which methods a path has (RFC 9110, section 9.3.7). It grants
// nothing to pages of other origins: a browser's preflight fails.
func (p *port) options(ctx *fasthttp.RequestCtx) {
	p.allow(ctx)
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}

func (p *port) methodNotAllowed(ctx *fasthttp.RequestCtx) {
	p.allow(ctx)
	p.problem(ctx, problem.MethodNotAllowed, fmt.Sprintf("The method %s is not allowed here; allowed: %s.",
		reply.Quoted(ctx.Method()), ctx.Response.Header.Peek(fasthttp.HeaderAllow)))
}

// refuseCommand answers a GET of a name that is that of a command, and of nothing else.
func (p *port) refuseCommand(ctx *fasthttp.RequestCtx, name []byte) bool {
	if !p.onlyCommand(name) {
		return false
	}
	p.methodNotAllowed(ctx)
	return true
}

// A nameRoute is a route with a name at the end of its path, GET /api/v1/toolsets/{name},
// beside others that have a fixed word there.
type nameRoute struct {
	prefix  []byte // of the path, up to the name
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
	prefix := strings.TrimSuffix(routes[i].path, "{name}")
	n := &nameRoute{prefix: []byte(prefix), commands: map[string]string{}}
	allowed := map[string][]string{}
	for _, r := range routes {
		if word, below := strings.CutPrefix(r.path, prefix); below && word != "{name}" {
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

// name returns the name in a path; nothing if there is none.
func (n *nameRoute) name(path []byte) []byte {
	if !bytes.HasPrefix(path, n.prefix) {
		return nil
	}
	name := path[len(n.prefix):]
	if bytes.IndexByte(name, '/') >= 0 {
		return nil
	}
	return name
}

// matches reports whether a request is for the route. The router would know as well, but
// hands the name over in a way that allocates.
func (n *nameRoute) matches(ctx *fasthttp.RequestCtx) bool {
	name := n.name(ctx.URI().PathOriginal())
	if len(name) == 0 || !ctx.Request.Header.IsGet() && !ctx.Request.Header.IsHead() {
		return false
	}
	for _, word := range n.words {
		if string(name) == word {
			return false
		}
	}
	return true
}
