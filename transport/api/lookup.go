package api

import (
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service/snapshot"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

// GetToolset answers with the toolset that the path names, by its name, or by a type,
// whose primary toolset it then is.
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
	if match == snapshot.Found {
		a.send(ctx, body)
		return
	}
	a.noSingleToolset(ctx, snap, name, namespace, match)
}

// Exists reports whether there is a toolset of this name, or of this type.
func (a *API) Exists(name []byte) bool {
	snap := a.catalogue.Snapshot()
	if snap == nil {
		return false
	}
	_, match := snap.Lookup(name, nil)
	return match != snapshot.Unknown
}

// candidatesTold bounds how many toolsets the answer to an ambiguous lookup lists.
const candidatesTold = 20

// primaryOf returns a remark on the primary toolset of a type, for a name that several
// toolsets have and that is a type as well; empty if there is no such type.
func primaryOf(snap *snapshot.Snapshot, typ, namespace []byte) string {
	primary, ok := snap.Primary(typ, namespace)
	if !ok {
		return ""
	}
	return " (" + primary.String() + " is the primary of this type)"
}

// meant returns the end of a sentence, with the type that the client probably meant;
// empty if no type is similar.
func meant(snap *snapshot.Snapshot, name []byte) string {
	if near := snap.TypeLike(string(name)); near != "" {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return "."
}

// noSingleToolset answers a lookup that did not find exactly one toolset.
func (a *API) noSingleToolset(ctx *fasthttp.RequestCtx, snap *snapshot.Snapshot, name, namespace []byte, match snapshot.Match) {
	switch {
	case match == snapshot.Ambiguous:
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
