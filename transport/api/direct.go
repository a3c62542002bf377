package api

import (
	"bytes"
	"strconv"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/service/snapshot"
	"kubernaut.io/dynamic-toolset/transport/internal/conn"
	"kubernaut.io/dynamic-toolset/transport/internal/head"
)

// This file answers plain requests that succeed, for the event loops: as the handlers of the
// same requests do, byte for byte.

const (
	// LargestDirect is the length of the longest body that is copied to be sent. Larger ones
	// are sent from where they are.
	LargestDirect = 16 << 10
	// mostDirect is the length of the longest body that a loop sends. What a client takes of a
	// longer one at once keeps the others waiting for too long.
	mostDirect = 1 << 20
	// longestDirect is the number of members among which a loop looks for those of an answer,
	// at most. It has others to answer meanwhile.
	longestDirect = 10_000
)

// A Reply is a document as it is sent to one client.
type Reply struct {
	Status       int
	content, tag []byte
	packed       bool
	size         int         // of the body
	pieces       conn.Pieces // the body, if it is not content
}

// DirectToolset returns the reply of GetToolset; false if that is for the server.
func (a *API) DirectToolset(h *head.Head, name []byte) (r Reply, ok bool) {
	snap := a.catalogue.Snapshot()
	namespace, ok := plainNamespace(h.Query)
	if snap == nil || !ok {
		return r, false
	}
	body, match := snap.Lookup(name, namespace)
	if match != snapshot.Found {
		return r, false
	}
	return replyWith(h, body)
}

// DirectList returns the reply of ListToolsets, as DirectToolset does. What it has to make it
// appends to scratch. c is the connection.
func (a *API) DirectList(c *conn.Conn, h *head.Head, scratch []byte) (r Reply, ok bool) {
	snap := a.catalogue.Snapshot()
	if snap == nil {
		return r, false
	}
	list := snap.Toolsets()
	if h.Query == nil {
		if body := list.Body(); body != nil {
			if r, ok = replyWith(h, body); ok {
				return r, true
			}
		}
		return replyInPieces(h, list.Answer)
	}
	var f snapshot.Filter
	if !plainFilter(&f, h.Query) || f.All() || list.Reach(&f) > longestDirect {
		return r, false
	}
	r = Reply{Status: fasthttp.StatusNotModified, tag: list.AppendETag(scratch, &f)}
	if h.IfNoneMatch != nil && matches(h.IfNoneMatch, r.tag) {
		return r, true
	}
	r.Status, r.packed = fasthttp.StatusOK, h.Encoding != nil && acceptsGzip(h.Encoding)
	if c.TooManyBodies() {
		return r, false
	}
	r.content, ok = list.AppendWithin(r.tag[len(r.tag):], &f, r.packed, LargestDirect)
	r.size = len(r.content)
	return r, ok
}

// plainNamespace returns the namespace of a query that has nothing else, nil for no query;
// false if it may have more or a mistake, or is for chosenNamespace.
func plainNamespace(query []byte) (namespace []byte, ok bool) {
	if query == nil {
		return nil, true
	}
	namespace, ok = bytes.CutPrefix(query, []byte("namespace="))
	return namespace, ok && len(namespace) > 0 && head.IsName(namespace)
}

// plainFilter sets f from a query that has no mistake; false if it may have one, or is for
// filter.
func plainFilter(f *snapshot.Filter, query []byte) bool {
	var seen [5]bool
	for more := true; more; {
		var pair []byte
		pair, query, more = bytes.Cut(query, []byte{'&'})
		key, value, ok := bytes.Cut(pair, []byte{'='})
		if !ok || len(value) == 0 || !head.IsName(value) {
			return false
		}
		param := 0
		switch string(key) {
		case "type":
			param, f.Type = 0, value
		case "namespace":
			param, f.Namespace = 1, value
		case "enabled":
			param, ok = 2, setTri(&f.Enabled, value)
		case "healthy":
			param, ok = 3, setTri(&f.Healthy, value)
		case "verified":
			param, ok = 4, setTri(&f.Verified, value)
		default:
			return false
		}
		if !ok || seen[param] {
			return false
		}
		seen[param] = true
	}
	return true
}

func setTri(t *snapshot.Tri, value []byte) bool {
	switch string(value) {
	case "true":
		*t = snapshot.Yes
	case "false":
		*t = snapshot.No
	default:
		return false
	}
	return true
}

// replyWith returns the reply with a document that is ready; false if it is too large.
func replyWith(h *head.Head, b *snapshot.Body) (Reply, bool) {
	r := Reply{Status: fasthttp.StatusOK, tag: b.ETag, content: b.JSON}
	switch {
	case h.IfNoneMatch != nil && matches(h.IfNoneMatch, b.ETag):
		r.Status, r.content = fasthttp.StatusNotModified, nil
	case h.Encoding != nil && acceptsGzip(h.Encoding):
		r.packed, r.content = true, b.Gzip
	}
	r.size = len(r.content)
	return r, r.size <= LargestDirect
}

// replyInPieces returns the reply with a large document; false if it is too large.
func replyInPieces(h *head.Head, a *snapshot.Answer) (Reply, bool) {
	r := Reply{Status: fasthttp.StatusNotModified, tag: a.ETag()}
	if h.IfNoneMatch != nil && matches(h.IfNoneMatch, r.tag) {
		return r, true
	}
	r.Status, r.packed = fasthttp.StatusOK, h.Encoding != nil && acceptsGzip(h.Encoding)
	r.pieces, r.size = a.Pieces(r.packed)
	return r, r.size <= mostDirect
}

// AppendContentFields appends the fields that come before all others.
func (r *Reply) AppendContentFields(to []byte) []byte {
	if r.Status == fasthttp.StatusNotModified {
		return to
	}
	to = append(to, "Content-Type: application/json\r\n"...)
	if r.packed {
		to = append(to, "Content-Encoding: gzip\r\n"...)
	}
	to = append(to, "Content-Length: "...)
	return append(strconv.AppendInt(to, int64(r.size), 10), "\r\n"...)
}

// AppendFields appends the fields of readHeaders and fresh.
func (a *API) AppendFields(to []byte, r *Reply) []byte {
	to = append(to, "Cache-Control: no-cache\r\nVary: Accept-Encoding\r\n"...)
	if w := a.status.Load().warning; w != nil {
		to = append(append(append(to, "Warning: "...), w...), "\r\n"...)
	}
	return append(append(append(to, "Etag: "...), r.tag...), "\r\n"...)
}

// AppendBody appends the body, or declares that it is in pieces. c is the connection.
func (r *Reply) AppendBody(c *conn.Conn, to []byte) []byte {
	if r.pieces != nil {
		c.AppendPieces(r.pieces)
	}
	return append(to, r.content...)
}
