package conn

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// A counted is a reader that returns text in pieces and counts them as a Conn does.
type counted struct {
	ahead
	text  string
	piece func() int
}

func (c *counted) Read(p []byte) (int, error) {
	if c.text == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.piece())], c.text)
	c.text = c.text[n:]
	c.ahead.read(p, n)
	return n, nil
}

// readBufferSize is small, so that heads fill the buffer and bodies exceed it.
const readBufferSize = 256

// follow reads the requests in a text as fasthttp does. After each it compares the count
// with what the server's reader holds.
func follow(t *testing.T, text string, piece func() int) (requests int, line requestLine) {
	t.Helper()
	c := &counted{ahead: ahead{between: true}, text: text, piece: piece}
	br := bufio.NewReaderSize(c, readBufferSize)
	var req fasthttp.Request
	for {
		if _, err := br.Peek(1); err != nil {
			return requests, c.line
		}
		if c.between {
			c.beginUnread()
		}
		if req.Header.Read(br) != nil {
			return requests, c.line
		}
		if h := &req.Header; c.line.isHead != h.IsHead() || c.line.version == (h.IsHTTP11() || string(h.Protocol()) == "HTTP/1.0") {
			t.Fatalf("%+v of %s %s", c.line, h.Method(), h.Protocol())
		}
		length, chunked := req.Header.ContentLength(), req.Header.ContentLength() == -1
		rest, _ := br.Peek(br.Buffered())
		if got := c.behindHead(&req.Header); string(got) != string(rest) {
			t.Fatalf("behind the head of request %d: %q, the reader holds %q", requests+1, got, rest)
		}
		c.body(length)
		if req.ContinueReadBody(br, 1<<20) != nil || chunked { // either ends the connection
			return requests, c.line
		}
		c.answered(&req.Header)
		requests++
		if got, want := c.delivered-c.position, int64(br.Buffered()); got != want || c.more != (want > 0) {
			rest, _ := br.Peek(br.Buffered())
			t.Fatalf("behind request %d: counted %d bytes, more=%v; the reader holds %d: %q", requests, got, c.more, want, rest)
		}
		c.between = true
	}
}

func TestAheadIsWhatIsHeld(t *testing.T) {
	parts := []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD /a HTTP/1.1\r\nHost: x\r\nX: y\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\nHost: x\r\n\r\n", "GET / HTTP/1.0\n\r\n",
		"\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n", "\n\r\n\r\nHEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * HTTP/2.0\r\nHost: x\r\n\r\n", "HEADER / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /" + strings.Repeat("c", 150) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	}
	for _, n := range []int{0, 1, 30, 255, 256, 257, 700, 5000} {
		parts = append(parts, fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", n)+strings.Repeat("HEAD / HTTP/9.9\r\n\r\n", 300)[:n])
	}
	for range 5000 {
		n := 1 + rand.N(5)
		var text strings.Builder
		var order []int
		for range n {
			i := rand.N(len(parts))
			order = append(order, i)
			text.WriteString(parts[i])
		}
		most := []int{1, 3, 20, 100, 1000, 10000}[rand.N(6)]
		if got, _ := follow(t, text.String(), func() int { return 1 + rand.N(most) }); got != n {
			t.Fatalf("%d requests of %v", got, order)
		}
	}
}

// The count is right for whatever input, as far as it consists of requests.
func FuzzAhead(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcHEAD / HTTP/1.2\r\n\r\n", uint8(7))
	f.Fuzz(func(t *testing.T, text string, piece uint8) {
		follow(t, text, func() int { return int(piece) + 1 })
	})
}

// Of a request that fasthttp refuses, it is still known whether it is a HEAD or has
// another version.
func TestRequestLineOfWhatIsRefused(t *testing.T) {
	for text, want := range map[string]requestLine{
		"HEAD * HTTP/1.1\r\n\r\n":             {complete: true, end: 2, isHead: true},
		"HEAD\t/ HTTP/1.1\r\n\r\n":            {complete: true, end: 2, isHead: true},
		"HEAD\r\n\r\n":                        {complete: true, end: 2, isHead: true},
		"HEAD":                                {end: 2, isHead: true},
		"HEA":                                 {end: 2},
		"head / HTTP/1.1\n":                   {complete: true, end: 1},
		"HEADS * HTTP/1.1\r\n":                {complete: true, end: 2},
		"\r\n\r\nHEAD / HTTP/1.1":             {end: 2, isHead: true},
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":    {complete: true, end: 2, version: true},
		"GET x HTTP/0.9\n":                    {complete: true, end: 1, version: true},
		"GET * HTTP/1.2\r\n":                  {complete: true, end: 2, version: true},
		"GET * HTTP/1.10\r\n":                 {complete: true, end: 2},
		"GET * http/2.0\r\n":                  {complete: true, end: 2},
		"GET * HTTP/2\r\n":                    {complete: true, end: 2},
		"GET * HTTP/3.0 \r\n":                 {complete: true, end: 2},
		"GET /\r\n":                           {complete: true, end: 2},
		"HTTP/3.0\r\n":                        {complete: true, end: 2, version: true},
		"GET / HTTP/1.1\r\nHost:x\r\n HEAD /": {complete: true, end: 2},
	} {
		for _, n := range []int{1, 2, 5, 100} {
			if _, got := follow(t, text, func() int { return n }); got != want {
				t.Errorf("%q by %d: %+v, want %+v", text, n, got, want)
			}
		}
	}
}

func BenchmarkRequestLine(b *testing.B) {
	var l requestLine
	head := []byte("GET /api/v1/toolsets/prometheus HTTP/1.1\r\nHost: dynamic-toolset.kubernaut-system:8080\r\nUser-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\n" +
		"Accept: */*\r\nConnection: keep-alive\r\nX-Request-ID: 6f2c7a1e-0b7d-4f3e-9a43-0d1f3a5c7e9b\r\n\r\n")
	for b.Loop() {
		l.read(head)
	}
}
