package problem

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// A Problem is one occurrence of a Type.
type Problem struct {
	Type *Type
	// Detail explains this occurrence to a person and says what to do.
	Detail string
	// Instance is the request path as it was sent.
	Instance string
	// RequestID is the value of X-Request-ID, an extension member.
	RequestID string
	// Errors lists the offending parts of the request, an extension member.
	Errors []FieldError
}

// document is the JSON form of a Problem. Its members are written in this order.
type document struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail"`
	Instance  string       `json:"instance"`
	RequestID string       `json:"request_id"`
	Errors    []FieldError `json:"errors,omitempty"`
}

// maxText bounds what a client's input can add to a document, in bytes.
const maxText = 1024

// JSON returns the document. Each text is cut after 1,024 bytes, and bytes that are not
// UTF-8 become U+FFFD, so that a client's input can neither break the document nor swell
// it.
func (p *Problem) JSON() []byte {
	d := document{
		Type:      p.Type.URI(),
		Title:     p.Type.Title,
		Status:    p.Type.Status,
		Detail:    clip(p.Detail),
		Instance:  instance(p.Instance),
		RequestID: p.RequestID,
		Errors:    p.Errors,
	}
	b, err := json.Marshal(d)
	if err != nil { // strings and integers always marshal
		panic(err)
	}
	return b
}

// clip cuts s at a character boundary and replaces what is not UTF-8.
func clip(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
		for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
		if r, n := utf8.DecodeLastRuneInString(s); r == utf8.RuneError && n <= 1 && len(s) > 0 {
			s = s[:len(s)-1]
		}
		s += "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// instance turns a request path, which is untrusted bytes, into a URI reference (RFC
// 9457, section 3.1.5) to that path. It percent-encodes whatever RFC 3986 does not allow in
// a path. A path that begins with two slashes would be read as a host (section 4.2); a
// leading "/." says that it is a path, and is removed when the reference is resolved.
func instance(path string) string {
	if len(path) > maxText {
		path = path[:maxText]
	}
	if strings.HasPrefix(path, "//") {
		path = "/." + path
	}
	clean := true
	for i := range len(path) {
		if !allowedInPath(path, i) {
			clean = false
			break
		}
	}
	if clean {
		return path
	}
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(path)+16)
	for i := range len(path) {
		if c := path[i]; allowedInPath(path, i) {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

// allowedInPath reports whether byte i of path may stay as it is. That is a pchar or a
// slash (RFC 3986, section 3.3); a percent sign only before two hexadecimal digits; and a
// colon only behind a slash, since in the first segment it would end a scheme (section
// 4.2).
func allowedInPath(path string, i int) bool {
	c := path[i]
	switch {
	case isAlnum(c):
		return true
	case c == ':':
		return strings.IndexByte(path[:i], '/') >= 0
	case c == '%':
		return i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2])
	}
	return strings.IndexByte("-._~!$&'()*+,;=:@/", c) >= 0
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
