package api

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/explain"
	"kubernaut.io/dynamic-toolset/service/tools"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
	"kubernaut.io/dynamic-toolset/transport/mcp"
)

// This file is the Model Context Protocol over HTTP. What the protocol itself answers, an
// error included, is JSON-RPC; every other error is a problem document. The protocol wants
// the statuses 400 and 404 for some of its own errors (transports/streamable-http), and
// clients recognise them by a body that has nothing but JSON-RPC.

// Names of fields in canonical form.
const (
	headerMCPVersion = "Mcp-Protocol-Version"
	headerMCPMethod  = "Mcp-Method"
	headerMCPName    = "Mcp-Name"
)

// errStarting means that the cluster has not been read yet.
var errStarting = errors.New("the cluster has not been read yet")

// NewMCP returns a Server of the tools. view returns what they read now; without a Snapshot
// no tool is called.
func NewMCP(version string, view func() tools.View) *mcp.Server {
	return mcp.New(mcp.Options{
		Name: "dynamic-toolset", Version: version, Instructions: tools.Instructions, Definitions: tools.Definitions(), Tools: tools.Names,
		Call: func(ctx context.Context, tool string, arguments []byte) ([]byte, string, error) {
			v := view()
			switch {
			case v.Snapshot == nil && v.Unread != "":
				return nil, v.Unread, nil
			case v.Snapshot == nil:
				return nil, "", errStarting
			}
			result, err := v.Call(ctx, tool, arguments)
			if refusal, ok := errors.AsType[*tools.Refusal](err); ok {
				return nil, refusal.Text, nil
			}
			return result, "", err
		},
	})
}

// view returns what tools read.
func (a *API) view() tools.View {
	health, identity := a.catalogue.Asks()
	v := tools.View{Snapshot: a.catalogue.Snapshot(), StaleSince: a.StaleSince(), Unchecked: !health, Unasked: !identity}
	if a.explain != nil {
		v.Explain = a.explainToAgent
	}
	return v
}

// explainToAgent is explanation with errors that agents may see.
func (a *API) explainToAgent(_ context.Context, key service.Key) (*explain.Document, error) {
	document, refused := a.explanation(key)
	if refused != nil {
		return nil, &tools.Refusal{Text: refused.text}
	}
	return document, nil
}

// toolCalls counts the calls of tools.
type toolCalls map[string][2]*metrics.Counter // answered, and refused

func newToolCalls(set *metrics.Set) toolCalls {
	calls := toolCalls{}
	for _, tool := range tools.Names {
		calls[tool] = [2]*metrics.Counter{
			set.NewCounter(fmt.Sprintf("toolset_mcp_calls_total{tool=%q,result=\"ok\"}", tool)),
			set.NewCounter(fmt.Sprintf("toolset_mcp_calls_total{tool=%q,result=\"refused\"}", tool)),
		}
	}
	return calls
}

// MCP answers a message of the Model Context Protocol.
func (a *API) MCP(ctx *fasthttp.RequestCtx) {
	h := &ctx.Request.Header
	for _, origin := range h.PeekAll(fasthttp.HeaderOrigin) {
		if !a.ownOrigin(string(origin)) {
			a.problem(ctx, problem.Forbidden, "Pages of the origin "+reply.Quoted(origin)+" may not use this service. An administrator can allow them with --mcp-origins.")
			return
		}
	}
	for _, name := range [...]string{headerMCPVersion, headerMCPMethod, headerMCPName} {
		if len(h.PeekAll(name)) > 1 {
			a.problem(ctx, problem.Validation, "The header field "+name+" is there more than once.")
			return
		}
	}
	r := a.mcp.Answer(a.life, &mcp.Header{Version: h.Peek(headerMCPVersion), Method: h.Peek(headerMCPMethod), Name: h.Peek(headerMCPName)}, ctx.Request.Body())
	if r.Err != nil { // errStarting: everything else is told to the agent
		a.problem(ctx, problem.Unavailable, startingText)
		return
	}
	if calls, ok := a.toolCalls[r.Tool]; ok {
		if r.Failed {
			calls[1].Inc()
		} else {
			calls[0].Inc()
		}
	}
	ctx.Response.Header.SetCanonical(headerCache, valueNoStore)
	if w := a.status.Load().warning; w != nil {
		ctx.Response.Header.SetCanonical(headerWarning, w)
	}
	ctx.SetStatusCode(r.Status)
	if r.Body == nil {
		return
	}
	ctx.Response.Header.SetContentTypeBytes(contentJSON)
	lasting(ctx)
	ctx.Response.SetBodyRaw(r.Body)
}

// ownOrigin reports whether a page of this origin may send messages. A browser sends the
// origin of the page with every POST, so that a page of somebody else can't use a service
// that the browser can reach, not even under a name of its own that leads here (DNS
// rebinding). Programs send none. Pages of the machine itself may: they are no one else's.
func (a *API) ownOrigin(origin string) bool {
	if slices.Contains(a.mcpOrigins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" {
		return false
	}
	switch strings.ToLower(u.Hostname()) {
	case "localhost", "127.0.0.1", "::1":
		return true
	}
	return false
}
