package transport

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/transport/api"
	"kubernaut.io/dynamic-toolset/transport/internal/conn"
	"kubernaut.io/dynamic-toolset/transport/internal/head"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
	"kubernaut.io/dynamic-toolset/transport/middleware"
)

// A direct answers the plain lookups of a port without the server, for the event loops: GET
// of a toolset by its name or type, and of lists of up to 1 MB. The answers are, byte for
// byte, those that the server would give; everything that is not plain, or does not succeed,
// is for the server.
type direct struct {
	api         *api.API
	chain       *middleware.Chain
	names       *nameRoute
	list        string // the path of the list
	named, many lane
	most        int // bytes of the longest head
	date        atomic.Pointer[date]
}

// A lane is a route whose requests are answered.
type lane struct {
	by   middleware.Direct
	pass *middleware.DirectPass // nil: everybody may pass
}

// A date is a Date field.
type date struct {
	second int64
	text   []byte
}

// newDirect returns the direct of the API port.
func (s *Server) newDirect() *direct {
	p := s.apiPort
	d := &direct{api: s.api, chain: p.chain, names: p.named, list: strings.TrimSuffix(string(p.named.prefix), "/"), most: min(head.MaxBytes, p.limits.MaxHeaderBytes)}
	for _, r := range s.apiRoutes() {
		var l *lane
		switch {
		case r.path == string(p.named.prefix)+"{name}":
			l = &d.named
		case r.path == d.list && r.method == get:
			l = &d.many
		default:
			continue
		}
		l.by = p.chain.Direct(r.pattern())
		if s.authorizer != nil && s.protects(&r) {
			l.pass = s.authorizer.RequireDirect(r.action(), r.who == callers)
		}
	}
	return d
}

// scratches are for what is made for one reply.
var scratches = sync.Pool{New: func() any { b := make([]byte, 0, api.LargestDirect+1<<10); return &b }}

// answer is a conn.Answer.
func (d *direct) answer(c *conn.Conn, b, to []byte) (used int, response []byte, end bool) {
	had := len(to)
	defer func() {
		if v := recover(); v != nil {
			used, response, end = 0, to[:had], false // the server answers what can be answered
			c.AppendPieces(nil)
			d.chain.Panicked(v)
		}
	}()
	var h head.Head
	if used = h.Read(b); used == 0 || used > d.most {
		return 0, to, false
	}
	l, name := &d.many, []byte(nil)
	if string(h.Path) != d.list {
		if name = d.names.lookup(h.Path); name == nil {
			return 0, to, false
		}
		l = &d.named
	}
	var who *auth.Identity
	if l.pass != nil {
		known := false
		if who, known = l.pass.Recall(c, h.Authorization); !known {
			return 0, to, false
		}
	}
	var r api.Reply
	ok := false
	if name != nil {
		r, ok = d.api.DirectToolset(&h, name)
	} else {
		scratch := scratches.Get().(*[]byte)
		defer scratches.Put(scratch)
		r, ok = d.api.DirectList(c, &h, (*scratch)[:0])
	}
	if !ok || l.pass != nil && !l.pass.Take(c, who) {
		return 0, to, false
	}
	rest := b[used:]
	if h.Close {
		rest = nil // what follows is not answered
	}
	to = appendStatus(to, r.Status)
	to = append(append(append(to, "Date: "...), d.now()...), "\r\n"...)
	to = r.AppendContentFields(to)
	to = append(to, "X-Request-Id: "...)
	start := len(to)
	to = reply.AppendRequestID(to, h.RequestID)
	id := to[start:]
	to = append(to, "\r\n"...)
	to = d.api.AppendFields(to, &r)
	if by := d.chain.ServedBy(); len(by) > 0 {
		to = append(append(append(to, "X-Served-By: "...), by...), "\r\n"...)
	}
	if end = l.by.Finish(c, &h, r.Status, id, rest) || h.Close; end {
		to = append(to, "Connection: close\r\n"...)
	}
	to = append(to, "\r\n"...)
	return used, r.AppendBody(c, to), end
}

func appendStatus(to []byte, status int) []byte {
	if status == fasthttp.StatusNotModified {
		return append(to, "HTTP/1.1 304 Not Modified\r\nServer: "+serverName+"\r\n"...)
	}
	return append(to, "HTTP/1.1 200 OK\r\nServer: "+serverName+"\r\n"...)
}

// now returns the value of the Date field.
func (d *direct) now() []byte {
	t := time.Now()
	if now := d.date.Load(); now != nil && now.second == t.Unix() {
		return now.text
	}
	now := &date{second: t.Unix(), text: fasthttp.AppendHTTPDate(nil, t)}
	d.date.Store(now)
	return now.text
}

// lookup returns the name in the path of a lookup; nil if it is the path of something else.
func (n *nameRoute) lookup(path []byte) []byte {
	name := n.name(path)
	if len(name) == 0 {
		return nil
	}
	for _, word := range n.words {
		if string(name) == word {
			return nil
		}
	}
	return name
}
