// Package reply has what the responses of all handlers are made with: the problem document
// of every error, and the identifier that every response carries.
package reply

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
)

// A Problem makes the response to a request a problem document. What Retry-After, Allow and
// WWW-Authenticate say stays; nothing else of a response that was begun does.
type Problem func(ctx *fasthttp.RequestCtx, t *problem.Type, detail string, errs ...problem.FieldError)

// NewProblem returns a Problem that counts what it makes in set.
func NewProblem(set *metrics.Set) Problem {
	counts := map[*problem.Type]*metrics.Counter{}
	for _, t := range problem.Types() {
		counts[t] = set.NewCounter(fmt.Sprintf(`toolset_error_responses_total{status_code="%d",error_type=%q}`, t.Status, t.Name))
	}
	return func(ctx *fasthttp.RequestCtx, t *problem.Type, detail string, errs ...problem.FieldError) {
		makeProblem(ctx, t, detail, errs)
		counts[t].Inc()
	}
}

func makeProblem(ctx *fasthttp.RequestCtx, t *problem.Type, detail string, errs []problem.FieldError) {
	h := &ctx.Response.Header
	id := string(h.PeekBytes(headerRequestID))
	allow, retry := string(h.Peek(fasthttp.HeaderAllow)), string(h.PeekBytes(headerRetryAfter))
	challenge := string(h.Peek(fasthttp.HeaderWWWAuthenticate))
	ctx.Response.Reset() // nothing of a response that was begun may remain
	h.SetBytesK(headerRequestID, id)
	if allow != "" {
		h.Set(fasthttp.HeaderAllow, allow)
	}
	if challenge != "" {
		h.Set(fasthttp.HeaderWWWAuthenticate, challenge)
	}
	if retry == "" && t == problem.Unavailable {
		retry = "1"
	}
	if retry != "" {
		h.SetBytesK(headerRetryAfter, retry)
	}
	h.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.SetStatusCode(t.Status)
	if t.Title != fasthttp.StatusMessage(t.Status) { // fasthttp has the words of older RFCs
		h.SetStatusMessage([]byte(t.Title))
	}
	ctx.SetContentType(problem.ContentType)
	doc := problem.Problem{Type: t, Detail: detail, Instance: Path(ctx), RequestID: id, Errors: errs}
	ctx.SetBody(doc.JSON())
}

// Path returns the path of the request as it was sent, without query and
// fragment; "/" of a target that has none or can't be parsed.
func Path(ctx *fasthttp.RequestCtx) string {
	target := ctx.Request.Header.RequestURI()
	if len(target) == 0 || target[0] != '/' { // absolute form (RFC 9112, section 3.2.2)
		target = ctx.URI().PathOriginal()
	}
	if i := bytes.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	if len(target) == 0 || target[0] != '/' && target[0] != '*' {
		return "/"
	}
	return string(target)
}

// Quoted makes a client's input safe and short enough for a detail.
func Quoted(b []byte) string {
	if len(b) > 64 {
		return strconv.Quote(string(b[:64])) + "..."
	}
	return strconv.Quote(string(b))
}

// Clipped returns the name of a parameter, short enough for a field error.
func Clipped(key []byte) string {
	if len(key) > 64 {
		key = key[:64]
	}
	return string(key)
}

// LastSegment returns what follows the last slash of a path.
func LastSegment(path []byte) []byte { return path[bytes.LastIndexByte(path, '/')+1:] }

// RetryAfter says after how many seconds a request may be sent again.
func RetryAfter(ctx *fasthttp.RequestCtx, seconds string) {
	ctx.Response.Header.SetBytesK(headerRetryAfter, seconds)
}

// PublicCause tells a client why something failed: what the error itself says is
// fit for clients, by a method Public, and else where to look. Other errors may
// name addresses.
func PublicCause(err error) string {
	var public interface{ Public() string }
	if errors.As(err, &public) {
		return "The cause: " + public.Public() + "."
	}
	return "The cause is in the service's log."
}
