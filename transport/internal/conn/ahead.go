package conn

import (
	"bytes"
)

// Whether a response may be the last of its connection depends on how much the server has
// read and not used yet, which fasthttp does not tell. So the bytes are counted: those
// that Read has returned, and where among them each request begins and ends.
//
// The server reads through a bufio.Reader. That passes one of two slices to Read: the
// free part of its own buffer, behind the bytes that it still holds, which it has moved
// to the front; or, when it holds nothing, the slice in which its caller wants a body.

// An ahead counts the bytes of one connection.
type ahead struct {
	delivered int64  // bytes that reads have returned
	position  int64  // how many of them are before the current request, and later before its body or its end
	buffer    []byte // the server's buffer, from its start; nil if nothing was read into it
	held      int    // bytes that were in it after the last read
	// between: nothing is known yet about the next request.
	between  bool
	headRead bool // position is after the head of the request
	chunked  bool // the end of its body is not known, so it is the last request
	// more: bytes follow the request that was answered last.
	more bool
	line requestLine
}

// read counts n bytes that were read into p.
func (a *ahead) read(p []byte, n int) {
	if n == 0 {
		return
	}
	if a.buffer == nil {
		a.buffer = p
	}
	a.delivered += int64(n)
	a.more = false
	held := len(a.buffer) - len(p)
	if held < 0 || &p[len(p)-1] != &a.buffer[len(a.buffer)-1] {
		a.held = 0 // p is where a body is wanted
		return
	}
	a.held = held + n
	if a.between || !a.line.complete {
		a.begin(a.held)
	}
}

// begin is called at the start of a request, when left of the bytes that were read are
// not used yet.
func (a *ahead) begin(left int) {
	a.between = false
	b := a.buffer[a.held-left : a.held]
	// Empty lines before a request are skipped (RFC 9112, section 2.2).
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	a.position = a.delivered - int64(len(b))
	a.headRead, a.chunked = false, false
	a.line.read(b)
}

// beginUnread is begin for a request that is in the server's buffer already.
func (a *ahead) beginUnread() {
	a.between = false
	if left := a.delivered - a.position; 0 < left && left <= int64(a.held) {
		a.begin(int(left))
	}
}

// endHead moves position to the end of the request's head.
func (a *ahead) endHead(h Head) {
	if a.headRead {
		return
	}
	a.headRead = true
	a.position += int64(len(h.Method()) + len(h.RequestURI()) + len(h.Protocol()) + len("  ") + a.line.end)
	if n := len(h.RawHeaders()); n > 0 {
		a.position += int64(n)
		return
	}
	// Without any field, the head ends with an empty line that RawHeaders does not
	// return.
	a.position++
	if i := int64(a.held) - (a.delivered - a.position); 0 < i && i < int64(a.held) && a.buffer[i-1] == '\r' {
		a.position++
	}
}

// behindHead returns the bytes that were read behind the head of the request. They are in
// the server's buffer.
func (a *ahead) behindHead(h Head) []byte {
	a.endHead(h)
	left := min(a.delivered-a.position, int64(a.held))
	return a.buffer[a.held-int(max(left, 0)) : a.held]
}

// body is called for a request with a body of n bytes; -1 means chunked.
func (a *ahead) body(n int) {
	a.position += int64(max(n, 0))
	a.chunked = n == -1
}

// answered is called when the response to the request is made.
func (a *ahead) answered(h Head) {
	a.endHead(h)
	a.more = !a.chunked && a.delivered > a.position
}

// forget is called when the server has given its buffer to another connection.
func (a *ahead) forget() { a.buffer, a.held, a.more = nil, 0, false }

// left returns the number of bytes that were read beyond the request that was answered
// last. It is negative if part of that request's body is still to be read. Empty lines,
// which some clients send behind a body, do not count.
func (a *ahead) left() int64 {
	left := a.delivered - a.position
	if a.chunked {
		return 0
	}
	if left > 0 && left <= int64(a.held) && len(bytes.Trim(a.buffer[a.held-int(left):a.held], "\r\n")) == 0 {
		return 0
	}
	return left
}
