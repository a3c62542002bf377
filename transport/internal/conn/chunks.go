package conn

import (
	"bytes"
	"math"
)

// Chunks adds up the sizes of the chunks of a body (RFC 9112, section 7.1) as they
// are announced, to know early that it is too large. It forgives whatever else is
// wrong: who reads the body does not. A nil *Chunks is a body of none.
type Chunks struct {
	total    int // of the chunks announced
	left     int // of the chunk's data and the line end behind it
	size     int // of the chunk whose line is being read
	digits   int // of it that were seen
	line     bool
	last     bool // the chunk of size 0 was seen
	trailers bool // trailer fields follow it, all of them
	lost     bool // this is no chunked body
}

// follow looks at the next bytes.
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

// Total returns how many bytes the chunks have that were announced so far.
func (s *Chunks) Total() int {
	if s == nil {
		return 0
	}
	return s.total
}

// Trailers reports whether trailer fields follow the last chunk, and all of them are there.
func (s *Chunks) Trailers() bool { return s != nil && s.trailers }

// Between reports whether the last byte was the last of a chunk.
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
