package main

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/problemdoc"
)

// A script is a client that sends some bytes, and then closes its side.
type script struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)     { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)    { return s.out.Write(p) }
func (*script) Close() error                     { return nil }
func (*script) LocalAddr() net.Addr              { return nil }
func (*script) RemoteAddr() net.Addr             { return nil }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// Whatever arrives, what is sent is a sequence of complete responses; errors are
// problem documents, and nothing follows the last response.
func FuzzConn(f *testing.F) {
	for _, seed := range []string{
		get("/"), "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", get("/") + get("/nothing"), get("/slow?for=0"), get("/events"), get("/health/ready"), "junk\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + get("/"),
		"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n", "GET /events HTTP/1.0\r\n\r\n", "DELETE //x HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, input []byte, parting bool) {
		if bytes.Contains(input, []byte("HEAD")) {
			return // its response can't be recognized without parsing the requests
		}
		s := newServer(options{podName: "pod-1"}, slog.New(slog.DiscardHandler))
		s.maxSlow = 0
		s.parting.Store(parting)
		close(s.goodbye)
		client := &script{in: bytes.NewReader(input)}
		newConn(client, s).serve()
		r, last := bufio.NewReader(&client.out), false
		for {
			if _, err := r.Peek(1); err == io.EOF {
				return
			}
			if last {
				t.Fatalf("more after the last response: %q", client.out.Bytes())
			}
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			last = resp.Close
			if resp.StatusCode >= 400 {
				if err := problemdoc.Check(resp.Header.Get("Content-Type"), body, resp.StatusCode); err != nil {
					t.Errorf("%v: %s", err, body)
				}
			}
		}
	})
}
