package transport

import (
	"bytes"
	"math"
)

// What has arrived behind the head of a request is either its body or the next
// request. Which bytes it is must be known exactly: a request that is taken for the
// end of a body is lost, and the end of a body that is taken for a request is a
// request that nobody has sent. It is only looked at for requests with a body.

// behindHead returns what has been read behind the head, of this length, of the
// request that is being handled. It is in fasthttp's buffer.
func (c *conn) behindHead(head int) []byte {
	before := c.heads // requests that were handled since the last read
	if c.looked {
		// A chunk that is the rest of one counts the request before it: see behind.
		before -= c.ahead.heads - look(c.chunk).heads
	}
	b := c.chunk
	if !c.whole {
		// It began with the rest of a head: the buffer begins with all of it.
		b = c.head[:cap(c.head)-cap(c.chunk)+len(c.chunk)]
	}
	for range before {
		i := bytes.Index(skipEmptyLines(b), endOfHead)
		if i < 0 {
			return nil // never: they were handled
		}
		b = skipEmptyLines(b)[i+len(endOfHead):]
	}
	b = skipEmptyLines(b)
	return b[min(head, len(b)):]
}

// skipEmptyLines returns b without the empty lines that may precede a request (RFC
// 9112, section 2.2).
func skipEmptyLines(b []byte) []byte { return bytes.TrimLeft(b, "\r\n") }

// behind says that rest is all that has been read behind the request that is being
// handled.
func (c *conn) behind(rest []byte) {
	c.chunk, c.whole = rest, true
	c.heads, c.ahead, c.looked = 0, look(rest), true
	if c.ahead.heads == 0 {
		c.ahead.more = len(rest) > 0
	}
	c.ahead.heads++ // the request itself
}

// followBody notes what was read since behind was called, when this much of the body
// was missing; any number of a chunked one.
func (c *conn) followBody(missing int) {
	if c.looked {
		return // nothing was
	}
	if c.sizes != nil {
		c.sizes.follow(c.chunk)
		missing = len(c.chunk)
	}
	c.behind(c.chunk[min(max(missing, 0), len(c.chunk)):])
}

// chunkSizes adds up the sizes of the chunks of a body (RFC 9112, section 7.1) as they
// are announced, to know early that it is too large. It forgives whatever else is
// wrong: fasthttp, which reads the body, does not.
type chunkSizes struct {
	total    int // of the chunks announced
	left     int // of the chunk's data and the line end behind it
	size     int // of the chunk whose line is being read
	digits   int // of it that were seen
	line     bool
	inData   bool
	last     bool // the chunk of size 0 was seen
	trailers bool // trailer fields follow it, all of them
	lost     bool // this is no chunked body
}

// follow looks at the next bytes.
func (s *chunkSizes) follow(b []byte) {
	for len(b) > 0 && !s.lost {
		switch {
		case s.last:
			s.trailers = s.trailers || b[0] != '\r' && b[0] != '\n' && bytes.Contains(b, endOfHead)
			return
		case s.left > 0:
			n := min(s.left, len(b))
			s.left -= n
			b = b[n:]
			continue
		case b[0] == '\n':
			s.lost = s.digits == 0
			s.last = s.size == 0
			s.total = min(s.total, math.MaxInt/2) + min(s.size, math.MaxInt/2)
			if !s.last {
				s.left = min(s.size, math.MaxInt-2) + 2
			}
			s.size, s.digits, s.line = 0, 0, false
		case s.line: // an extension
		default:
			digit := hexDigit(b[0])
			if s.line = digit < 0; s.line {
				break
			}
			s.digits++
			if s.size > math.MaxInt>>8 {
				s.lost = true
				break
			}
			s.size = s.size<<4 | digit
		}
		b = b[1:]
	}
}

// between reports whether the last byte was the last of a chunk.
func (s *chunkSizes) between() bool {
	return !s.lost && !s.last && s.left == 0 && s.digits == 0 && !s.line
}

func hexDigit(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b && b <= 'f':
		return int(b-'a') + 10
	case 'A' <= b && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}
