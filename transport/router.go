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

// use makes p serve routes. pass returns the check that a route's requests must pass, or
// nil.
func (p *port) use(routes []route, pass func(*route) middleware.Pass) {
	p.named = byName(routes)
	for _, r := range routes {
		h := p.chain.Handler(middleware.Endpoint{Counted: r.pattern(), Pass: pass(&r), Body: r.body, Handler: r.handler})
		for _, method := range r.methods() {
			p.routes.Handle(method, r.path, h)
		}
		if r.html {
			p.html = r.path
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
		p.notFound(ctx) // the target is not a path, and this is no proxy
		return
	}
	if path := ctx.URI().PathOriginal(); len(path) > len("//") && path[len(path)-1] == '/' {
		ctx.URI().SetPathBytes(path[:len(path)-1])
	}
	if p.html != "" && string(ctx.URI().PathOriginal()) == p.html && !acceptsHTML(ctx.Request.Header.PeekAll(fasthttp.HeaderAccept)) {
		p.notFound(ctx)
		return
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

// onlyCommand reports whether name is the name of a command, at whose path GET finds only
// toolsets of that name.
func (p *port) onlyCommand(name []byte) bool {
	return p.named != nil && p.named.commands[string(name)] != ""
}

// allow corrects the Allow field that the router has set: GET is not allowed at the path
// of a command unless a toolset has the same name.
func (p *port) allow(ctx *fasthttp.RequestCtx) {
	if p.named == nil {
		return
	}
	name := p.named.name(ctx.URI().PathOriginal())
	if p.onlyCommand(name) && !p.named.exists(name) {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, p.named.commands[string(name)])
	}
}

// options answers which methods a path has (RFC 9110, section 9.3.7). It grants nothing
// to pages of other origins: a browser's preflight request fails.
func (p *port) options(ctx *fasthttp.RequestCtx) {
	p.allow(ctx)
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}

func (p *port) methodNotAllowed(ctx *fasthttp.RequestCtx) {
	p.allow(ctx)
	p.problem(ctx, problem.MethodNotAllowed, fmt.Sprintf("The method %s is not allowed here; allowed: %s.",
		reply.Quoted(ctx.Method()), ctx.Response.Header.Peek(fasthttp.HeaderAllow)))
}

// refuseCommand answers a GET at the path of a command if no toolset has its name, and
// reports whether it did.
func (p *port) refuseCommand(ctx *fasthttp.RequestCtx, name []byte) bool {
	if !p.onlyCommand(name) {
		return false
	}
	p.methodNotAllowed(ctx)
	return true
}

// A nameRoute is a route whose path ends with a name, GET /api/v1/toolsets/{name}. Other
// routes have a fixed word in the place of the name.
type nameRoute struct {
	prefix  []byte // the path up to the name
	handler fasthttp.RequestHandler
	// words are the fixed words for which GET has another route.
	words []string
	// commands are the fixed words that have routes for other methods only. The value is
	// the Allow field to send while nothing has such a name.
	commands map[string]string
	// exists reports whether there is a toolset of this name, or of this type.
	exists func(name []byte) bool
}

// byName returns the nameRoute of a table; nil if there is none.
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

// name returns the name in a path; empty if there is none.
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

// matches reports whether a request is for this route. It spares the router, which would
// allocate to hand over the name.
func (n *nameRoute) matches(ctx *fasthttp.RequestCtx) bool {
	return n.lookup(ctx.URI().PathOriginal()) != nil && (ctx.Request.Header.IsGet() || ctx.Request.Header.IsHead())
}
