package profiles

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

// FuzzProfileQuery looks for queries that ask for more time than is allowed, that
// net/http/pprof reads differently from the check, or whose refusal is not a problem
// document.
func FuzzProfileQuery(f *testing.F) {
	for _, query := range []string{"", "seconds=30", "seconds=30&debug=0&gc=1", "seconds=30;debug=1", "seconds=%33%30", "seconds=+1", "seconds=0x10", "a&b&c", "seconds=&seconds=", "%"} {
		f.Add(query)
	}
	p := New(f.Context(), reply.NewProblem(metrics.NewSet()), time.Second, zap.NewNop())
	f.Fuzz(func(t *testing.T, query string) {
		var req fasthttp.Request
		req.SetRequestURI("/debug/pprof/heap")
		ctx := &fasthttp.RequestCtx{}
		ctx.Init(&req, nil, nil)
		ctx.URI().SetQueryString(query)
		reply.SetRequestID(ctx)
		q, ok := p.query(ctx, "seconds", "debug", "gc")
		if !ok {
			var d struct {
				Status int
				Errors []problem.FieldError
			}
			if err := json.Unmarshal(ctx.Response.Body(), &d); err != nil || ctx.Response.StatusCode() != 400 || d.Status != 400 || len(d.Errors) == 0 || len(d.Errors) > 20 {
				t.Errorf("%q is refused by %s", query, &ctx.Response)
			}
			return
		}
		if q.duration < 0 || q.duration > maxProfileSeconds*time.Second || q.duration%time.Second != 0 || (q.duration > 0) != q.values.Has("seconds") {
			t.Errorf("%q lasts %s: %v", query, q.duration, q.values)
		}
		for name, values := range q.values {
			if len(values) != 1 || name != "seconds" && values[0] != "0" && values[0] != "1" && values[0] != "2" {
				t.Errorf("%q hands on %v", query, q.values)
			}
		}
	})
}
