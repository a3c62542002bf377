package transport_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/problemdoc"
)

// An answer is one response as it came off the wire.
type answer struct {
	status int
	fields map[string][]string // by lower-case name
	body   []byte
}

func (a *answer) field(name string) string { return strings.Join(a.fields[name], ", ") }

// id returns the request identifier of the response.
func (a *answer) id() string { return a.field("x-request-id") }

func (a *answer) closes() bool { return strings.EqualFold(a.field("connection"), "close") }

func (a *answer) String() string { return fmt.Sprintf("%d %v %.300q", a.status, a.fields, a.body) }

// errPartial means that the bytes end within a response.
var errPartial = errors.New("the response is not complete")

// cutAnswer parses the first response in b and returns it with the bytes behind it. head
// says that the request was a HEAD, whose response has no body. It follows the grammar of
// RFC 9112 without the leniency that section 2.2 allows: what one client accepts may
// split the stream for another.
func cutAnswer(b []byte, head bool) (*answer, []byte, error) {
	block, rest, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok {
		return nil, b, errPartial
	}
	lines := strings.Split(string(block), "\r\n")
	version, after, _ := strings.Cut(lines[0], " ")
	code, reason, spaced := strings.Cut(after, " ")
	status, err := strconv.Atoi(code)
	if version != "HTTP/1.1" || len(code) != 3 || err != nil || status < 100 || !spaced || !visible(reason) {
		return nil, b, fmt.Errorf("status line %q", lines[0])
	}
	a := &answer{status: status, fields: map[string][]string{}}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) || !strings.HasPrefix(value, " ") || !visible(value[1:]) {
			return nil, b, fmt.Errorf("field line %q", line)
		}
		name = strings.ToLower(name)
		a.fields[name] = append(a.fields[name], value[1:])
	}
	length, chunked := a.fields["content-length"], a.field("transfer-encoding") == "chunked"
	switch {
	case head || status < 200 || status == 204 || status == 304:
		return a, rest, nil
	case chunked && len(length) == 0:
		a.body, rest, err = cutChunks(rest)
		return a, rest, err
	case len(length) != 1 || chunked || len(a.fields["transfer-encoding"]) > 0:
		return nil, b, fmt.Errorf("the framing is not clear: %v", a.fields)
	}
	n, err := strconv.ParseUint(length[0], 10, 31)
	if err != nil {
		return nil, b, fmt.Errorf("Content-Length %q", length[0])
	}
	if uint64(len(rest)) < n {
		return nil, b, errPartial
	}
	a.body = rest[:n]
	return a, rest[n:], nil
}

func cutChunks(b []byte) (body, rest []byte, err error) {
	for {
		size, rest, ok := bytes.Cut(b, []byte("\r\n"))
		if !ok {
			return nil, b, errPartial
		}
		n, err := strconv.ParseUint(string(size), 16, 31)
		if err != nil {
			return nil, b, fmt.Errorf("chunk size %q", size)
		}
		if uint64(len(rest)) < n+2 {
			return nil, b, errPartial
		}
		if string(rest[n:n+2]) != "\r\n" {
			return nil, b, fmt.Errorf("a chunk ends in %q", rest[n:n+2])
		}
		body, b = append(body, rest[:n]...), rest[n+2:]
		if n == 0 {
			return body, b, nil
		}
	}
}

// visible reports whether s may be in a status line or field line: it has no control
// characters, and nothing outside ASCII, which this server never sends.
func visible(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

func isToken(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	}) < 0
}

// check returns an error if a response lacks what every response of the service has,
// whatever the request.
func (a *answer) check() error {
	if a.status < 200 {
		return nil
	}
	if ids := a.fields["x-request-id"]; len(ids) != 1 || ids[0] == "" || len(ids[0]) > 128 || strings.Contains(ids[0], " ") {
		return fmt.Errorf("X-Request-ID %q", ids)
	}
	for _, once := range []string{"content-type", "content-length", "connection", "date", "etag", "allow", "retry-after"} {
		if n := len(a.fields[once]); n > 1 {
			return fmt.Errorf("%d fields %s", n, once)
		}
	}
	if a.status < 400 {
		return nil
	}
	if len(a.body) == 0 && a.field("content-length") != "0" {
		return nil // of a HEAD: the fields are all there is
	}
	if a.status == 400 || a.status == 404 {
		if isRPCError(a.field("content-type"), a.body) {
			return nil
		}
	}
	if err := problemdoc.Check(a.field("content-type"), a.body, a.status); err != nil {
		return fmt.Errorf("not a problem document: %w", err)
	}
	var d struct {
		ID string `json:"request_id"`
	}
	if err := json.Unmarshal(a.body, &d); err != nil || d.ID != a.id() {
		return fmt.Errorf("request_id %q, X-Request-ID %q (%w)", d.ID, a.id(), err)
	}
	return nil
}

// readAnswers reads responses until limit have come, or to the end of the
// connection when limit is negative. It returns what came before an error; the
// regular end is none.
func (c *rawClient) readAnswers(pending []byte, limit int, head bool) (all []*answer, rest []byte, err error) {
	var buf [16 << 10]byte
	for {
		for limit < 0 || len(all) < limit {
			a, after, err := cutAnswer(pending, head)
			if errors.Is(err, errPartial) {
				break
			}
			if err != nil {
				return all, pending, err
			}
			pending = after
			if a.status >= 200 { // an interim response is no answer
				all = append(all, a)
			}
		}
		if len(all) == limit {
			return all, pending, nil
		}
		n, err := c.Conn.Read(buf[:])
		pending = append(pending, buf[:n]...)
		if n > 0 {
			continue
		}
		if errors.Is(err, io.EOF) && limit < 0 {
			if len(pending) > 0 {
				return all, pending, fmt.Errorf("after the responses: %q", pending)
			}
			return all, nil, nil
		}
		return all, pending, err
	}
}
