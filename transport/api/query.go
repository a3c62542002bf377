package api

import (
	"fmt"
	"strconv"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service/snapshot"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

// filter sets f from the query of a list. states says whether the parameters enabled, healthy
// and verified are allowed. If the query is wrong it answers with all mistakes and returns
// false.
//
// A parameter that is unknown or given twice is a mistake: ignoring it would answer a
// question that was not asked.
func (a *API) filter(ctx *fasthttp.RequestCtx, f *snapshot.Filter, states bool) bool {
	args := ctx.QueryArgs()
	if args.Len() == 0 {
		return true
	}
	var wrong []problem.FieldError
	var seen [7]bool
	for key, value := range args.All() {
		param := -1
		switch string(key) {
		case "type":
			param, f.Type = 0, value
		case "namespace":
			param, f.Namespace = 1, value
		case "enabled":
			if states {
				param = 2
				wrong = parseTri(&f.Enabled, "enabled", value, wrong)
			}
		case "healthy":
			if states {
				param = 3
				wrong = parseTri(&f.Healthy, "healthy", value, wrong)
			}
		case "verified":
			if states {
				param = 6
				wrong = parseTri(&f.Verified, "verified", value, wrong)
			}
		case "limit":
			param = 4
			wrong = parseLimit(&f.Limit, value, wrong)
		case "continue":
			param = 5
			if len(value) > 0 && !f.After.Parse(value) {
				wrong = append(wrong, problem.InQuery("continue", "must be what an earlier answer has as continue; leave it out to begin at the beginning"))
			}
		}
		switch {
		case param < 0:
			known := "type, namespace, limit, continue"
			if states {
				known += ", enabled, healthy, verified"
			}
			wrong = append(wrong, problem.InQuery(reply.Clipped(key), "is not a parameter of this list; it has: "+known))
		case seen[param]:
			wrong = append(wrong, problem.InQuery(string(key), "is given more than once"))
		case param < 2 && len(value) == 0:
			wrong = append(wrong, problem.InQuery(string(key), "must not be empty; leave it out for any"))
		default:
			seen[param] = true
		}
		if len(wrong) >= 20 {
			break
		}
	}
	return a.rightQuery(ctx, wrong)
}

// chosenNamespace returns the namespace in the query of a lookup; an empty one counts as
// not given. If the query is wrong it answers so and returns false.
func (a *API) chosenNamespace(ctx *fasthttp.RequestCtx) (namespace []byte, ok bool) {
	args := ctx.QueryArgs()
	if args.Len() == 0 {
		return nil, true
	}
	var wrong []problem.FieldError
	given := false
	for key, value := range args.All() {
		switch {
		case string(key) != "namespace":
			wrong = append(wrong, problem.InQuery(reply.Clipped(key), "is not a parameter of this lookup; it has: namespace"))
		case given:
			wrong = append(wrong, problem.InQuery("namespace", "is given more than once"))
		default:
			given, namespace = true, value
		}
		if len(wrong) >= 20 {
			break
		}
	}
	return namespace, a.rightQuery(ctx, wrong)
}

// rightQuery answers a query that has mistakes, and reports whether it has none.
func (a *API) rightQuery(ctx *fasthttp.RequestCtx, wrong []problem.FieldError) bool {
	switch len(wrong) {
	case 0:
		return true
	case 1:
		a.problem(ctx, problem.Validation, "The query has a mistake; see errors.", wrong...)
	default:
		a.problem(ctx, problem.Validation, fmt.Sprintf("The query has %d mistakes; see errors.", len(wrong)), wrong...)
	}
	return false
}

// parseTri parses true or false; an empty value counts as not given, as in Kubernaut's
// service. It appends a mistake to wrong.
func parseTri(t *snapshot.Tri, field string, value []byte, wrong []problem.FieldError) []problem.FieldError {
	switch string(value) {
	case "true":
		*t = snapshot.Yes
	case "false":
		*t = snapshot.No
	case "":
	default:
		return append(wrong, problem.InQuery(field, "must be true or false, not "+reply.Quoted(value)))
	}
	return wrong
}

// maxLimit is the largest page that a client may ask for. To get everything, a client
// leaves limit out.
const maxLimit = 10_000

// parseLimit parses the number of members of a page; an empty value counts as not given.
func parseLimit(limit *int, value []byte, wrong []problem.FieldError) []problem.FieldError {
	if len(value) == 0 {
		return wrong
	}
	n := 0
	for _, c := range value {
		if n = n*10 + int(c-'0'); c < '0' || c > '9' || n > maxLimit {
			n = 0
			break
		}
	}
	if n == 0 {
		return append(wrong, problem.InQuery("limit", "must be a number from 1 to "+strconv.Itoa(maxLimit)+", not "+reply.Quoted(value)))
	}
	*limit = n
	return wrong
}
