package conn

import (
	"bytes"
	"math"
)

// Chunks adds up the announced sizes of the chunks of a body (RFC 9112, section 7.1), to
// know early that it is too large. It ignores everything else that may be wrong, since
// the reader of the body does not. A nil *Chunks stands for a body that is not chunked.
type Chunks struct {
	total    int // of the chunks announced so far
	left     int // bytes left of the chunk's data and the line end behind it
	size     int // of the chunk whose line is being read
	digits   int // digits of it that were read
	line     bool
	last     bool // the chunk of size 0 was read
	trailers bool // trailer fields follow it, and all of them were read
	lost     bool // this is not a chunked body
}

// follow reads the next bytes.
func (s *Chunks) follow(b []byte) {
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

// Total returns the sum of the sizes of all chunks announced so far, in bytes.
func (s *Chunks) Total() int {
	if s == nil {
		return 0
	}
	return s.total
}

// Trailers reports whether there are trailer fields behind the last chunk, and all of
// them have been read.
func (s *Chunks) Trailers() bool { return s != nil && s.trailers }

// Between reports whether the last byte that was read ends a chunk.
func (s *Chunks) Between() bool {
	return s != nil && !s.lost && !s.last && s.left == 0 && s.digits == 0 && !s.line
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
