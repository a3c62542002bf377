package transport

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/problem"
	"kubernaut.io/dynamic-toolset/service"
)

// The lookup path: nothing in this file renders, locks or allocates on the way
// to a successful answer.

// Names of fields are in their canonical form, which fasthttp would otherwise
// bring them into again for each request.
var (
	contentJSON    = []byte("application/json")
	valueGzip      = []byte("gzip")
	valueNoCache   = []byte("no-cache") // may be stored, must be revalidated by its entity tag
	valueVary      = []byte("Accept-Encoding")
	headerETag     = []byte("Etag")
	headerWarning  = []byte("Warning")
	headerEncoding = []byte("Content-Encoding")
	headerCache    = []byte("Cache-Control")
	headerVary     = []byte("Vary")

	headerIfNoneMatch = []byte("If-None-Match")
)

// snapshot returns the current snapshot, or answers that there is none yet.
func (s *Server) snapshot(ctx *fasthttp.RequestCtx) *service.Snapshot {
	snap := s.opts.Catalogue.Snapshot()
	if snap == nil {
		s.api.problem(ctx, problem.Unavailable, "The service is starting: it has not read the cluster yet. Try again in a second.")
	}
	return snap
}

// readHeaders sets what every read carries.
func (s *Server) readHeaders(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.SetCanonical(headerCache, valueNoCache)
	h.SetCanonical(headerVary, valueVary)
	if w := s.status.Load().warning; w != nil {
		h.SetCanonical(headerWarning, w)
	}
}

// fresh sets the headers of a document with this entity tag, and reports whether
// the client has it already: then that is the answer.
func (s *Server) fresh(ctx *fasthttp.RequestCtx, tag []byte) bool {
	s.readHeaders(ctx)
	ctx.Response.Header.SetCanonical(headerETag, tag)
	if matches(ctx.Request.Header.PeekCanonical(headerIfNoneMatch), tag) {
		ctx.Response.SkipBody = true
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return true
	}
	ctx.Response.Header.SetContentTypeBytes(contentJSON)
	return false
}

// wantsGzip reports whether the answer shall be compressed, and says so in it.
func (s *Server) wantsGzip(ctx *fasthttp.RequestCtx) bool {
	if !acceptsGzip(ctx.Request.Header.PeekCanonical(valueVary)) {
		return false
	}
	ctx.Response.Header.SetCanonical(headerEncoding, valueGzip)
	return true
}

// send answers with a rendered body, as the client wants it.
func (s *Server) send(ctx *fasthttp.RequestCtx, b *service.Body) {
	lasting(ctx)
	switch {
	case s.fresh(ctx, b.ETag):
	case s.wantsGzip(ctx):
		ctx.Response.SetBodyRaw(b.Gzip)
	default:
		ctx.Response.SetBodyRaw(b.JSON)
	}
}

// sendList answers with the members of a list that f chooses.
func (s *Server) sendList(ctx *fasthttp.RequestCtx, c *service.Collection, f *service.Filter) {
	if f.All() {
		s.sendAnswer(ctx, c.Answer)
		return
	}
	var buf [192]byte
	if s.fresh(ctx, c.AppendETag(buf[:0], f)) {
		return
	}
	if c := connOf(ctx); c != nil && c.TooManyBodies() {
		ctx.Response.Header.SetBytesK(headerRetryAfter, "1")
		s.api.problem(ctx, problem.Unavailable, "Too many clients are slow to read the filtered lists that they asked for; try again, or ask for the whole list.")
		return
	}
	body := bodyBuffer(ctx)
	if s.wantsGzip(ctx) {
		body = c.AppendGzip(body, f)
	} else {
		body = c.AppendJSON(body, f)
	}
	setBody(ctx, body)
}

// sendAnswer answers with a whole document.
func (s *Server) sendAnswer(ctx *fasthttp.RequestCtx, a *service.Answer) {
	if body := a.Body(); body != nil {
		s.send(ctx, body)
		return
	}
	if s.fresh(ctx, a.ETag()) {
		return
	}
	lasting(ctx)
	stream := streams.Get().(*answerStream)
	size := stream.Reset(a, s.wantsGzip(ctx))
	ctx.Response.SetBodyStream(stream, size)
}

// An answerStream sends a large document from where it is: a copy for each
// connection would be as large as all that the service knows.
type answerStream struct{ service.Stream }

var streams = sync.Pool{New: func() any { return new(answerStream) }}

// SupportsBodyWriteTo lets fasthttp use WriteTo.
func (s *answerStream) SupportsBodyWriteTo() bool { return true }

// Close is called when the response was sent, or will not be.
func (s *answerStream) Close() error {
	s.Reset(nil, false) // keeps no snapshot
	streams.Put(s)
	return nil
}

// matches reports whether an If-None-Match field names tag (RFC 9110, section
// 13.1.2: a list, or "*"; compared weakly).
func matches(field, tag []byte) bool {
	if len(field) == 0 {
		return false
	}
	if len(field) == 1 && field[0] == '*' {
		return true
	}
	for len(field) > 0 {
		i := bytes.IndexByte(field, '"')
		if i < 0 {
			return false
		}
		end := bytes.IndexByte(field[i+1:], '"')
		if end < 0 {
			return false
		}
		if bytes.Equal(field[i:i+end+2], tag) {
			return true
		}
		field = field[i+end+2:]
	}
	return false
}

// acceptsGzip reports whether an Accept-Encoding field admits gzip (RFC 9110,
// section 12.5.3): it names gzip, x-gzip or * and not with q=0.
func acceptsGzip(field []byte) bool {
	any, gzip := false, -1
	for len(field) > 0 {
		item := field
		if i := bytes.IndexByte(field, ','); i >= 0 {
			item, field = field[:i], field[i+1:]
		} else {
			field = nil
		}
		coding, params, _ := bytes.Cut(item, []byte{';'})
		coding = bytes.TrimSpace(coding)
		allowed := !zeroWeight(params)
		switch {
		case equalFold(coding, "gzip"), equalFold(coding, "x-gzip"):
			gzip = 0
			if allowed {
				gzip = 1
			}
		case len(coding) == 1 && coding[0] == '*':
			any = allowed
		}
	}
	return gzip == 1 || gzip < 0 && any
}

// zeroWeight reports whether parameters say q=0, q=0.0, ...
func zeroWeight(params []byte) bool {
	for len(params) > 0 {
		p := params
		if i := bytes.IndexByte(params, ';'); i >= 0 {
			p, params = params[:i], params[i+1:]
		} else {
			params = nil
		}
		p = bytes.TrimSpace(p)
		if len(p) > 2 && (p[0] == 'q' || p[0] == 'Q') && p[1] == '=' {
			return len(bytes.Trim(p[2:], "0.")) == 0
		}
	}
	return false
}

func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c|0x20 != lower[i] && c != lower[i] {
			return false
		}
	}
	return true
}

func (s *Server) listToolsets(ctx *fasthttp.RequestCtx) {
	snap := s.snapshot(ctx)
	if snap == nil {
		return
	}
	var f service.Filter
	if s.filter(ctx, &f, true) {
		s.sendList(ctx, snap.Toolsets(), &f)
	}
}

func (s *Server) listServices(ctx *fasthttp.RequestCtx) {
	snap := s.snapshot(ctx)
	if snap == nil {
		return
	}
	var f service.Filter
	if s.filter(ctx, &f, false) {
		s.sendList(ctx, snap.Services(), &f)
	}
}

func (s *Server) getDocument(ctx *fasthttp.RequestCtx) {
	if snap := s.snapshot(ctx); snap != nil {
		s.sendAnswer(ctx, snap.Document())
	}
}

func (s *Server) getToolset(ctx *fasthttp.RequestCtx) {
	snap := s.snapshot(ctx)
	if snap == nil {
		return
	}
	name := lastSegment(ctx.URI().PathOriginal())
	namespace, ok := s.chosenNamespace(ctx)
	if !ok {
		return
	}
	body, match := snap.Lookup(name, namespace)
	if match == service.Found {
		s.send(ctx, body)
		return
	}
	s.noSingleToolset(ctx, snap, name, namespace, match)
}

// lastSegment returns what follows the last slash.
func lastSegment(path []byte) []byte { return path[bytes.LastIndexByte(path, '/')+1:] }

// exists reports whether a toolset has this name, or this type.
func (s *Server) exists(name []byte) bool {
	snap := s.opts.Catalogue.Snapshot()
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
func (s *Server) noSingleToolset(ctx *fasthttp.RequestCtx, snap *service.Snapshot, name, namespace []byte, match service.Match) {
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
		s.api.problem(ctx, problem.Conflict, fmt.Sprintf("%s stands for several toolsets; %s: %s", quoted(name), advice, strings.Join(list, ", ")+primaryOf(snap, name, namespace)))
	case s.api.onlyCommand(name):
		s.api.methodNotAllowed(ctx)
	case len(namespace) > 0:
		s.api.problem(ctx, problem.NotFound, fmt.Sprintf("No toolset in the namespace %s has the name or type %s. GET /api/v1/toolsets lists all.", quoted(namespace), quoted(name)))
	default:
		s.api.problem(ctx, problem.NotFound, fmt.Sprintf("No toolset has the name or type %s%s GET /api/v1/toolsets lists all.", quoted(name), meant(snap, name)))
	}
}
