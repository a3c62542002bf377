package conn

import "bytes"

// A requestLine is what is known of the first line of a request, also if the
// server refuses it and so forgets it.
type requestLine struct {
	complete bool
	end      int // the length of the end of the line: 2 for CR LF
	isHead   bool
	// version: it names a version of HTTP that this server does not speak.
	version bool
}

var methodHead = []byte("HEAD")

const version11 = " HTTP/1.1\r"

// read learns what it can from the beginning of a request. It is looked at for
// each, so it must cost next to nothing for a usual one.
func (l *requestLine) read(b []byte) {
	i := bytes.IndexByte(b, '\n')
	l.complete, l.version = i >= 0, false
	l.isHead = len(b) > 0 && b[0] == 'H' && saysHead(b)
	if l.end = 2; i < 0 {
		return
	}
	if i >= len(version11) && string(b[i-len(version11):i]) == version11 {
		return
	}
	line := bytes.TrimSuffix(b[:i], []byte{'\r'})
	l.end = 1 + i - len(line)
	l.version = unspokenVersion(line[bytes.LastIndexByte(line, ' ')+1:])
}

// saysHead reports whether a request is a HEAD, however malformed the rest is.
func saysHead(b []byte) bool {
	if !bytes.HasPrefix(b, methodHead) {
		return false
	}
	return len(b) == len(methodHead) || !inToken[b[len(methodHead)]]
}

// unspokenVersion reports whether b names a version of HTTP (RFC 9112, section 2.3:
// two digits, and HTTP in capitals) that is not 1.1 or 1.0. What is no version at
// all makes a request malformed, and is none.
func unspokenVersion(b []byte) bool {
	return len(b) == len("HTTP/1.1") && string(b[:5]) == "HTTP/" && isDigit(b[5]) && b[6] == '.' && isDigit(b[7]) &&
		!(b[5] == '1' && (b[7] == '0' || b[7] == '1'))
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// inToken has the characters of a token (RFC 9110, section 5.6.2).
var inToken = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~") {
		t[c] = true
	}
	return t
}()
