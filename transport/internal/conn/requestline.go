package conn

import "bytes"

// A requestLine is what is known about the first line of a request, even if the server
// refuses the request and so drops it.
type requestLine struct {
	complete bool
	end      int // the length of the end of the line: 2 for CR LF
	isHead   bool
	// version: the line has a version of HTTP that this server does not speak.
	version bool
}

var methodHead = []byte("HEAD")

const version11 = " HTTP/1.1\r"

// read parses the beginning of a request as far as possible. It is called for each
// request, so it must be very cheap for a usual one.
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

// saysHead reports whether a request is a HEAD, even if the rest is malformed.
func saysHead(b []byte) bool {
	if !bytes.HasPrefix(b, methodHead) {
		return false
	}
	return len(b) == len(methodHead) || !inToken[b[len(methodHead)]]
}

// unspokenVersion reports whether b is a version of HTTP (RFC 9112, section 2.3: two
// digits, and HTTP in capitals) other than 1.1 and 1.0. For anything that is not a
// version it returns false: such a request is malformed.
func unspokenVersion(b []byte) bool {
	return len(b) == len("HTTP/1.1") && string(b[:5]) == "HTTP/" && isDigit(b[5]) && b[6] == '.' && isDigit(b[7]) &&
		!(b[5] == '1' && (b[7] == '0' || b[7] == '1'))
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// inToken tells which bytes may be in a token (RFC 9110, section 5.6.2).
var inToken = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~") {
		t[c] = true
	}
	return t
}()
