// Package reply has what all handlers use to make responses: the problem document of
// every error ([Problem]), and the identifier of every response ([SetRequestID]).
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

// A Problem turns the response to a request into a problem document. It keeps the fields
// Retry-After, Allow and WWW-Authenticate, and drops everything else of a response that
// was begun.
type Problem func(ctx *fasthttp.RequestCtx, t *problem.Type, detail string, errs ...problem.FieldError)

// NewProblem returns a Problem that counts the documents in set, by type.
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
	ctx.Response.Reset() // drops what a handler may have begun
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
	if t.Title != fasthttp.StatusMessage(t.Status) { // fasthttp has the titles of older RFCs
		h.SetStatusMessage([]byte(t.Title))
	}
	ctx.SetContentType(problem.ContentType)
	doc := problem.Problem{Type: t, Detail: detail, Instance: Path(ctx), RequestID: id, Errors: errs}
	ctx.SetBody(doc.JSON())
}

// Path returns the path of the request as it was sent, without query and fragment; "/" if
// the target has no path or can't be parsed.
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

// Quoted returns a client's input quoted, escaped and cut, for use in a detail.
func Quoted(b []byte) string {
	if len(b) > 64 {
		return strconv.Quote(string(b[:64])) + "..."
	}
	return strconv.Quote(string(b))
}

// Clipped returns the name of a parameter, cut for use in a field error.
func Clipped(key []byte) string {
	if len(key) > 64 {
		key = key[:64]
	}
	return string(key)
}

// LastSegment returns the part of a path behind its last slash.
func LastSegment(path []byte) []byte { return path[bytes.LastIndexByte(path, '/')+1:] }

// RetryAfter sets the field Retry-After, in seconds.
func RetryAfter(ctx *fasthttp.RequestCtx, seconds string) {
	ctx.Response.Header.SetBytesK(headerRetryAfter, seconds)
}

// PublicCause returns a sentence about err for clients. If err, or an error that it
// wraps, has a method Public() string, that is the sentence. Other errors may contain
// addresses, and the sentence says to look into the log.
func PublicCause(err error) string {
	var public interface{ Public() string }
	if errors.As(err, &public) {
		return "The cause: " + public.Public() + "."
	}
	return "The cause is in the service's log."
}
