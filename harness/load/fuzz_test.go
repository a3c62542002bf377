package load

import (
	"bytes"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// canned is a connection on which given bytes arrive, whatever is sent, and then an
// error.
type canned struct {
	net.Conn
	in  *bytes.Reader
	end error
}

func (c *canned) Read(p []byte) (int, error) {
	if c.in.Len() == 0 {
		return 0, c.end
	}
	return c.in.Read(p)
}
func (c *canned) Write(p []byte) (int, error)     { return len(p), nil }
func (c *canned) SetDeadline(time.Time) error     { return nil }
func (c *canned) SetReadDeadline(time.Time) error { return nil }
func (c *canned) Close() error                    { return nil }

// Whatever a server sends, and however its connection ends, the outcome is a known one,
// and consistent with what arrived.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"", "HTTP/1.1 ", good, good[:len(good)-1], good + good, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\n\r\n" + good, "HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\n\r\n{}", "HTTP/2 200\r\n\r\n",
		"HTTP/1.1 000\r\n\r\n", "HTTP/1.1 +12\r\n\r\n",
	} {
		for end := range uint8(3) {
			f.Add([]byte(s), end, true)
		}
	}
	cfg := Config{Address: "a:1"}
	messages := map[bool]*message{
		false: newMessage(&cfg, &Target{Method: "GET", Path: "/", ExpectJSON: true}, record.New),
		true:  newMessage(&cfg, &Target{Method: "GET", Path: "/", ExpectStatus: 404, ExpectProblem: true}, record.New),
	}
	ends := []error{io.EOF, syscall.ECONNRESET, os.ErrDeadlineExceeded}
	f.Fuzz(func(t *testing.T, data []byte, end uint8, problem bool) {
		err := ends[int(end)%len(ends)]
		c := newConnection(&canned{in: bytes.NewReader(data), end: err}, time.Now())
		var r record.Request
		again := c.exchange(&job{message: messages[problem]}, time.Second, "X-Pod", &r)
		if r.Outcome != record.OK && !slices.Contains(record.Failures, r.Outcome) || r.End.IsZero() {
			t.Fatalf("%+v", r)
		}
		if r.Failed() == (r.Detail == "") {
			t.Errorf("the detail of %q is %q", r.Outcome, r.Detail)
		}
		switch r.Outcome {
		case record.OK, record.UnexpectedStatus, record.WrongBody, record.NotProblem:
			if r.Status == 0 {
				t.Errorf("%q without a status", r.Outcome)
			}
		case record.EOFBefore, record.ResetBefore:
			if len(data) != 0 || again {
				t.Errorf("%q after %q", r.Outcome, data)
			}
		case record.EOFMid, record.ResetMid:
			if len(data) == 0 || again || (r.Outcome == record.EOFMid) != (err == io.EOF) {
				t.Errorf("%q after %q and %v", r.Outcome, data, err)
			}
		case record.ResponseTimeout:
			if err != os.ErrDeadlineExceeded || again {
				t.Errorf("%q after %v", r.Outcome, err)
			}
		case record.Malformed:
			if len(data) == 0 || again {
				t.Errorf("%q after %q", r.Outcome, data)
			}
		default:
			t.Errorf("%q cannot be", r.Outcome)
		}
	})
}

// BenchmarkExchange measures a request without the kernel's part.
func BenchmarkExchange(b *testing.B) {
	cfg := Config{Address: "a:1"}
	j := &job{message: newMessage(&cfg, &Target{Method: "GET", Path: "/", ExpectJSON: true}, record.Blind)}
	in := bytes.NewReader([]byte(good))
	c := newConnection(&canned{in: in, end: io.EOF}, time.Now())
	b.ReportAllocs()
	for b.Loop() {
		in.Reset([]byte(good))
		var r record.Request
		if !c.exchange(j, time.Second, "X-Pod", &r) || r.Failed() {
			b.Fatalf("%+v", r)
		}
	}
}
