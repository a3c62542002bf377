package client

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The parser finds the same whether it is fed at once or in pieces, and net/http reads the
// same from what the parser accepts.
func FuzzAnswers(f *testing.F) {
	one := "HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 21\r\n\r\n" + body
	for _, s := range []string{
		one, one + one, one + one[:30], "HTTP/1.1 200\r\nContent-Length: 21\r\n\r\n" + body, "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 21\n\n" + body, "HTTP/1.1 200 OK\r\nContent-Length : 21\r\n\r\n" + body,
		"HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\nContent-Length: 21\r\n\r\n" + body,
		"HTTP/1.1 200 OK\r\nContent-Length: 21\r\nConnection: Close\r\n\r\n" + body,
		"HTTP/1.1 200 OK\r\nContent-Length: 21\r\nA: " + strings.Repeat("a", maxHead) + "\r\n\r\n" + body,
	} {
		f.Add([]byte(s), uint8(7), false)
		f.Add([]byte(s), uint8(1), true)
	}
	f.Fuzz(func(t *testing.T, input []byte, piece uint8, notModified bool) {
		want := exchange
		if notModified {
			want.Status, want.Body = 304, nil
		}
		whole := parser{want: &want}
		answers, err := whole.feed(bytes.Clone(input))

		pieces, got := parser{want: &want}, 0
		var gotErr error
		for rest := input; len(rest) > 0 && gotErr == nil; {
			n := min(len(rest), max(1, int(piece)))
			var k int
			k, gotErr = pieces.feed(bytes.Clone(rest[:n]))
			got += k
			rest = rest[n:]
		}
		if got != answers || (err == nil) != (gotErr == nil) || err == nil && (whole.rest != pieces.rest || whole.closes != pieces.closes) {
			t.Fatalf("at once: %d answers, %v; in pieces of %d: %d answers, %v", answers, err, piece, got, gotErr)
		}
		r := bufio.NewReader(bytes.NewReader(input))
		for i := range answers {
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				// net/http is stricter about the names and values of other fields.
				return
			}
			b, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != want.Status || len(b) != len(want.Body) || i == 0 && !bytes.Equal(b, want.Body) {
				t.Fatalf("answer %d: net/http reads status %d and %q, %v", i, res.StatusCode, b, err)
			}
		}
	})
}

func BenchmarkParser(b *testing.B) {
	answer := []byte("HTTP/1.1 200 OK\r\nServer: a\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Type: application/json\r\nContent-Length: 21\r\n" +
		"ETag: \"0123456789abcdef\"\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\nX-Request-Id: 0123456789abcdef0123456789abcdef\r\n\r\n" + body)
	p := parser{want: &exchange}
	b.ReportAllocs()
	for b.Loop() {
		if n, err := p.feed(answer); n != 1 || err != nil {
			b.Fatal(n, err)
		}
	}
}
