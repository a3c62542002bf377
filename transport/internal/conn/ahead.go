package conn

import (
	"bytes"
)

// What the server has read and not used yet decides whether a response may be the
// last of its connection, and fasthttp does not tell. So the bytes are counted:
// those that Read has delivered, and where among them each request begins and ends.
//
// The server reads by a bufio.Reader. That hands its own buffer to Read, behind what
// it still holds, which then is at the buffer's front; or, when it holds nothing,
// the place where a body is wanted.

// An ahead is the count of one connection's bytes.
type ahead struct {
	delivered int64  // bytes that reads have returned
	next      int64  // of them are before the request that is being read, or answered
	buffer    []byte // the server's, from its start; nil: nothing was read into it
	held      int    // bytes that are in it since the last read
	// between: nothing is known yet of the request that comes next.
	between  bool
	headRead bool // next is behind the head of the request already
	chunked  bool // where its body ends is not known, and it is the last one
	// more: something follows the request that was answered last.
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
		a.held = 0 // it is where a body is wanted
		return
	}
	a.held = held + n
	if a.between || !a.line.complete {
		a.begin(a.held)
	}
}

// begin says that a request begins where this many bytes of those delivered are
// left.
func (a *ahead) begin(left int) {
	a.between = false
	b := a.buffer[a.held-left : a.held]
	// Empty lines before a request are skipped (RFC 9112, section 2.2).
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	a.next = a.delivered - int64(len(b))
	a.headRead, a.chunked = false, false
	a.line.read(b)
}

// beginUnread is begin for a request for which nothing had to be read.
func (a *ahead) beginUnread() {
	a.between = false
	if left := a.delivered - a.next; 0 < left && left <= int64(a.held) {
		a.begin(int(left))
	}
}

// endHead moves next behind the head of the request.
func (a *ahead) endHead(h Head) {
	if a.headRead {
		return
	}
	a.headRead = true
	a.next += int64(len(h.Method()) + len(h.RequestURI()) + len(h.Protocol()) + len("  ") + a.line.end)
	if n := len(h.RawHeaders()); n > 0 {
		a.next += int64(n)
		return
	}
	// There is no field: the block is an empty line, of which RawHeaders does not tell.
	a.next++
	if i := int64(a.held) - (a.delivered - a.next); 0 < i && i < int64(a.held) && a.buffer[i-1] == '\r' {
		a.next++
	}
}

// behindHead returns what was read behind the head of the request. It is in the
// server's buffer.
func (a *ahead) behindHead(h Head) []byte {
	a.endHead(h)
	left := min(a.delivered-a.next, int64(a.held))
	return a.buffer[a.held-int(max(left, 0)) : a.held]
}

// body says that the request has a body of n bytes, -1 for a chunked one.
func (a *ahead) body(n int) {
	a.next += int64(max(n, 0))
	a.chunked = n == -1
}

// answered says that the request is handled.
func (a *ahead) answered(h Head) {
	a.endHead(h)
	a.more = !a.chunked && a.delivered > a.next
}

// forget says that the server's buffer is not that of the connection any more.
func (a *ahead) forget() { a.buffer, a.held, a.more = nil, 0, false }

// left returns how much was delivered beyond the request that was answered last:
// less than nothing if part of its body is still to be read. Empty lines, which some
// clients send behind a body, are nothing.
func (a *ahead) left() int64 {
	left := a.delivered - a.next
	if a.chunked {
		return 0
	}
	if left > 0 && left <= int64(a.held) && len(bytes.Trim(a.buffer[a.held-int(left):a.held], "\r\n")) == 0 {
		return 0
	}
	return left
}
