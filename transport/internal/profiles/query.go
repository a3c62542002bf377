package profiles

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

// A profileQuery is the parsed query of a request for a profile.
type profileQuery struct {
	duration time.Duration // 0 if it is not given
	values   url.Values    // the query for the handler of net/http/pprof
}

// query parses the query of a request for a profile. If it is wrong it answers with all
// mistakes and returns false. net/http/pprof would take a duration that is not a number
// for 30 s.
func (p *Profiler) query(ctx *fasthttp.RequestCtx, params ...string) (q profileQuery, ok bool) {
	var wrong []problem.FieldError
	fail := func(field, format string, args ...any) {
		wrong = append(wrong, problem.InQuery(field, fmt.Sprintf(format, args...)))
	}
	q.values = url.Values{}
	for key, value := range ctx.QueryArgs().All() {
		name := string(key)
		switch {
		case len(wrong) >= 20:
		case !slices.Contains(params, name):
			fail(reply.Clipped(key), "is not a parameter of this profile; it has: %s", strings.Join(params, ", "))
		case q.values.Has(name):
			fail(name, "is given more than once")
		case len(value) == 0: // counts as not given
		case name == "seconds":
			n, err := strconv.Atoi(string(value))
			if err != nil || n < 1 || n > maxProfileSeconds {
				fail(name, "must be a whole number from 1 to %d, not %s", maxProfileSeconds, reply.Quoted(value))
			}
			q.duration = time.Duration(n) * time.Second
			q.values.Set(name, string(value))
		default:
			if len(value) > 1 || value[0] < '0' || value[0] > '2' {
				fail(name, "must be 0, 1 or 2, not %s", reply.Quoted(value))
			}
			q.values.Set(name, string(value))
		}
	}
	switch {
	case len(wrong) == 1:
		p.problem(ctx, problem.Validation, "The query has a mistake; see errors.", wrong...)
	case len(wrong) > 1:
		p.problem(ctx, problem.Validation, fmt.Sprintf("The query has %d mistakes; see errors.", len(wrong)), wrong...)
	}
	return q, len(wrong) == 0
}
