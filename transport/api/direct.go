package api

import (
	"strconv"

	"kubernaut.io/dynamic-toolset/service/snapshot"
	"kubernaut.io/dynamic-toolset/transport/internal/head"
)

// largestDirect is the length of the longest body that is copied to be sent. Larger ones
// are sent from where they are, which is for the server.
const largestDirect = 16 << 10

// Toolset returns what GetToolset answers to a plain request, if it succeeds; else nil.
func (a *API) Toolset(name []byte) *snapshot.Body {
	snap := a.catalogue.Snapshot()
	if snap == nil {
		return nil
	}
	body, match := snap.Lookup(name, nil)
	if match != snapshot.Found {
		return nil
	}
	return body
}

// A Reply is a document as it is sent to one client.
type Reply struct {
	Status int
	body   *snapshot.Body
	packed bool
}

// ReplyTo returns the reply with a document to a request; false if it is too large.
func ReplyTo(h *head.Head, b *snapshot.Body) (Reply, bool) {
	r := Reply{Status: 200, body: b}
	if h.IfNoneMatch != nil && matches(h.IfNoneMatch, b.ETag) {
		r.Status = 304
		return r, true
	}
	r.packed = h.Encoding != nil && acceptsGzip(h.Encoding)
	return r, len(r.content()) <= largestDirect
}

func (r *Reply) content() []byte {
	switch {
	case r.Status == 304:
		return nil
	case r.packed:
		return r.body.Gzip
	}
	return r.body.JSON
}

// AppendContentFields appends the fields that come before all others.
func (r *Reply) AppendContentFields(to []byte) []byte {
	if r.Status == 304 {
		return to
	}
	to = append(to, "Content-Type: application/json\r\n"...)
	if r.packed {
		to = append(to, "Content-Encoding: gzip\r\n"...)
	}
	to = append(to, "Content-Length: "...)
	return append(strconv.AppendInt(to, int64(len(r.content())), 10), "\r\n"...)
}

// AppendFields appends the fields of readHeaders and fresh.
func (a *API) AppendFields(to []byte, r *Reply) []byte {
	to = append(to, "Cache-Control: no-cache\r\nVary: Accept-Encoding\r\n"...)
	if w := a.status.Load().warning; w != nil {
		to = append(append(append(to, "Warning: "...), w...), "\r\n"...)
	}
	return append(append(append(to, "Etag: "...), r.body.ETag...), "\r\n"...)
}

// AppendBody appends the body.
func (r *Reply) AppendBody(to []byte) []byte { return append(to, r.content()...) }
