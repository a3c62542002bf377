package api

import (
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

// GetToolset answers with the toolset that the path names: by its name, or the primary of a
// type.
func (a *API) GetToolset(ctx *fasthttp.RequestCtx) {
	snap := a.snapshot(ctx)
	if snap == nil {
		return
	}
	name := reply.LastSegment(ctx.URI().PathOriginal())
	namespace, ok := a.chosenNamespace(ctx)
	if !ok {
		return
	}
	body, match := snap.Lookup(name, namespace)
	if match == service.Found {
		a.send(ctx, body)
		return
	}
	a.noSingleToolset(ctx, snap, name, namespace, match)
}

// Exists reports whether a toolset has this name, or this type.
func (a *API) Exists(name []byte) bool {
	snap := a.catalogue.Snapshot()
	if snap == nil {
		return false
	}
	_, match := snap.Lookup(name, nil)
	return match != service.Unknown
}

// candidatesTold is how many toolsets are named in the answer to a lookup that may
// mean more.
const candidatesTold = 20

// primaryOf says which toolset is the primary of a type, for those who ask for several
// by a name that is a type, too; empty if it is none.
func primaryOf(snap *service.Snapshot, typ, namespace []byte) string {
	primary, ok := snap.Primary(typ, namespace)
	if !ok {
		return ""
	}
	return " (" + primary.String() + " is the primary of this type)"
}

// meant ends a sentence with the type that the client may have meant by name, if one is like
// it.
func meant(snap *service.Snapshot, name []byte) string {
	if near := snap.TypeLike(string(name)); near != "" {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return "."
}

// noSingleToolset answers a lookup by name that did not find exactly one.
func (a *API) noSingleToolset(ctx *fasthttp.RequestCtx, snap *service.Snapshot, name, namespace []byte, match service.Match) {
	switch {
	case match == service.Ambiguous:
		var list []string
		for i, k := range snap.Candidates(name, namespace, candidatesTold+1) {
			if i == candidatesTold {
				list = append(list, "...")
				break
			}
			list = append(list, k.String())
		}
		advice := "choose one with ?namespace="
		if len(namespace) > 0 {
			advice = "ask for one by its name"
		}
		a.problem(ctx, problem.Conflict, fmt.Sprintf("%s stands for several toolsets; %s: %s", reply.Quoted(name), advice, strings.Join(list, ", ")+primaryOf(snap, name, namespace)))
	case a.refuseCommand(ctx, name):
	case len(namespace) > 0:
		a.problem(ctx, problem.NotFound, fmt.Sprintf("No toolset in the namespace %s has the name or type %s. GET /api/v1/toolsets lists all.", reply.Quoted(namespace), reply.Quoted(name)))
	default:
		a.problem(ctx, problem.NotFound, fmt.Sprintf("No toolset has the name or type %s%s GET /api/v1/toolsets lists all.", reply.Quoted(name), meant(snap, name)))
	}
}
