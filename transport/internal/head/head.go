// Package head reads the heads of plain requests: a GET of a path, without a body, in which
// nothing can be read in two ways. It reads less than HTTP/1.1 allows (RFC 9112), and never
// differently from fasthttp and package middleware. What it does not read is for them.
package head

import "bytes"

// A Head is the head of a plain request. Its slices refer to what was read. A field that is
// missing is nil.
type Head struct {
	Path          []byte // as it was sent
	Query         []byte // without the question mark; nil if there is none
	Encoding      []byte // Accept-Encoding
	IfNoneMatch   []byte
	RequestID     []byte // X-Request-Id
	Authorization []byte
	Close         bool // Connection: close

	host, connection bool // the field was there
}

// MaxBytes is the length of the longest head that is read.
const MaxBytes = 8 << 10

var method = []byte("GET /")

const version = " HTTP/1.1\r\n"

// Read reads the head that b begins with, and returns its length; 0 if it is not there as a
// whole, or not plain.
func (h *Head) Read(b []byte) int {
	*h = Head{}
	if !bytes.HasPrefix(b, method) {
		return 0
	}
	at := h.readTarget(b[len("GET "):min(len(b), MaxBytes)])
	if at == 0 {
		return 0
	}
	at += len("GET ")
	if len(b) < at+len(version) || string(b[at:at+len(version)]) != version {
		return 0
	}
	at += len(version)
	for at < len(b) && at < MaxBytes {
		if b[at] == '\r' {
			if len(b) < at+2 || b[at+1] != '\n' || !h.host {
				return 0
			}
			return at + 2
		}
		n := h.readField(b[at:min(len(b), MaxBytes)])
		if n == 0 {
			return 0
		}
		at += n
	}
	return 0
}

// readTarget reads a path and a query, and returns the length of both; 0 if they are not
// plain.
func (h *Head) readTarget(b []byte) int {
	path := -1
	for i, c := range b {
		switch {
		case plainTarget[c]:
			if c == '/' && i > 0 && path < 0 && b[i-1] == '/' {
				return 0
			}
		case c == '?' && path < 0:
			path = i
		case c == ' ':
			if path < 0 {
				path = i
			} else {
				h.Query = b[path+1 : i]
			}
			h.Path = b[:path]
			return i
		default:
			return 0
		}
	}
	return 0
}

// readField reads a field with its line end, and returns the length of both; 0 if it is not
// there as a whole, or not plain.
func (h *Head) readField(b []byte) int {
	colon := 0
	for colon < len(b) && plainName[b[colon]] {
		colon++
	}
	if colon == 0 || colon == len(b) || b[colon] != ':' {
		return 0
	}
	end := colon + 1
	for end < len(b) && plainValue[b[end]] {
		end++
	}
	if len(b) < end+2 || b[end] != '\r' || b[end+1] != '\n' {
		return 0
	}
	if !h.take(b[:colon], bytes.Trim(b[colon+1:end], " ")) {
		return 0
	}
	return end + 2
}

// take notes a field, and reports whether the request is still plain.
func (h *Head) take(name, value []byte) bool {
	var field *[]byte
	switch len(name) {
	case len("Host"):
		if is(name, "host") {
			if h.host || !isHost(value) {
				return false
			}
			h.host = true
		}
		return true
	case len("Expect"):
		return !is(name, "expect")
	case len("Trailer"):
		return !is(name, "trailer") && !is(name, "upgrade")
	case len("Connection"):
		if !is(name, "connection") {
			return true
		}
		if h.connection {
			return false
		}
		h.connection = true
		switch string(value) {
		case "close":
			h.Close = true
		case "keep-alive", "Keep-Alive":
		default:
			return false
		}
		return true
	case len("If-None-Match"):
		switch {
		case is(name, "if-none-match"):
			field = &h.IfNoneMatch
		case is(name, "authorization"):
			field = &h.Authorization
		}
	case len("X-Request-Id"):
		if is(name, "x-request-id") {
			field = &h.RequestID
		}
	case len("Accept-Encoding"):
		if is(name, "accept-encoding") {
			field = &h.Encoding
		}
	case len("Transfer-Encoding"):
		return !is(name, "transfer-encoding")
	}
	if field != nil {
		if *field != nil || len(value) == 0 {
			return false
		}
		*field = value
		return true
	}
	return len(name) < len("content-") || !is(name[:len("content-")], "content-")
}

// is reports whether name is lower, in any case. Both have the same length.
func is(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if c|0x20 != lower[i] && c != lower[i] {
			return false
		}
	}
	return true
}

// isHost reports whether value is a host name or an IPv4 address, and maybe a port of up to
// four digits.
func isHost(value []byte) bool {
	name, port, _ := bytes.Cut(value, []byte{':'})
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(name) > 0 && IsName(name) && len(port) <= 4 && value[len(value)-1] != ':'
}

// IsName reports whether value has letters, digits, hyphens and dots only.
func IsName(value []byte) bool {
	for _, c := range value {
		if !plainHost[c] {
			return false
		}
	}
	return true
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

var (
	plainTarget = table(letters + "-._~/=&")
	plainName   = table(letters + "-_")
	plainHost   = table(letters + "-.")
	plainValue  = func() (t [256]bool) {
		for c := ' '; c <= '~'; c++ {
			t[c] = true
		}
		return t
	}()
)

func table(members string) (t [256]bool) {
	for _, c := range []byte(members) {
		t[c] = true
	}
	return t
}
