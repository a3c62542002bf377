package transport_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A client that announces a body and sends none of it is answered if the body is not
// wanted, in the order of the checks, and the connection ends. What comes later is not
// taken for a request.
func TestUnwantedBodiesAreNotWaitedFor(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.MaxRequestBody = 1000 })
	for _, framing := range []string{"Content-Length: 900\r\n", "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\nContent-Length: 900\r\n", "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"} {
		for _, version := range []string{"HTTP/1.1", "HTTP/1.0"} {
			for _, c := range []struct {
				request, media string
				status         int
			}{
				{"POST /nothing", "application/json", 404}, {"GET /nothing", "", 404},
				{"PUT /health", "application/json", 405}, {"DELETE /api/v1/toolsets", "", 405},
				{"GET /health", "", 200}, {"GET /api/v1/toolsets/prometheus", "", 200},
				{"POST /api/v1/discover", "text/plain", 415}, {"POST /api/v1/toolsets/validate", "", 415},
			} {
				want := c.status
				if version == "HTTP/1.0" && strings.Contains(framing, "chunked") {
					want = 400
				}
				for _, begun := range []string{"", "1", "1\r\n{"} {
					name := fmt.Sprintf("%s %s, %q, %q", c.request, version, framing, begun)
					conn := f.dial()
					conn.write(c.request + " " + version + "\r\nHost: x\r\nContent-Type: " + c.media + "\r\n" + framing + "\r\n" + begun)
					r := conn.read()
					if r.StatusCode != want || !r.Close {
						t.Errorf("%s: close=%v %s", name, r.Close, r)
					}
					io.WriteString(conn.Conn, smuggled) //nolint:errcheck // it may be closed
					if rest, _ := io.ReadAll(conn.r); len(rest) > 0 {
						t.Errorf("%s: more follows: %q", name, rest)
					}
				}
			}
		}
	}
}

// A length over the limit is answered before any of the body was sent, after everything
// that is checked earlier.
func TestTooLargeIsNotWaitedFor(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.MaxRequestBody = 1000 })
	for framing, begun := range map[string]string{"Content-Length: 1001\r\n": "", "Transfer-Encoding: chunked\r\n": "3e9\r\n"} {
		conn := f.dial()
		conn.write(post(framing, begun))
		wantProblem(t, conn.read(), 413, "payload-too-large")
	}
}

// The bodies of all requests share one bound. What has arrived counts, not what is
// announced.
func TestBodiesShareABound(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.MaxRequestBody, o.Limits.MaxBodyMemory = 1<<20, 2<<20 })
	for range 50 { // announced only
		f.dial().write(post("Content-Length: 1048576\r\n", "{"))
	}
	var conns []*rawClient
	for range 3 {
		c := f.dial()
		c.write(post("Content-Length: 1048576\r\n", strings.Repeat(" ", 1<<20-1)))
		conns = append(conns, c)
	}
	// One of the three has no room.
	answers := make(chan *response, len(conns))
	for _, c := range conns {
		go func() {
			r, _ := c.tryRead()
			answers <- r
		}()
	}
	r := <-answers
	if r == nil {
		t.Fatal("no answer")
	}
	wantProblem(t, r, 503, "service-unavailable")
	if r.Header.Get("Retry-After") == "" || !r.Close {
		t.Errorf("%s", r)
	}
	for _, c := range conns {
		c.Close() //nolint:errcheck // it gives its room back
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		c := f.dial()
		c.write(post("Content-Length: 1048576\r\n", "{}"+strings.Repeat(" ", 1<<20-2)))
		if r := c.read(); r.StatusCode == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the room is not given back")
		}
	}
}

// Requests behind a body are answered while the server stops, and the last response says
// that it is the last, wherever the segments end.
func TestBehindABodyWhileStopping(t *testing.T) {
	length, body := sized(`{"tools":[]}` + strings.Repeat("\r\n\r\n", 3))
	first := post(length, body)
	for _, all := range []string{first, first + getReady, "\r\n" + first + first, getList + first + getList, first + "GET /hea"} {
		f := start(t, func(o *options) { o.PropagationDelay = 2 * time.Second })
		c := f.dial()
		c.write(getList)
		c.read()
		go f.server.Shutdown(context.Background()) //nolint:errcheck // the end of the test waits for it
		f.eventually("GET", "/ready", 503)
		c.write(all)
		if strings.HasSuffix(all, "GET /hea") {
			if r := c.read(); r.StatusCode != 200 || r.Close {
				t.Errorf("%q: close=%v %s", all, r.Close, r)
			}
			c.write("lth HTTP/1.1\r\nHost: x\r\n\r\n")
			all = getReady
		}
		for n := strings.Count(all, "HTTP/1.1"); n > 0; n-- {
			r := c.read()
			if r.Close != (n == 1) {
				t.Errorf("%q: %d responses are left, close=%v: %s", all, n-1, r.Close, r)
			}
		}
	}
}

// A request is the same, body included, in whatever pieces its bytes arrive.
func TestBodiesInPieces(t *testing.T) {
	f := start(t, nil)
	length, body := sized(`{"tools":[]}`)
	all := getReady + post(length, body) + "\r\n" + post("Expect: x\r\n"+length, body) + getReady
	for cut := 1; cut < len(all); cut++ {
		c := f.dial()
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			tcp.SetNoDelay(true) //nolint:errcheck // it is the default
		}
		c.write(all[:cut])
		time.Sleep(time.Millisecond)
		c.write(all[cut:])
		for i := range 4 {
			if r := c.read(); r.StatusCode != 200 || r.Close {
				t.Fatalf("cut at %d, response %d: %s", cut, i, r)
			}
		}
		c.Close() //nolint:errcheck // it was answered
	}
}
